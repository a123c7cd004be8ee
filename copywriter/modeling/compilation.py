"""Transformer blocks compiled, whether a machine can, and where compilations are kept for the next run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from copywriter import paths


def obstacle(device: torch.device) -> str | None:
    """Why nothing can be compiled for this processor; None where it can."""
    if device.type != "cuda":
        return "not on CUDA"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "not compiled: the card is older than Ampere"
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")):
        return "not compiled: there is no C compiler"
    return None


def begin(model: PreTrainedModel) -> None:
    """Compiles each transformer block at its first call, at fixed shapes: they share one compilation."""
    keep()
    torch.compiler.reset()  # compilations of an earlier run in this process count against a limit
    for block in _blocks(model):
        block.compile(dynamic=False, fullgraph=True)


def keep() -> None:
    """Makes the next run find what this one compiles, under runs/compile; a folder that the user has set stays."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir  # seconds, for who compiles alone

    if os.environ.get("TORCHINDUCTOR_CACHE_DIR", default_cache_dir()) == default_cache_dir():  # its import sets it
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str((paths.RUNS / "compile").resolve())  # Triton's lies within


@contextmanager
def compiled(model: PreTrainedModel) -> Iterator[None]:
    """Within, the model's blocks are compiled."""
    begin(model)
    try:
        yield
    finally:
        for block in _blocks(model):
            block._compiled_call_impl = None


def _blocks(model: PreTrainedModel) -> list[Any]:
    return list(cast(Any, model).model.layers)
