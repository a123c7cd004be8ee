"""How much a text repeats itself."""

from collections.abc import Mapping, Sequence

import numpy as np

from copywriter.evaluation import ngrams
from copywriter.evaluation.metric import SHARE, Context, Counts, Metric, Score, Values
from copywriter.evaluation.predictions import Prediction


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """Of each row, in billionths: the share of repeated 4-grams and of distinct 2-grams; 0 for a text without any."""
    written = [one.written for one in rows]
    repeated_4, all_4 = ngrams.repeated(written, 4)
    repeated_2, all_2 = ngrams.repeated(written, 2)
    return np.stack(
        [repeated_4 * SHARE // np.maximum(all_4, 1), (all_2 - repeated_2) * SHARE // np.maximum(all_2, 1)], axis=1
    )


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """Means over the rows."""
    return {key: sums[key] / sums["rows"] / SHARE for key in METRIC.columns}


METRIC = Metric(
    name="repetition",
    columns=("repeated_4grams", "distinct_2"),
    scores=(
        Score("repeated_4grams", "repeated 4-grams", place=70, better=-1, scale="share", without_reference=True),
        Score("distinct_2", "distinct 2-grams", place=71, scale="share", without_reference=True),
    ),
    count=count,
    combine=combine,
)
