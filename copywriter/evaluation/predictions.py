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
from copywriter.grounding import excerpt
from copywriter.records import Product


@dataclass(frozen=True, slots=True)
class Source:
    """A training product that a prompt showed: named by its row, since its text must not leave the shop."""

    row: int  # of data/train.parquet, from 0
    similarity: float  # of the two titles, 0 to 1
    words: int  # of its description that the prompt showed


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
    sources: tuple[Source, ...] = ()  # the most similar first; none where the prompt showed no product
    facts: str = ""  # of the catalogue's row, as the prompt states them


def write(path: Path, rows: Iterable[Prediction]) -> int:
    """Writes predictions as JSON lines, all or nothing; returns how many."""
    count = 0
    with files.new_file(path) as new, new.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            count += 1
            fields = dataclasses.asdict(row)
            empty = [name for name in ("sources", "facts") if not fields[name]]
            line = {name: value for name, value in fields.items() if name not in empty}
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    return count


def read(path: Path) -> list[Prediction]:
    """All predictions of a file that `write` wrote."""
    with errors.existing(path, "dvc repro").open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return [Prediction(**row | {"sources": tuple(Source(**one) for one in row.get("sources", ()))}) for row in rows]


def shown(rows: Iterable[Prediction], train: Sequence[Product]) -> list[str]:
    """For each row the texts of its sources, as its prompt showed them: titles and first words of descriptions.

    UserError when a source is no row of `train`.
    """
    return ["\n".join(source_text(one, train) for one in row.sources) for row in rows]


def source_text(one: Source, train: Sequence[Product]) -> str:
    """The title of a source and the words of its description that the prompt showed."""
    if one.row >= len(train):
        raise UserError(f"row {one.row:,} is a source, but {paths.TRAIN} has {len(train):,}; run 'dvc repro evaluate'")
    return excerpt(train[one.row].title, train[one.row].description, one.words)


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
