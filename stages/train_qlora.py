"""Trains a LoRA adapter on the base model, whose linear layers stay quantized.

Reads data/train.parquet, data/validation.parquet, models/base.
Writes models/adapter (adapter, tokenizer, receipt.json), metrics/{train,validation}_history.csv; checkpoints and
TensorBoard curves under runs/.
Params: all but dataset, sample, split, clean and decoding.
"""

import argparse
import importlib.metadata
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather
from peft import PeftModel
from transformers import AutoConfig, PreTrainedConfig

from copywriter import canonical, device, model, params, paths, stage
from copywriter.prompt import Example, Prompter, load_tokenizer, tokenizer_files
from copywriter.training import contract, fit, launch, lora, order, packing, state, step, tokens, tracking, trainer

# What does not change the result: where it is logged, how often it is saved, what comes after it.
_WITHOUT_EFFECT = {"tracking", "save_steps", "dataset", "sample", "split", "clean", "decoding", "fit"}
_CODE = (
    "prompt.py",
    "model.py",
    "training/tokens.py",
    "training/packing.py",
    "training/order.py",
    "training/nf4.py",
    "training/int8.py",
    "training/lora.py",
    "training/attention.py",
    "training/loss.py",
    "graph.py",
    "training/step.py",
    "training/trainer.py",
)
_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes")


def fingerprint(p: params.Params, base: dict[str, str], processes: int = 1) -> str:
    """A hash of all that determines the adapter: rows, base, parameters, this code and the libraries under it."""
    code = [Path(__file__), *(Path(canonical.__file__).parent / name for name in _CODE)]
    return canonical.digest(
        {
            "params": {key: value for key, value in p.model_dump().items() if key not in _WITHOUT_EFFECT},
            "processes": processes,  # each rounds and drops out on its own
            "data": [canonical.sha256(paths.TRAIN), canonical.sha256(paths.VALIDATION)],
            "base": base,
            "code": [canonical.sha256(file) for file in code],
            "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        }
    )[:16]


def config() -> PreTrainedConfig:
    """The base model's shapes."""
    stage.existing(paths.BASE / "config.json", "dvc repro fetch_model")
    found: PreTrainedConfig = AutoConfig.from_pretrained(paths.BASE, local_files_only=True)
    return found


def sequences(examples: Sequence[Example], p: params.Params) -> packing.Sequences:
    """The examples as training sequences: packed into max_length tokens, or one row each."""
    lengths = [len(example.input_ids) for example in examples]
    groups = packing.pack(lengths, p.max_length) if p.packing else [[row] for row in range(len(lengths))]
    return packing.Sequences([[examples[row] for row in group] for group in groups], groups)


def read(file: Path, prompter: Prompter, p: params.Params) -> tuple[list[Example], packing.Sequences]:
    """The rows of a file as examples and as sequences; UserError with the row that breaks the token contract."""
    examples = tokens.examples(file, paths.BASE, prompter, p)
    contract.check_lengths(examples, p, file)
    packed = sequences(examples, p)
    vocabulary = config().get_text_config().vocab_size
    contract.check(packed, prompter.end, vocabulary, file)
    return examples, packed


def shared(p: params.Params, processes: int) -> params.Params:
    """The params with a micro-batch of which each process gets equally many; a line says so when it shrinks."""
    size = order.micro_batch(p.batch_size, p.micro_batch_size, processes)
    if size != p.micro_batch_size:
        print(
            f"train_qlora: micro_batch_size is {size} instead of {p.micro_batch_size}: {processes} processes share "
            f"batch_size {p.batch_size}",
            file=sys.stderr,
        )
    return p.model_copy(update={"micro_batch_size": size})


def fitted(p: params.Params, sequences: int, dtype: torch.dtype, processor: torch.device) -> params.Params:
    """The params with what it takes to fit the GPU's memory; a line says what was changed."""
    device.check_format(config().model_type, dtype)
    if processor.type != "cuda":
        return p
    # Every process must choose alike, so the GPU with the least free memory decides.
    least = gather(torch.tensor(torch.cuda.mem_get_info(processor)[0], device=processor)).min()
    compiled = step.obstacle(p, processor, -(-sequences // p.batch_size)) is None
    chosen, changes = fit.fitted(p, config(), dtype, int(least), compiled)
    for change in changes:
        print(f"train_qlora: {change}", file=sys.stderr)
    return chosen


def save(adapted: PeftModel, receipt: dict[str, Any], folder: Path) -> None:
    """Writes the adapter's folder, whole or not at all, in canonical form: equal training gives equal bytes."""
    with canonical.new_folder(folder) as aside:
        adapted.save_pretrained(str(aside))
        (aside / "README.md").unlink(missing_ok=True)
        written = aside / "adapter_config.json"
        targets = json.loads(written.read_text())["target_modules"]
        change = {"target_modules": sorted(targets), "base_model_name_or_path": paths.BASE.as_posix()}
        canonical.rewrite_json(written, drop=("peft_version",), change=change)
        for file in tokenizer_files(paths.BASE):
            (aside / file.name).write_bytes(file.read_bytes())
        files = canonical.folder_hashes(aside)
        canonical.write_json(aside / model.RECEIPT, {**receipt, "files": files})


def run(p: params.Params) -> str:
    """Reads, trains and writes; the summary for the log."""
    team = launch.team()
    p = shared(p, team.num_processes)
    processor = device.choose()
    dtype = device.dtype(p.precision, processor)
    tokenizer = load_tokenizer(paths.BASE)
    prompter = Prompter(tokenizer, p)
    base = model.base_identity(paths.BASE)
    with team.local_main_process_first():  # it keeps the tokens that the others then find
        train, train_data = read(paths.TRAIN, prompter, p)
        validation, validation_data = read(paths.VALIDATION, prompter, p)
    where = f"{team.num_processes} x {device.name(processor)}"
    p = fitted(p, len(train_data), dtype, processor)
    print(f"train_qlora: {tracking.outlook(train_data, p, base['model'], where)}", file=sys.stderr)
    mark = fingerprint(p, base, team.num_processes)
    folder = paths.RUNS / "train" / mark
    with state.one_writer(folder) if team.is_main_process else nullcontext(), fit.exhausted(p):
        team.wait_for_everyone()
        weights = model.load_base(paths.BASE, p.quantization, dtype, processor)
        if model.keeps_dense(p.dequantize, paths.BASE, processor):
            weights = model.dequantized(weights)
        adapted = lora.with_adapter(weights, p)
        history: list[dict[str, Any]] = []
        steps = 0
        if p.epochs:
            callbacks = [
                tracking.StopOnNan(),
                tracking.Speed(base["model"], where, int(train_data.lengths.sum())),
                *tracking.trackers(p.tracking if team.is_main_process else [], folder, mark),
            ]
            training = trainer.QloraTrainer(
                adapted, tokenizer, p, train_data, validation_data, folder, dtype, callbacks
            )
            print(f"train_qlora: a step is {training.step}", file=sys.stderr)
            contract.check_batches(training, validation, validation_data)
            training.fit()
            history, steps = training.state.log_history, training.state.global_step
        receipt = {
            "fingerprint": mark,
            "base": base,
            "params": {key: value for key, value in p.model_dump().items() if key not in _WITHOUT_EFFECT},
            "data": {path.as_posix(): canonical.sha256(path) for path in (paths.TRAIN, paths.VALIDATION)},
            "processes": team.num_processes,
            "rows": len(train),
            "cut_rows": sum(example.cut for example in train),
            "tokens_per_epoch": int(train_data.lengths.sum()),
            "steps": steps,
        }
        if team.is_main_process:
            save(adapted, receipt, paths.ADAPTER)
            tracking.write_history(paths.TRAIN_HISTORY, history, tracking.TRAIN_COLUMNS)
            tracking.write_history(paths.VALIDATION_HISTORY, history, tracking.VALIDATION_COLUMNS)
        team.wait_for_everyone()
    return f"{len(train):,} rows, {receipt['cut_rows']:,} cut at a word, {steps:,} steps on {processor}"


def main() -> None:
    """Wires the stage; --dry-memory says what training would take, and what fits --gib N GiB, on any machine."""
    parser = argparse.ArgumentParser(prog="python -m stages.train_qlora", description=main.__doc__)
    parser.add_argument("--dry-memory", action="store_true")
    parser.add_argument("--gib", type=float, help="free memory of the GPU in question")
    options = parser.parse_args()
    if options.dry_memory:
        stage.run("train_qlora", lambda: fit.forecast(params.load(), config(), options.gib))
    else:
        launch.run("train_qlora", lambda: run(params.load()))


if __name__ == "__main__":
    main()
