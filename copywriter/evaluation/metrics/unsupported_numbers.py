"""Unsupported numbers: numbers with units, and model codes, that nothing stands behind.

Ungrounded: the writer was not told it. Unconfirmed: the catalogue does not say it either.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from copywriter import text
from copywriter.evaluation.metric import Context, Counts, Metric, Score, Values
from copywriter.evaluation.predictions import Prediction
from copywriter.grounding import Stated, distinct, unsupported


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """Words of the text; its distinct numbers and codes in none of title, facts and sources, and 1 where there is one;
    the same of title, facts and reference.
    """
    found = []
    for row, shown in zip(rows, context.shown or [""] * len(rows), strict=True):
        ungrounded, unconfirmed = (
            len(distinct(row.written, unsupported(row.written, Stated((row.title, row.facts, other)))))
            for other in (shown, row.reference)
        )
        words = len(text.words(row.written))
        found.append((words, ungrounded, ungrounded > 0, unconfirmed, unconfirmed > 0))
    return np.array(found, np.int64).reshape(len(rows), len(METRIC.columns))


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """Counts for each 100 words of all texts, and shares of the texts."""
    words = np.maximum(sums["number_words"], 1)
    found = {}
    for kind in ("ungrounded", "unconfirmed"):
        found[f"{kind}_per_100_words"] = 100 * sums[kind] / words
        found[f"texts_with_{kind}"] = sums[f"with_{kind}"] / sums["rows"]
    return found


METRIC = Metric(
    name="unsupported_numbers",
    columns=("number_words", "ungrounded", "with_ungrounded", "unconfirmed", "with_unconfirmed"),
    scores=(
        Score(
            "ungrounded_per_100_words",
            "ungrounded numbers per 100 words",
            place=100,
            without_reference=True,
            explanation="**Ungrounded numbers**: numbers with their units, and model codes, that a text states and "
            "neither its title, the row's facts nor its sources do. The catalogue knows its products and may state "
            "them; a model makes them up. The nearest text is its own source, so it has none.",
        ),
        Score(
            "texts_with_ungrounded",
            "texts with an ungrounded number",
            place=101,
            scale="share",
            without_reference=True,
        ),
        Score(
            "unconfirmed_per_100_words",
            "unconfirmed numbers per 100 words",
            place=102,
            better=-1,
            verdict=True,
            explanation="**Unconfirmed numbers**: those that neither title, facts nor the catalogue's own text state. "
            "Most of them are wrong for this product, also where another product's text, a source, states them.",
        ),
        Score("texts_with_unconfirmed", "texts with an unconfirmed number", place=103, better=-1, scale="share"),
    ),
    count=count,
    combine=combine,
)
