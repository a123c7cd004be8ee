"""The metrics that compare texts with references as one module of `evaluate`: evaluate.load(THIS FILE, "bleu").

A local module, because `evaluate` loads its own metrics from a model hub.
"""

from typing import Any

import datasets
import evaluate
import numpy as np

from copywriter.evaluation.metric import Context
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.registry import METRICS


class RegisteredMetric(evaluate.Metric):  # type: ignore[misc]
    """The metric of the registry that the configuration names."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=str(__doc__),
            citation="",
            inputs_description="predictions and references: lists of texts; context: a metric.Context",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str], context: Context | None = None) -> dict[str, Any]:
        """The scores, the statistics of each row (rows x columns) and the signature."""
        metric = next(one for one in METRICS if one.pairs and one.name == self.config_name)
        context = context or Context()
        rows = [Prediction("", "", right, text) for text, right in zip(predictions, references, strict=True)]
        statistics = metric.count(rows, context)
        sums = dict(zip(metric.columns, statistics.sum(0).astype(np.float64), strict=True))
        sums["rows"] = np.float64(len(rows))
        scores = {key: float(value) for key, value in metric.combine(sums).items()}
        return scores | {"statistics": statistics, "signature": metric.signature and metric.signature(context)}
