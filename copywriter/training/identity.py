"""What determines a training's result, as hashes: the receipt's fingerprint, and the name of its state under runs/."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import torch

from copywriter import canonical, device, paths
from copywriter.params import Params
from copywriter.training.schedule import Schedule

# What does not change the result: where it is logged, how often it is saved, what comes after it.
_WITHOUT_EFFECT = {"tracking", "save_steps", "dataset", "sample", "split", "clean", "decoding", "fit"}
_CODE = (
    "compilation.py",
    "device.py",
    "graph.py",
    "model.py",
    "prompt.py",
    "training/arguments.py",
    "training/attention.py",
    "training/experiment.py",
    "training/groups.py",
    "training/int8_layer.py",
    "training/lora.py",
    "training/loss.py",
    "training/nf4_layer.py",
    "training/order.py",
    "training/packing.py",
    "training/schedule.py",
    "training/snapshot.py",
    "training/state.py",
    "training/step.py",
    "training/tokens.py",
    "training/trainer.py",
    "training/watch.py",
)
_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes")


def effective(p: Params) -> dict[str, Any]:
    """The params that can change the adapter."""
    return {key: value for key, value in p.model_dump().items() if key not in _WITHOUT_EFFECT}


def fingerprint(p: Params, base: dict[str, str], processes: int = 1) -> str:
    """A hash of all that determines the adapter but the machine: rows, base, parameters, this code.

    Without `epochs` where the schedule does not depend on the total: there it only says where to stop.
    """
    given = effective(p)
    if Schedule(p.schedule, 1, 1).extends:
        del given["epochs"]
    here = Path(canonical.__file__).parent
    return canonical.digest(
        {
            "params": given,
            "processes": processes,  # each rounds and drops out on its own
            "data": [canonical.sha256(paths.TRAIN), canonical.sha256(paths.VALIDATION)],
            "base": base,
            "code": [canonical.sha256(here / name) for name in _CODE],
        }
    )[:16]


def machine(processor: torch.device) -> dict[str, str]:
    """What rounds otherwise elsewhere: library versions and the kind of processor."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {**versions, "device": device.name(processor), "architecture": platform.machine()}


def state_name(mark: str, processor: torch.device) -> str:
    """The name of the folder under runs/train: state goes on only where it would have come to the same bits."""
    return canonical.digest([mark, machine(processor)])[:16]
