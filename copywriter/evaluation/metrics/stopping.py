"""Whether the model ended its texts itself, and how many tokens it generated."""

from collections.abc import Mapping, Sequence

import numpy as np

from copywriter.evaluation.metric import Context, Counts, Metric, Score, Values, ratio
from copywriter.evaluation.predictions import Prediction


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """1 where a model generated the text, 1 where it also ended it, and its tokens."""
    return np.array(
        [(one.stopped is not None, bool(one.stopped), one.tokens or 0) for one in rows], np.int64
    )


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """Means over the generated texts."""
    return {key: ratio(sums[key], sums["asked"]) for key in ("stopped", "tokens")}


METRIC = Metric(
    name="stopping",
    columns=("asked", "stopped", "tokens"),
    scores=(
        Score(
            "stopped",
            "stopped by itself",
            place=50,
            better=1,
            scale="share",
            explanation="**Stopped by itself**: texts that the model ended. The others reached the limit "
            "`decoding.max_new_tokens`, most often because they repeated themselves; see also **repeated 4-grams**.",
        ),
        Score("tokens", "tokens written", place=110),
    ),
    count=count,
    combine=combine,
)
