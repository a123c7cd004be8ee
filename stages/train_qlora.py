"""Trains a LoRA adapter on the base model, whose linear layers stay quantized.

Reads data/train.parquet, data/validation.parquet, models/base.
Writes models/adapter (adapter, tokenizer, receipt.json), metrics/{train,validation}_history.csv; checkpoints and
TensorBoard curves under runs/.
Params: all but dataset, sample, split, clean and decoding.
"""

import importlib.metadata
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from copywriter import canonical, device, lora, model, packing, params, paths, records, stage, state, tracking, trainer
from copywriter.prompt import Example, Prompter, load_tokenizer

# What does not change the result: where it is logged, how often it is saved, what comes after it.
_WITHOUT_EFFECT = {"tracking", "save_steps", "dataset", "sample", "split", "clean", "decoding"}
_CODE = ("prompt", "packing", "order", "model", "nf4", "lora", "attention", "loss", "graph", "step", "trainer")
_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes")


def fingerprint(p: params.Params, base: dict[str, str]) -> str:
    """A hash of all that determines the adapter: rows, base, parameters, this code and the libraries under it."""
    code = [Path(__file__), *(Path(packing.__file__).with_name(f"{name}.py") for name in _CODE)]
    return canonical.digest(
        {
            "params": {key: value for key, value in p.model_dump().items() if key not in _WITHOUT_EFFECT},
            "data": [canonical.sha256(paths.TRAIN), canonical.sha256(paths.VALIDATION)],
            "base": base,
            "code": [canonical.sha256(file) for file in code],
            "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        }
    )[:16]


def sequences(examples: Sequence[Example], p: params.Params) -> packing.Sequences:
    """The examples as training sequences: packed into max_length tokens, or one row each."""
    lengths = [len(example.input_ids) for example in examples]
    groups = packing.pack(lengths, p.max_length) if p.packing else [[row] for row in range(len(lengths))]
    return packing.Sequences([[examples[row] for row in group] for group in groups])


def check_contract(examples: Sequence[Example], end: int, p: params.Params) -> None:
    """Raises ValueError with the row that breaks it, before GPU time is spent: every row ends with one end token."""
    for number, one in enumerate(examples):
        completion = one.input_ids[one.prompt_length :]
        if completion[-1:] != [end] or end in completion[:-1] or len(completion) < 2:
            raise ValueError(f"row {number}: its completion must be text and then one end token: {completion}")
        if len(one.input_ids) > p.max_length or one.prompt_length > p.max_prompt_length:
            raise ValueError(f"row {number}: {one.prompt_length} + {len(completion)} tokens exceed the limits")


def save(adapted: PeftModel, tokenizer: PreTrainedTokenizerBase, receipt: dict[str, Any], folder: Path) -> None:
    """Writes the adapter's folder, whole or not at all, in canonical form: equal training gives equal bytes."""
    with canonical.new_folder(folder) as aside:
        adapted.save_pretrained(str(aside))
        tokenizer.save_pretrained(aside)
        (aside / "README.md").unlink(missing_ok=True)
        config = aside / "adapter_config.json"
        targets = json.loads(config.read_text())["target_modules"]
        change = {"target_modules": sorted(targets), "base_model_name_or_path": paths.BASE.as_posix()}
        canonical.rewrite_json(config, drop=("peft_version",), change=change)
        for file in paths.BASE.glob("*token*"):  # the base's own canonical form
            (aside / file.name).write_bytes(file.read_bytes())
        files = canonical.folder_hashes(aside)
        canonical.write_json(aside / model.RECEIPT, {**receipt, "files": files})


def run(p: params.Params) -> str:
    """Reads, trains and writes; the summary for the log."""
    processor = device.choose()
    dtype = device.dtype(p.precision, processor)
    tokenizer = load_tokenizer(paths.BASE)
    prompter = Prompter(tokenizer, p)
    train, validation = (
        prompter.examples([row.title for row in rows], [row.description for row in rows])
        for rows in (records.read_products(paths.TRAIN), records.read_products(paths.VALIDATION))
    )
    check_contract([*train, *validation], prompter.end, p)
    base = model.base_identity(paths.BASE)
    mark = fingerprint(p, base)
    folder = paths.RUNS / "train" / mark
    with state.one_writer(folder):
        weights = model.load_base(paths.BASE, p.quantization, dtype, processor)
        if model.keeps_dense(p.dequantize, paths.BASE, processor):
            weights = model.dequantized(weights)
        adapted = lora.with_adapter(weights, p)
        history: list[dict[str, Any]] = []
        steps = 0
        if p.epochs:
            callbacks = [tracking.StopOnNan(), *tracking.trackers(p.tracking, folder, mark)]
            training = trainer.QloraTrainer(
                adapted, tokenizer, p, sequences(train, p), sequences(validation, p), folder, dtype, callbacks
            )
            print(f"train_qlora: a step is {training.step}", file=sys.stderr)
            training.fit()
            history, steps = training.state.log_history, training.state.global_step
        receipt = {
            "fingerprint": mark,
            "base": base,
            "params": {key: value for key, value in p.model_dump().items() if key not in _WITHOUT_EFFECT},
            "data": {path.as_posix(): canonical.sha256(path) for path in (paths.TRAIN, paths.VALIDATION)},
            "rows": len(train),
            "cut_rows": sum(example.cut for example in train),
            "tokens_per_epoch": sum(len(example.input_ids) for example in train),
            "steps": steps,
        }
        save(adapted, tokenizer, receipt, paths.ADAPTER)
        tracking.write_history(paths.TRAIN_HISTORY, history, tracking.TRAIN_COLUMNS)
        tracking.write_history(paths.VALIDATION_HISTORY, history, tracking.VALIDATION_COLUMNS)
    return f"{len(train):,} rows, {receipt['cut_rows']:,} cut at a word, {steps:,} steps on {processor}"


def main() -> None:
    """Wires the stage."""
    stage.run("train_qlora", lambda: run(params.load()))


if __name__ == "__main__":
    main()
