"""Hashes of what determines a training's result: the receipt's fingerprint, and the folder of its state in runs/."""

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from copywriter import files, paths
from copywriter.checkpoints.schedule import Schedule
from copywriter.code_hash import code_hash
from copywriter.errors import UserError
from copywriter.modeling import device
from copywriter.params import Params
from copywriter.retrieval import neighbours

# No effect on the result: tracking, how often it is saved, later stages.
_WITHOUT_EFFECT = {"tracking", "save_steps", "dataset", "sample", "split", "clean", "decoding"}
_ADVANCED_WITHOUT_EFFECT = {"memory_fit"}  # what it changes is in the run plan
_CODE = (
    "checkpoints/checkpoint_files.py",
    "checkpoints/contents.py",
    "checkpoints/schedule.py",
    "grounding.py",
    "modeling/attention.py",
    "modeling/compilation.py",
    "modeling/cuda_graph.py",
    "modeling/device.py",
    "modeling/int8_layer.py",
    "modeling/loading.py",
    "modeling/lora.py",
    "modeling/lora_groups.py",
    "modeling/lora_targets.py",
    "modeling/loss.py",
    "modeling/nf4_layer.py",
    "prompt.py",
    "retrieval/neighbours.py",
    "sentences.py",
    "training/arguments.py",
    "training/callbacks.py",
    "training/data_order.py",
    "training/experiment.py",
    "training/packing.py",
    "training/run_plan.py",
    "training/step.py",
    "training/supported_loss.py",
    "training/tokenized_rows.py",
    "training/trainer.py",
)
_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes")


def effective(params: Params) -> dict[str, Any]:
    """The params that can change the adapter, as they were asked for."""
    without: dict[str, Any] = {**dict.fromkeys(_WITHOUT_EFFECT, True), "advanced": _ADVANCED_WITHOUT_EFFECT}
    if not params.retrieval.neighbours:
        without["retrieval"] = True
    return params.model_dump(exclude=without)


def as_planned(given: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Params as a dict, with the settings that a run's plan decided in place of those that were asked for."""
    decided = {key: plan[key] for key in ("dequantize", "gradient_checkpointing")}
    return {**given, "micro_batch_size": plan["micro_batch_size"], "advanced": {**given["advanced"], **decided}}


def fingerprint(params: Params, plan: Mapping[str, Any], base: Mapping[str, str]) -> str:
    """A hash of all that determines the adapter except the machine: rows, base, parameters, this code.

    `plan`: RunPlan.content; a setting that it decided counts as if it had been asked for. `epochs` counts only where
    the schedule depends on the total; elsewhere it only says where to stop.
    """
    given = as_planned(effective(params), plan)
    if Schedule(params.schedule, 1, 1, params.advanced.decay_shape).extends:
        del given["epochs"]
    return files.digest(
        {
            "params": given,
            "processes": plan["processes"],  # each rounds and drops out on its own
            "data": [files.sha256(file) for file in data(params)],
            "base": base,
            "code": code(),
        }
    )[:16]


def data(params: Params) -> list[Path]:
    """The files of rows that the training reads."""
    shown = [neighbours.file(rows) for rows in (paths.TRAIN, paths.VALIDATION)] if params.retrieval.neighbours else []
    return [paths.TRAIN, paths.VALIDATION, *shown]


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
    """What changes rounding: library versions and the model of processor."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {**versions, "device": device.name(processor), "architecture": platform.machine()}


def state_name(mark: str, processor: torch.device) -> str:
    """The folder name under runs/train: a run resumes only where it would have computed the same bits."""
    return files.digest([mark, machine(processor)])[:16]


if __name__ == "__main__":  # for `make relock`, which asks each of two versions of the code for its own hash
    print(code())
