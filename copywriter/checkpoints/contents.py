"""Contents of a checkpoint: everything that the next step depends on, as safetensors and JSON; no pickle."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from transformers.trainer import TRAINER_STATE_NAME

from copywriter import files

_TENSORS = "state.safetensors"
_PROGRESS = "progress.json"


def take(training: Any) -> dict[str, bytes]:
    """The files of a checkpoint of `training` (a QloraTrainer between two steps); all processes call it together."""
    weights = training.step.weights
    moments = training.optimizer.state[weights]
    everyones = training.accelerator.gather(own(training).to(weights.device)[None])  # (processes, bytes)
    tensors = {"weights": weights, "random": everyones}
    tensors |= {name: moments[name] for name in ("step", "exp_avg", "exp_avg_sq")}
    scaler = getattr(training.accelerator, "scaler", None)
    progress = {
        "scheduled": training.lr_scheduler.last_epoch,
        "logged": training._globalstep_last_logged,
        "scaler": scaler.state_dict() if scaler else None,
    }
    return {
        _TENSORS: to_bytes({name: one.detach().cpu().contiguous() for name, one in tensors.items()}),
        TRAINER_STATE_NAME: files.dumps(dataclasses.asdict(training.state)).encode(),
        _PROGRESS: files.dumps(progress).encode(),
    }


def restore_weights(training: Any, checkpoint: Path) -> None:
    """Restores the adapter's weights."""
    training.step.weights.data.copy_(weights(checkpoint))


def weights(checkpoint: Path) -> torch.Tensor:
    """The adapter's weights: flat, float32, on the CPU."""
    return load_file(checkpoint / _TENSORS)["weights"]


def restore_optimizer(training: Any, checkpoint: Path) -> None:
    """Restores the optimizer's moments, the schedule's step and the loss scale."""
    tensors, progress = load_file(checkpoint / _TENSORS), _progress(checkpoint)
    moments = {name: tensors[name] for name in ("step", "exp_avg", "exp_avg_sq")}
    groups = training.optimizer.state_dict()["param_groups"]
    training.optimizer.load_state_dict({"state": {0: moments}, "param_groups": groups})
    scheduler = training.lr_scheduler
    scheduler.last_epoch = progress["scheduled"]
    factor = training.schedule.factor(scheduler.last_epoch)
    scheduler._last_lr = [rate * factor for rate in scheduler.base_lrs]
    for group, rate in zip(training.optimizer.param_groups, scheduler._last_lr, strict=True):
        group["lr"] = rate
    if progress["scaler"]:
        training.accelerator.scaler.load_state_dict(progress["scaler"])


def restore_log(training: Any, checkpoint: Path) -> None:
    """Restores the loss summed since the last log entry."""
    _, waiting = _parts(training, _row(training, checkpoint))
    training._tr_loss.copy_(waiting)
    training._globalstep_last_logged = _progress(checkpoint)["logged"]


def restore_random(training: Any, checkpoint: Path) -> None:
    """Restores the random states of this process."""
    set_random(training, _row(training, checkpoint))


def rewind(training: Any) -> None:
    """Undoes an interrupted step: restores random state and logged loss; the weights have not changed yet."""
    if training.at_begin is not None:
        set_random(training, training.at_begin)
        training._tr_loss.copy_(_parts(training, training.at_begin)[1])


def own(training: Any) -> torch.Tensor:
    """This process's random states and the loss that is not logged yet: uint8 (bytes), on the CPU."""
    parts = [torch.get_rng_state()]
    if training.args.device.type == "cuda":
        parts.append(torch.cuda.get_rng_state(training.args.device))
    return torch.cat([*parts, training._tr_loss.detach().cpu().reshape(1).view(torch.uint8)])


def set_random(training: Any, state: torch.Tensor) -> None:
    """Sets random states from the bytes that `own` returned."""
    random, _ = _parts(training, state)
    size = len(torch.get_rng_state())
    torch.set_rng_state(random[:size])
    if training.args.device.type == "cuda":
        torch.cuda.set_rng_state(random[size:], training.args.device)


def _parts(training: Any, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    size = training._tr_loss.element_size()
    return state[:-size].clone(), state[-size:].clone().view(training._tr_loss.dtype)[0]


def _row(training: Any, checkpoint: Path) -> torch.Tensor:
    return load_file(checkpoint / _TENSORS)["random"][training.accelerator.process_index]


def _progress(checkpoint: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((checkpoint / _PROGRESS).read_text())
    return content
