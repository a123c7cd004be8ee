"""Values of metrics/report.md: those of both pages, twenty titles, and thinned curves."""

import hashlib
from collections.abc import Sequence
from typing import Any

from copywriter.evaluation.predictions import Prediction
from copywriter.grounding import distinct
from copywriter.report import content
from copywriter.report.results import History, Results

TITLES = 20
TEXT_CHARACTERS = 600  # shown of a text
CURVE_ROWS = 10

Row = tuple[Prediction, ...]  # of one title: nearest, base, tuned


def values(found: Results) -> dict[str, Any]:
    """The template's values."""
    return found.shared() | {
        "chosen": select(list(zip(*found.sides.values(), strict=True))),
        "ungrounded": lambda row: distinct(row.written, content.ungrounded(row, found.products)),
        "characters": TEXT_CHARACTERS,
        "examples": found.examples,
        "train": found.train,
        "validation": thin(found.validation),
    }


def select(rows: Sequence[Row], count: int = TITLES) -> list[Row]:
    """The rows whose titles have the smallest hashes: the same in every run, and not selected by hand."""
    return sorted(rows, key=lambda one: hashlib.sha256(one[0].title.encode()).digest())[:count]


def thin(rows: History, count: int = CURVE_ROWS) -> History:
    """At most `count` evenly spaced rows, including first and last; of rows with equal steps the last."""
    last = list({row["step"]: row for row in rows}.values())
    if len(last) <= count:
        return last
    return [last[round(index * (len(last) - 1) / (count - 1))] for index in range(count)]
