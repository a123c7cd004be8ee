"""Sums of row statistics -> scores, and the scores' names and properties by key.

All scores are corpus scores; functions take one sum or an array of sums.
"""

import numpy as np
from numpy.typing import NDArray

from copywriter.evaluation.metric import Score, Values
from copywriter.evaluation.registry import METRICS
from copywriter.evaluation.row_statistics import COLUMNS

SCORES: dict[str, Score] = {  # by key, in the order of tables
    one.key: one for one in sorted((one for metric in METRICS for one in metric.scores), key=lambda one: one.place)
}
NAMES = {key: one.title for key, one in SCORES.items()}
OVERLAP = tuple(key for key, one in SCORES.items() if one.scale == "points")  # 0 to 100, drawn in charts
GRADES = tuple(key for key, one in SCORES.items() if one.verdict)  # the scores of the verdict
WITHOUT_REFERENCE = tuple(key for key, one in SCORES.items() if one.without_reference)


def of(sums: NDArray[np.int64] | Values) -> dict[str, Values]:
    """Each score of statistics summed over rows, (..., COLUMNS) -> (...), in the order of SCORES; NaN: undefined."""
    by_column = {name: np.asarray(sums[..., at], np.float64) for at, name in enumerate(COLUMNS)}
    found: dict[str, Values] = {}
    for metric in METRICS:
        found |= metric.combine(by_column)
    return {key: found[key] for key in SCORES}


def rounded(sums: NDArray[np.int64]) -> dict[str, float]:
    """The defined scores of one sum, to four digits."""
    return {name: round(float(value), 4) for name, value in of(sums).items() if not np.isnan(value)}
