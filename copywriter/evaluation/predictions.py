"""Predictions, the texts for the test titles: their row type, and the only reader and writer of their files.

Separate from copywriter/records.py, so that a new field here does not make the data stages stale.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from copywriter import errors, files, paths
from copywriter.errors import UserError


@dataclass(frozen=True, slots=True)
class Prediction:
    """The text for one test title, with its reference; None: not from a model."""

    title: str
    question: str  # of the prompt; for the nearest-neighbour baseline, the training title found
    reference: str  # the catalogue's description
    written: str
    stopped: bool | None = None  # the model ended the text within max_new_tokens
    tokens: int | None = None  # generated, the end token included
    reference_nll: float | None = None  # nats: -log probability of all tokens of the reference
    reference_tokens: int | None = None  # of the reference as in training: truncated to its limit, with its end token


def write(path: Path, rows: Iterable[Prediction]) -> int:
    """Writes predictions as JSON lines, all or nothing; returns how many."""
    count = 0
    with files.new_file(path) as new, new.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            count += 1
            stream.write(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n")
    return count


def read(path: Path) -> list[Prediction]:
    """All predictions of a file that `write` wrote."""
    with errors.existing(path, "dvc repro").open(encoding="utf-8") as stream:
        return [Prediction(**json.loads(line)) for line in stream]


def read_sides(variants: Sequence[str]) -> dict[str, list[Prediction]]:
    """The predictions of each variant; UserError unless all have the same test rows in the same order."""
    sides = {variant: read(paths.predictions(variant)) for variant in variants}
    first = variants[0]
    tested = {variant: [(one.title, one.reference) for one in rows] for variant, rows in sides.items()}
    for variant in variants[1:]:
        if tested[variant] != tested[first]:
            raise UserError(
                f"{paths.predictions(first)} and {paths.predictions(variant)} are not for the same titles in the same "
                "order; run 'dvc repro evaluate baseline'"
            )
    return sides
