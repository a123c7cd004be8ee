"""What metrics/report.md has beside what both pages show: twenty titles, and curves short enough to read."""

import hashlib
from collections.abc import Sequence
from typing import Any

from copywriter.evaluation.predictions import Prediction
from copywriter.report.results import History, Results

TITLES = 20
TEXT_CHARACTERS = 600  # of a text that is shown
CURVE_ROWS = 10

Row = tuple[Prediction, ...]  # of one title: nearest, base, tuned


def values(found: Results) -> dict[str, Any]:
    """All that the template names."""
    return found.shared() | {
        "chosen": choose(list(zip(*found.sides.values(), strict=True))),
        "characters": TEXT_CHARACTERS,
        "examples": found.examples,
        "train": found.train,
        "validation": thin(found.validation),
    }


def choose(rows: Sequence[Row], count: int = TITLES) -> list[Row]:
    """The rows whose titles have the smallest hashes: the same ones in every run, picked by nobody."""
    return sorted(rows, key=lambda one: hashlib.sha256(one[0].title.encode()).digest())[:count]


def thin(rows: History, count: int = CURVE_ROWS) -> History:
    """At most `count` rows, evenly spaced, the first and the last among them; of equal steps the last."""
    last = list({row["step"]: row for row in rows}.values())
    if len(last) <= count:
        return last
    return [last[round(index * (len(last) - 1) / (count - 1))] for index in range(count)]
