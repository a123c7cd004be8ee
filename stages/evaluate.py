"""Lets a model write descriptions for the test titles and scores them against the catalogue's.

Reads data/test.parquet, data/train.parquet (what was learned by heart), models/base, and for `tuned` models/adapter.
Writes data/predictions_VARIANT.jsonl, data/statistics_VARIANT.parquet, metrics/VARIANT.json.
Params: max_length, max_prompt_length, quantization, precision, compile, prompt, decoding.

Texts and likelihoods are kept in runs/, named by all that decides them and not by how they are scored.
"""

import sys
from collections.abc import Sequence

from copywriter import files, params, paths, records, stage
from copywriter.evaluation import measure, ngrams, predictions, row_statistics, scores

VARIANTS = ("base", "tuned")


def run(variant: str, p: params.Params) -> str:
    """Reads, generates, scores and writes; the summary for the log."""
    test = records.read_products(paths.TEST)
    measure.prepare(len(test))
    from copywriter.evaluation import predict  # brings torch, which the processes that score do without

    return score(variant, predict.predict(variant, test, p), predict.computed(p), p)


def score(variant: str, rows: Sequence[predictions.Prediction], computed: str, p: params.Params) -> str:
    """Scores what was predicted and writes all outputs; `computed` says how the likelihoods were."""
    library = ngrams.library([row.description for row in records.iterate_products(paths.TRAIN)], measure.RUN)
    found, signatures = measure.measure(rows, library)
    result = scores.rounded(found.sum(0))
    decoding = [f"{key}:{value}" for key, value in p.decoding.model_dump().items()]
    predictions.write(paths.predictions(variant), rows)
    row_statistics.write(paths.statistics(variant), found)
    files.write_json(
        paths.scores(variant),
        result | {"rows": len(rows), "signatures": signatures, "decoding": decoding} | {"scored": [computed]},
    )
    shown = ", ".join(f"{name} {result[name]}" for name in (*scores.OVERLAP, "nll", "stopped"))
    return f"{len(rows):,} texts, {shown}"


def main() -> None:
    """Wires the stage."""
    variant = sys.argv[1] if len(sys.argv) == 2 else ""
    if variant not in VARIANTS:
        raise SystemExit("evaluate: name the variant: python -m stages.evaluate base|tuned")
    stage.run(f"evaluate@{variant}", lambda: run(variant, params.load()))


if __name__ == "__main__":
    main()
