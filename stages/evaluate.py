"""Lets a model write descriptions for the test titles and scores them against the catalogue's.

Reads data/test.parquet, models/base, and for `tuned` models/adapter.
Writes data/predictions_VARIANT.jsonl, metrics/VARIANT.json.
Params: model, max_length, max_prompt_length, quantization, precision, prompt, decoding.
"""

import sys
from collections.abc import Sequence

from copywriter import canonical, compilation, device, model, params, paths, records, stage
from copywriter.evaluation import generate, scores
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Prediction, Product

WEIGHTS = {"base": paths.BASE, "tuned": paths.ADAPTER}


def predict(variant: str, rows: Sequence[Product], p: params.Params) -> list[Prediction]:
    """What `variant` writes for the rows' titles, asked as in training, in the rows' order."""
    processor = device.choose()
    dtype = device.dtype(p.precision, processor)
    weights = WEIGHTS[variant]
    tokenizer = load_tokenizer(weights)
    prompter = Prompter(tokenizer, p)
    compiled = p.compile is not False and compilation.obstacle(processor) is None
    dense = model.load_dense(weights, p.quantization, dtype, processor)
    prompts = prompter.prompts([row.title for row in rows])
    written = dict(generate.texts(dense, tokenizer, prompts, p.decoding, p.max_prompt_length, compiled))
    return [
        Prediction(row.title, prompter.question(row.title), row.description, one.text, one.stopped)
        for row, one in zip(rows, (written[number] for number in range(len(rows))), strict=True)
    ]


def run(variant: str, p: params.Params) -> str:
    """Reads, generates, scores and writes; the summary for the log."""
    predictions = predict(variant, records.read_products(paths.TEST), p)
    result = scores.score(predictions)
    records.write_predictions(paths.predictions(variant), predictions)
    settings = [f"{key}:{value}" for key, value in {**p.decoding.model_dump(), "quantization": p.quantization}.items()]
    canonical.write_json(paths.scores(variant), {**result, "decoding": settings})
    shown = ", ".join(f"{name} {result[name]}" for name in scores.HIGHER_IS_BETTER)
    return f"{len(predictions):,} texts, {shown}"


def main() -> None:
    """Wires the stage."""
    variant = sys.argv[1] if len(sys.argv) == 2 else ""
    if variant not in WEIGHTS:
        raise SystemExit("evaluate: name the variant: python -m stages.evaluate base|tuned")
    stage.run(f"evaluate@{variant}", lambda: run(variant, params.load()))


if __name__ == "__main__":
    main()
