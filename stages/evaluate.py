"""Generates descriptions for the test titles and scores them against the catalogue's.

Reads  data/test.parquet, data/train.parquet (for the scores of copying and grounding), models/base, and for `tuned`
       models/adapter
Writes data/predictions_VARIANT.jsonl, data/statistics_VARIANT.parquet, metrics/VARIANT.json
Params max_length, max_prompt_length, quantization, precision, prompt, retrieval, decoding, advanced.compile,
       advanced.constrain_numbers

Texts and likelihoods are cached in runs/ under a digest of everything that determines them; scoring is not part of it.
"""

import sys
from collections.abc import Sequence

from copywriter import files, params, paths, records, stage
from copywriter.evaluation import measure, ngrams, predictions, row_statistics, scores
from copywriter.evaluation.metrics import memorisation

WEIGHTS = {"base": paths.BASE, "tuned": paths.ADAPTER}


def run(variant: str, p: params.Params) -> str:
    """Reads, generates, scores and writes; returns the log's summary."""
    test = records.read_products(paths.TEST)
    measure.preload(len(test))
    from copywriter.evaluation import predict  # imports torch, which the scoring processes do not need

    return score(variant, predict.predict(WEIGHTS[variant], test, p), predict.precision(p), p)


def score(variant: str, rows: Sequence[predictions.Prediction], precision: str, p: params.Params) -> str:
    """Scores what was predicted and writes all outputs; `precision` says how the likelihoods were computed."""
    train = records.read_products(paths.TRAIN)
    training_ngrams = ngrams.index([row.description for row in train], memorisation.WORDS)
    statistics, signatures = measure.measure(
        rows, training_ngrams, predictions.shown(rows, train), longest_response=p.max_response_length
    )
    result = scores.rounded(statistics.sum(0))
    decoding = [f"{key}:{value}" for key, value in p.writing.items()]
    predictions.write(paths.predictions(variant), rows)
    row_statistics.write(paths.statistics(variant), statistics)
    files.write_json(
        paths.scores(variant),
        result | {"rows": len(rows), "signatures": signatures, "decoding": decoding} | {"scored": [precision]},
    )
    shown = ", ".join(f"{name} {result[name]}" for name in (*scores.OVERLAP, "nll", "stopped"))
    return f"{len(rows):,} texts, {shown}"


def main() -> None:
    """Runs the stage."""
    variant = sys.argv[1] if len(sys.argv) == 2 else ""
    if variant not in WEIGHTS:
        raise SystemExit("evaluate: name the variant: python -m stages.evaluate base|tuned")
    stage.run(f"evaluate@{variant}", lambda: run(variant, params.load()))


if __name__ == "__main__":
    main()
