"""What determines a training's result, as hashes: the receipt's fingerprint, and the name of its state under runs/."""

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

import torch

from copywriter import files, paths
from copywriter.checkpoints.schedule import Schedule
from copywriter.code_hash import code_hash
from copywriter.errors import UserError
from copywriter.modeling import device
from copywriter.params import Params

# What does not change the result: where it is logged, how often it is saved, what comes after it.
_WITHOUT_EFFECT = {"tracking", "save_steps", "dataset", "sample", "split", "clean", "decoding", "fit"}
_CODE = (
    "checkpoints/checkpoint_files.py",
    "checkpoints/contents.py",
    "checkpoints/schedule.py",
    "modeling/attention.py",
    "modeling/compilation.py",
    "modeling/cuda_graph.py",
    "modeling/device.py",
    "modeling/int8_layer.py",
    "modeling/loading.py",
    "modeling/lora.py",
    "modeling/lora_groups.py",
    "modeling/loss.py",
    "modeling/nf4_layer.py",
    "prompt.py",
    "training/arguments.py",
    "training/callbacks.py",
    "training/data_order.py",
    "training/experiment.py",
    "training/packing.py",
    "training/step.py",
    "training/tokenized_rows.py",
    "training/trainer.py",
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
    return files.digest(
        {
            "params": given,
            "processes": processes,  # each rounds and drops out on its own
            "data": [files.sha256(paths.TRAIN), files.sha256(paths.VALIDATION)],
            "base": base,
            "code": code(),
        }
    )[:16]


def code() -> str:
    """The hash of the training's code; if `make relock` proved it equal to the code that trained, the hash of that."""
    package = Path(files.__file__).parent
    found = code_hash(package / name for name in _CODE)
    return relocked().get(found, found)


def relocked() -> dict[str, str]:
    """Hashes of code that `make relock` found to give equal results, each with the hash that the fingerprint uses."""
    if not paths.RELOCKED.exists():
        return {}
    try:
        found = json.loads(paths.RELOCKED.read_text(encoding="utf-8"))["training_code"]
        return {str(key): str(value) for key, value in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{paths.RELOCKED} is not a file of make relock; run 'git checkout {paths.RELOCKED}'") from None


def machine(processor: torch.device) -> dict[str, str]:
    """What rounds otherwise elsewhere: library versions and the kind of processor."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {**versions, "device": device.name(processor), "architecture": platform.machine()}


def state_name(mark: str, processor: torch.device) -> str:
    """The name of the folder under runs/train: state goes on only where it would have come to the same bits."""
    return files.digest([mark, machine(processor)])[:16]


if __name__ == "__main__":  # for `make relock`, which asks each of two versions of the code for its own hash
    print(code())
