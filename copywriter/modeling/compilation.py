"""Compiles transformer blocks, says why a machine cannot, and sets the cache folder for compiled code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.checkpoint import checkpoint

from copywriter import paths

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def obstacle(device: torch.device) -> str | None:
    """The reason why nothing can be compiled for this device; None where compilation works."""
    if device.type != "cuda":
        return "not on CUDA"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "not compiled: the card is older than Ampere"
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")):
        return "not compiled: there is no C compiler"
    return None


def begin(model: PreTrainedModel) -> None:
    """Compiles each transformer block at its first call, for fixed shapes; all blocks share one compilation."""
    keep()
    torch.compiler.reset()  # compilations of an earlier run in this process count towards a limit
    for block in _blocks(model):
        block.compile(dynamic=False, fullgraph=True)


def recompute(model: PreTrainedModel, random: bool) -> None:
    """Makes each compiled block keep only its inputs, and compute itself again in the backward pass.

    transformers' checkpointing is part of the block, where it does not compile. `random`: whether blocks draw random
    numbers, which they then draw again; the random state cannot be read while a CUDA graph is captured.
    """
    for block in _blocks(model):
        block._compiled_call_impl = partial(
            checkpoint, block._compiled_call_impl, use_reentrant=False, preserve_rng_state=random
        )


def keep() -> None:
    """Sets torch's cache folder to runs/compile, so that runs reuse compiled code; keeps a folder that the user set."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir  # takes seconds to import

    # Importing torch's compiler sets the variable to the default.
    if os.environ.get("TORCHINDUCTOR_CACHE_DIR", default_cache_dir()) == default_cache_dir():
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str((paths.RUNS / "compile").resolve())  # Triton's cache is inside


@contextmanager
def compiled(model: PreTrainedModel) -> Iterator[None]:
    """A context in which the model's blocks are compiled."""
    begin(model)
    try:
        yield
    finally:
        for block in _blocks(model):
            block._compiled_call_impl = None


def _blocks(model: PreTrainedModel) -> list[Any]:
    return list(cast(Any, model).model.layers)
