"""What was written for the test titles: one row type, and the only reader and writer of its files.

Apart from copywriter/records.py, so that a new field here does not run the data stages anew.
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
    """What was written for one test title, beside what the catalogue says; None where no model was asked."""

    title: str
    question: str  # what a model was asked; of the nearest-title baseline, the training title that was found
    reference: str
    written: str
    stopped: bool | None = None  # the model ended the text itself, within max_new_tokens
    tokens: int | None = None  # that it wrote, the end token included
    reference_nll: float | None = None  # nats: -log probability of the reference, all its tokens together
    reference_tokens: int | None = None  # of the reference as it is trained: cut to its limit, with its end token


def write(path: Path, rows: Iterable[Prediction]) -> int:
    """Writes predictions as JSON lines, whole or not at all; how many there were."""
    count = 0
    with files.new_file(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            count += 1
            stream.write(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n")
    return count


def read(path: Path) -> list[Prediction]:
    """All predictions of a file that `write` wrote."""
    with errors.existing(path, "dvc repro").open(encoding="utf-8") as stream:
        return [Prediction(**json.loads(line)) for line in stream]


def read_sides(variants: Sequence[str]) -> dict[str, list[Prediction]]:
    """The predictions of each variant; UserError unless all are for the same test rows in the same order."""
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
