"""What is seen of a run: TensorBoard, Weights & Biases, the curves as CSV, and a stop when the loss is no number."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.integrations.integration_utils import TensorBoardCallback, WandbCallback

from copywriter import canonical
from copywriter.stage import UserError

TRAIN_COLUMNS = ("step", "epoch", "loss", "learning_rate", "grad_norm")
VALIDATION_COLUMNS = ("step", "epoch", "eval_loss")


class StopOnNan(TrainerCallback):
    """Ends a run whose loss is no longer a number, before it overwrites good state."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Raises UserError when the logged loss is NaN or infinite."""
        value = (logs or {}).get("loss")
        if value is not None and not torch.isfinite(torch.tensor(float(value))):
            raise UserError(f"the loss became {value} at step {state.global_step}; lower learning_rate and run again")


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
    with canonical.new_file(path) as aside, aside.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(entry for entry in log if all(column in entry for column in columns))
