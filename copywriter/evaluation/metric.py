"""A metric: whole-number statistics of each row, and the scores that are computed from their sums."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.tokenizers import Tokenizers

SHARE = 10**9  # shares of a row are stored in billionths
NATS = 10**6  # nats are stored in millionths

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Score:
    """A number in metrics/*.json, and how tables, the verdict, the report and the model card treat it."""

    key: str  # in metrics/*.json
    title: str  # in tables
    place: int = 1000  # tables list scores by ascending place
    better: Literal[-1, 0, 1] = 0  # 1: higher is better, -1: lower is better, 0: describes the texts only
    scale: Literal["points", "share", "number"] = "number"  # points: 0 to 100, drawn in the charts; share: 0 to 1
    digits: int = 2  # shown after the decimal point; a share is shown in percent with one
    verdict: bool = False  # the verdict is about this score; name these before any result is seen
    without_reference: bool = False  # also computed for the catalogue's own texts
    explanation: str = ""  # for the report: what the score measures, in Markdown
    hub: str = ""  # the metric's name on model hubs; with one, the model card's metadata includes the score


@dataclass(frozen=True, slots=True)
class Context:
    """What the statistics of a row depend on besides the row."""

    tokenizers: Tokenizers = field(default_factory=Tokenizers)
    training_ngrams: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))  # see ngrams.index
    longest_response: int | None = None  # tokens that training keeps of a reference, its end token included
    shown: Sequence[str] | None = None  # for each row the sources' texts, see predictions.shown; None: no row has any


@dataclass(frozen=True, slots=True)
class Metric:
    """Statistics and scores of one method. To add a metric: a file in metrics/ and an entry in registry.METRICS."""

    name: str
    columns: tuple[str, ...]  # of the statistics, with names that no other metric has
    scores: tuple[Score, ...]
    count: Callable[[Sequence[Prediction], Context], Counts]  # rows -> rows x columns
    # Sums of columns over rows, each of any shape (...), by column and "rows" -> each score (...). NaN: undefined.
    combine: Callable[[Mapping[str, Values]], Mapping[str, Values]]
    signature: Callable[[Context], str] | None = None  # names versions and settings, as sacreBLEU does
    pairs: bool = False  # count sees written text and reference only; it then runs as a module of `evaluate`
    training_texts: bool = False  # count needs Context.training_ngrams


def ratio(above: Values, below: Values) -> Values:
    """above / below, NaN where below is 0."""
    found: Values = np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
    return found
