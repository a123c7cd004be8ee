"""How much of a text is copied from its title."""

from collections.abc import Mapping, Sequence

import numpy as np

from copywriter.evaluation import ngrams
from copywriter.evaluation.metric import Context, Counts, Metric, Score, Values
from copywriter.evaluation.predictions import Prediction


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """2-grams of the text, and those of them that are in its title."""
    found, total = ngrams.shared([one.written for one in rows], [one.title for one in rows], 2)
    return np.stack([total, found], axis=1)


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """The share over all rows."""
    return {"copied_from_title": sums["title_match"] / np.maximum(sums["title_runs"], 1)}


METRIC = Metric(
    name="copying",
    columns=("title_runs", "title_match"),
    scores=(Score("copied_from_title", "copied from the title", place=80, scale="share", without_reference=True),),
    count=count,
    combine=combine,
)
