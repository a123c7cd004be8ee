"""Mean ROUGE-1, -2 and -L of rouge-score as a module of `evaluate`."""

import importlib.metadata
from typing import Any

import datasets
import evaluate
from rouge_score.rouge_scorer import RougeScorer

KINDS = ("rouge1", "rouge2", "rougeL")


class Rouge(evaluate.Metric):  # type: ignore[misc]
    """Lin 2004: F1 of each pair, averaged, times 100. Its tokenizer keeps ASCII letters and digits only."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=str(__doc__),
            citation="Lin 2004",
            inputs_description="predictions and references: lists of texts",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        scorer = RougeScorer(list(KINDS), use_stemmer=True)
        pairs = [scorer.score(right, written) for written, right in zip(predictions, references, strict=True)]
        means = {kind: 100 * sum(pair[kind].fmeasure for pair in pairs) / len(pairs) for kind in KINDS}
        version = importlib.metadata.version("rouge-score")
        return {**means, "signature": f"ROUGE|stemmer:yes|measure:f1|aggregate:mean|version:{version}"}
