"""Corpus chrF of sacreBLEU as a module of `evaluate`."""

from typing import Any

import datasets
import evaluate
from sacrebleu.metrics.chrf import CHRF


class Chrf(evaluate.Metric):  # type: ignore[misc]
    """Popovic 2015, as sacreBLEU computes it: 0 to 100, one reference a text.

    Statistics a row: for 1 to 6 characters the runs written, those of the reference, and those that match.
    """

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=str(__doc__),
            citation="Popovic 2015",
            inputs_description="predictions and references: lists of texts",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        metric = CHRF()
        rows = metric._extract_corpus_statistics(predictions, [references])
        score = metric._aggregate_and_compute(rows)
        return {"chrf": score.score, "signature": f"chrF|{metric.get_signature()}", "statistics": rows}
