"""Trains a LoRA adapter on the quantized base model.

Reads data/train.parquet, data/validation.parquet, models/base.
Writes models/adapter (adapter, tokenizer, licence notices, receipt.json), metrics/{train,validation}_history.csv;
checkpoints and TensorBoard curves under runs/.
Params: all but dataset, sample, split, clean and decoding.
"""

import argparse
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from copywriter import best_step, files, notices, params, paths, stage, tokenizer_check
from copywriter.checkpoints import checkpoint_files, fingerprint
from copywriter.checkpoints.lock import one_writer
from copywriter.modeling import device
from copywriter.modeling.loading import WEIGHTS
from copywriter.prompt import tokenizer_files
from copywriter.training import experiment, launch, memory_fit, receipt, tracking
from copywriter.training.interrupts import Interrupts

SHIPPED = torch.bfloat16  # the format of the adapter's file


def save(adapted: PeftModel, contents: dict[str, Any], folder: Path) -> None:
    """Writes the adapter's folder, whole or not at all, in canonical form: equal training gives equal bytes."""
    with files.new_folder(folder) as aside:
        adapted.save_pretrained(str(aside))
        weights = {name: tensor.to(SHIPPED) for name, tensor in load_file(aside / WEIGHTS).items()}
        save_file(weights, aside / WEIGHTS, metadata={"format": "pt"})
        (aside / "README.md").unlink(missing_ok=True)
        written = aside / "adapter_config.json"
        config = json.loads(written.read_text())
        sets = {name: config[name] for name in ("target_modules", "exclude_modules")}  # in any order, or a pattern
        ordered = {name: sorted(value) for name, value in sets.items() if isinstance(value, list)}
        change = {"base_model_name_or_path": paths.BASE.as_posix(), **ordered}
        files.rewrite_json(written, drop=("peft_version",), change=change)
        for file in tokenizer_files(paths.BASE):
            (aside / file.name).write_bytes(file.read_bytes())
        notices.copy(paths.BASE, aside)
        receipt.write(aside, contents)


@torch.no_grad()
def round_to_shipped(weights: torch.Tensor) -> None:
    """Rounds the adapter to the values that its file will have; checkpoints stay in float32."""
    weights.copy_(weights.to(SHIPPED))


def run(asked: params.Params) -> str:
    """Reads, trains and writes; the summary for the log."""
    with Interrupts() as interrupts:
        return _run(asked, interrupts)


def _run(asked: params.Params, interrupts: Interrupts) -> str:
    tokenizer_check.require(paths.BASE)
    of = experiment.prepare(asked)
    team, folder = of.team, of.folder
    for line in of.plan.describe():
        print(f"train_qlora: {line}", file=sys.stderr)
    where = f"{team.num_processes} x {device.name(of.processor)}"
    print(f"train_qlora: {tracking.time_estimate(of.train_data, asked, of.base['model'], where)}", file=sys.stderr)
    main = team.is_main_process
    with one_writer(folder) if main else nullcontext() as writer, memory_fit.exhausted(of.plan.memory):
        if main:
            with checkpoint_files.explained(folder):
                files.write_json(folder / "machine.json", fingerprint.machine(of.processor))
        team.wait_for_everyone()
        history: list[dict[str, Any]] = []
        training = None
        if asked.epochs:
            callbacks = [
                tracking.Speed(of.base["model"], where, int(of.train_data.lengths.sum())),
                *tracking.trackers(asked.tracking if main else [], folder, folder.name),
            ]
            training = of.trainer(folder, callbacks, interrupts, writer.check if writer else lambda: None)
            training.fit()
            history = training.state.log_history
            if main and (advice := best_step.advice(history, asked.epochs)):
                print(f"train_qlora: {advice}", file=sys.stderr)
            round_to_shipped(training.step.weights)
        contents = receipt.contents(of, training)
        if main:
            save(training.adapter if training else of.adapted(), contents, paths.ADAPTER)
            tracking.write_history(paths.TRAIN_HISTORY, history, tracking.TRAIN_COLUMNS)
            tracking.write_history(paths.VALIDATION_HISTORY, history, tracking.VALIDATION_COLUMNS)
        team.wait_for_everyone()
    cut, steps = contents["cut_rows"], contents["steps"]
    without = contents["untrained_tokens"] / int((of.train_data.lengths - of.train_data.prompts).sum())
    return (
        f"{len(of.train):,} rows, {cut:,} cut at a word, {without:.1%} of the responses' tokens without loss "
        f"(unsupported numbers), {steps:,} steps on {of.processor}"
    )


def main() -> None:
    """Runs the stage; --dry-memory prints the expected memory, and what fits --gib N GiB, without a GPU too."""
    parser = argparse.ArgumentParser(prog="python -m stages.train_qlora", description=main.__doc__)
    parser.add_argument("--dry-memory", action="store_true")
    parser.add_argument("--gib", type=float, help="free memory of the GPU in question")
    options = parser.parse_args()
    if options.dry_memory:
        stage.run("train_qlora", lambda: memory_fit.forecast(params.load(), experiment.config(), options.gib))
    else:
        launch.run("train_qlora", lambda: run(params.load()))


if __name__ == "__main__":
    main()
