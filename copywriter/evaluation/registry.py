"""The list of metrics. An entry here is all that a new file in metrics/ needs."""

from copywriter.evaluation.metric import Metric
from copywriter.evaluation.metrics import (
    bleu,
    chrf,
    copying,
    memorisation,
    nll,
    repetition,
    rouge,
    stopping,
    unsupported_numbers,
)

METRICS: tuple[Metric, ...] = (  # in the order of their columns in data/statistics_*.parquet
    bleu.METRIC,
    chrf.METRIC,
    rouge.METRIC,
    nll.METRIC,
    stopping.METRIC,
    repetition.METRIC,
    copying.METRIC,
    memorisation.METRIC,
    unsupported_numbers.METRIC,
)
