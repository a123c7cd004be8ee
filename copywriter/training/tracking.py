"""Tracking of a run: TensorBoard, Weights & Biases, histories as CSV, and its speed."""

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.integrations.integration_utils import TensorBoardCallback, WandbCallback

from copywriter import files, paths, stage, throughput
from copywriter.errors import UserError
from copywriter.params import Params
from copywriter.training.packing import Sequences

TRAIN_COLUMNS = ("step", "epoch", "loss", "learning_rate", "grad_norm")
VALIDATION_COLUMNS = ("step", "epoch", "eval_loss")


class Speed(TrainerCallback):
    """Writes runs/speed.json at the end of training: tokens a second, and seconds until the first step was done."""

    def __init__(self, model: str, device: str, tokens: int) -> None:
        """`tokens`: of an epoch, padding left out."""
        self._of = {"model": model, "device": device}
        self._tokens = tokens
        self._first: tuple[int, float] | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Takes the time after the first step, which compiles and captures; the only one to synchronize with."""
        if self._first is None:
            self._first = (state.global_step, _now())
            self._setting_up, _ = stage.running()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Writes the file, unless there was only one step."""
        if self._first is None or not state.is_world_process_zero or state.global_step == self._first[0]:
            return
        step, then = self._first
        tokens = self._tokens * state.num_train_epochs * (state.global_step - step) / state.max_steps
        measured = {
            "tokens_per_second": round(tokens / (_now() - then)),
            "seconds_to_first_step": round(self._setting_up, 1),
        }
        files.write_json(paths.SPEED, self._of | measured)


def time_estimate(data: Sequences, params: Params, model: str, device: str) -> str:
    """Steps, tokens and, where the last run had this model and device, the time that training will take."""
    real, places = int(data.lengths.sum()), len(data) * params.sequence_length
    steps = -(-len(data) // params.batch_size)
    line = (
        f"{params.epochs} epochs of {steps:,} steps; an epoch has {real:,} tokens, {data.trained_tokens.sum():,} of "
        f"them trained, in {len(data):,} sequences that are {real / places:.0%} full"
    )
    minutes, rate = throughput.minutes(params.epochs * real, model, device), throughput.measured(model, device)
    return line + f"; about {minutes:.1f} minutes at the {rate:,.0f} tokens/s of the last run" if minutes else line


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def trackers(names: Sequence[str], folder: Path, name: str) -> list[TrainerCallback]:
    """Callbacks for the trackers that params.yaml lists, writing under `folder`."""
    found: list[TrainerCallback] = []
    if "tensorboard" in names:
        from torch.utils.tensorboard import SummaryWriter

        found.append(TensorBoardCallback(SummaryWriter(str(folder / "tensorboard"))))  # type: ignore[no-untyped-call]
    if "wandb" in names:
        try:
            import wandb
        except ImportError:
            raise UserError("tracking lists wandb, which is not installed; run 'pip install wandb'") from None

        wandb.init(project="copywriter", name=name, dir=str(folder), resume="allow", id=name)
        found.append(WandbCallback())  # type: ignore[no-untyped-call]
    return found


def write_history(path: Path, log: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """The log's entries that have all `columns`, as CSV; no wall-clock column may be among them."""
    with files.new_file(path) as aside, aside.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(entry for entry in log if all(column in entry for column in columns))
