"""Corpus BLEU of sacreBLEU as a module of `evaluate`."""

from typing import Any

import datasets
import evaluate
from sacrebleu.metrics.bleu import BLEU


class Bleu(evaluate.Metric):  # type: ignore[misc]
    """Papineni et al. 2002, as sacreBLEU computes it (Post 2018): 0 to 100, one reference a text."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=str(__doc__),
            citation="Post 2018",
            inputs_description="predictions and references: lists of texts",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        metric = BLEU()
        score = metric.corpus_score(predictions, [references])
        return {
            "bleu": score.score,
            "length_ratio": score.sys_len / max(score.ref_len, 1),
            "signature": f"BLEU|{metric.get_signature()}",
        }
