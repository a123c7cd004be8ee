"""Significance of the difference between two sets of texts for the same titles: intervals and p-values.

Paired bootstrap (Koehn 2004): test rows are resampled with replacement, and both sides scored on the same sample.
Approximate randomisation (Noreen 1989; Riezler and Maxwell 2005): each row's two texts swap sides with probability 1/2.
Both use sums of whole-number row statistics, so their results have the same digits on every machine.
"""

import math
from dataclasses import dataclass

import numpy as np

from copywriter.errors import UserError
from copywriter.evaluation import scores
from copywriter.evaluation.metric import Values
from copywriter.evaluation.row_statistics import Statistics

RESAMPLES = 10_000
_DRAWS_AT_ONCE = 2_000_000  # 500 resamples of 4,000 rows; their counts take 16 MB
ALPHA = 0.05
# (1.96 + 0.84) standard errors: a true difference of this size is found at 5% in four of five such test sets.
_POWER = 2.8


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference `after` - `before` of one score, with its significance."""

    before: float
    after: float
    difference: float
    low: float  # the 95% interval of the difference
    high: float
    p: float  # two-sided: how often random swaps give a difference at least as large
    smallest: float  # the smallest true difference found with 80% power on so many rows

    @property
    def tie(self) -> bool:
        """Not significant: the interval contains zero, or the p-value is not below 5%."""
        return self.low <= 0 <= self.high or self.p >= ALPHA


def compare(before: Statistics, after: Statistics, seed: int, resamples: int = RESAMPLES) -> dict[str, Difference]:
    """The difference of each score that both sides have. `before` and `after`: rows x COLUMNS, of the same titles.

    UserError without rows, or when the numbers of rows differ.
    """
    if len(before) != len(after) or not len(before):
        found = f"{len(before):,} and {len(after):,} rows"
        raise UserError(f"{found} cannot be compared; run 'dvc repro evaluate baseline'")
    first, second = scores.of(before.sum(0)), scores.of(after.sum(0))
    drawn = _differences(*_bootstrap(before, after, seed, resamples))
    swapped = _differences(*_randomised(before, after, seed, resamples))
    differences = {}
    for name, value in second.items():
        observed = float(value - first[name])
        if math.isnan(observed):
            continue
        low, high = _percentiles(drawn[name])
        as_large = np.abs(swapped[name]) >= abs(observed) - 1e-9  # tolerates rounding of equal ones
        differences[name] = Difference(
            before=round(float(first[name]), 4),
            after=round(float(value), 4),
            difference=round(observed, 4) + 0.0,
            low=round(low, 4) + 0.0,
            high=round(high, 4) + 0.0,
            p=round((1 + int(as_large.sum())) / (1 + resamples), 4),
            smallest=round(_POWER * float(np.nanstd(drawn[name])), 4),
        )
    return differences


def intervals(side: Statistics, seed: int, resamples: int = RESAMPLES) -> dict[str, tuple[float, float]]:
    """The 95% interval of each score that one side has, from the same samples as `compare`."""
    drawn = scores.of(_bootstrap(side, side[:, :0], seed, resamples)[0])
    found = {}
    for name, values in drawn.items():
        if not np.isnan(values).all():
            low, high = _percentiles(values)
            found[name] = (round(low, 4) + 0.0, round(high, 4) + 0.0)
    return found


def _percentiles(values: Values) -> tuple[float, float]:
    low, high = np.percentile(values[~np.isnan(values)], [100 * ALPHA / 2, 100 - 100 * ALPHA / 2])
    return float(low), float(high)


def _differences(before: Values, after: Values) -> dict[str, Values]:
    first, second = scores.of(before), scores.of(after)
    return {name: second[name] - first[name] for name in first}


def _parts(resamples: int, rows: int) -> list[int]:
    """How many resamples at a time; the samples do not depend on it."""
    most = max(1, _DRAWS_AT_ONCE // rows)
    return [min(most, resamples - start) for start in range(0, resamples, most)]


def _bootstrap(before: Statistics, after: Statistics, seed: int, resamples: int) -> tuple[Values, Values]:
    """Both sides' sums over the same samples of rows, each resamples x COLUMNS."""
    generator = np.random.default_rng([seed, 0])
    rows = len(before)
    both = np.concatenate([before, after], axis=1).astype(np.float64)
    sums = []
    for count in _parts(resamples, rows):
        drawn = generator.integers(0, rows, (count, rows)) + rows * np.arange(count)[:, None]
        sums.append(np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64) @ both)
    all_sums = np.concatenate(sums)
    return all_sums[:, : before.shape[1]], all_sums[:, before.shape[1] :]


def _randomised(before: Statistics, after: Statistics, seed: int, resamples: int) -> tuple[Values, Values]:
    """Both sides' sums after random swaps of rows, each resamples x COLUMNS."""
    generator = np.random.default_rng([seed, 1])
    change = (after - before).astype(np.float64)
    moved = np.concatenate(
        [
            generator.integers(0, 2, (count, len(before))).astype(np.float64) @ change
            for count in _parts(resamples, len(before))
        ]
    )
    return before.sum(0) + moved, after.sum(0) - moved
