"""Written and reference texts -> scores, each with the signature that says how it was computed."""

import logging
from collections.abc import Sequence
from pathlib import Path

import evaluate

from copywriter.records import Prediction
from copywriter.stage import UserError

MODULES = Path(__file__).with_name("metric_modules")
HIGHER_IS_BETTER = ("bleu", "rouge1", "rouge2", "rougeL", "chrf")


def score(predictions: Sequence[Prediction]) -> dict[str, float | int | list[str]]:
    """BLEU, ROUGE-1/2/L and chrF (0 to 100), length ratio (written to reference words), share that stopped, rows.

    Signatures and other texts come as lists: `dvc metrics` shows every other leaf as a column. UserError without rows.
    """
    if not predictions:
        raise UserError("there is no prediction to score; the test set is empty: raise sample.size")
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it warns of tokenized text that merely ends in " ."
    texts = {
        "predictions": [one.written for one in predictions],
        "references": [one.reference for one in predictions],
    }
    results: dict[str, float] = {}
    signatures: list[str] = []
    for name in ("bleu", "rouge", "chrf"):
        metric = evaluate.load(str(MODULES / f"{name}.py"), keep_in_memory=True)
        result = metric.compute(**texts)
        signatures.append(result.pop("signature"))
        results |= result
    rounded: dict[str, float | int | list[str]] = {name: round(value, 4) for name, value in results.items()}
    stopped = sum(one.stopped for one in predictions) / len(predictions)
    return rounded | {"stopped": round(stopped, 4), "rows": len(predictions), "signatures": signatures}
