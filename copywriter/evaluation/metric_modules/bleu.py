"""Corpus BLEU of sacreBLEU as a module of `evaluate`."""

from typing import Any

import datasets
import evaluate
from sacrebleu.metrics.bleu import BLEU


class Bleu(evaluate.Metric):  # type: ignore[misc]
    """Papineni et al. 2002, as sacreBLEU computes it (Post 2018): 0 to 100, one reference a text.

    Statistics a row: length, reference length, matches of 1 to 4 words, runs of 1 to 4 words.
    """

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
        # What corpus_score does, in two steps: the rows' counts are kept for intervals, which add up other rows.
        rows = metric._extract_corpus_statistics(predictions, [references])
        score = metric._aggregate_and_compute(rows)
        return {"bleu": score.score, "signature": f"BLEU|{metric.get_signature()}", "statistics": rows}
