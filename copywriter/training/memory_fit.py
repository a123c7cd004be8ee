"""A run that would not fit the GPU's memory gets the smallest change that fits, or a sentence that names it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedConfig

from copywriter.errors import UserError
from copywriter.modeling import device
from copywriter.params import Params
from copywriter.training import memory


def fitted(
    p: Params, config: PreTrainedConfig, dtype: torch.dtype, free: int | None, compiled: bool = True
) -> tuple[Params, list[str]]:
    """`p` with the smallest change that fits `free` bytes of GPU memory, and a sentence on what was changed.

    `dequantize: auto` is decided here too. UserError where `fit: stop` forbids the change, or where it would alter the
    result beyond rounding. None free: training is not on a GPU and nothing is changed; a CPU's memory can be swapped.
    """
    if free is None:
        return p, []
    of = memory.sizes(config, p)
    needs = []
    for one in _candidates(p):
        needs.append(sum(memory.expected(of, one, dtype, compiled).values()))
        room = f"training needs about {_gib(needs[0])} of GPU memory and {_gib(free)} are free"
        if needs[-1] > free:
            continue
        changes = _changes(p, one)
        asked = set(changes) - ({"dequantize"} if p.dequantize == "auto" else set())
        if asked and (p.fit == "stop" or "quantization" in asked):
            other = "" if "quantization" in asked else ", or fit: auto"
            raise UserError(f"{room}; set {_said(changes)} (then about {_gib(needs[-1])}){other}")
        return one, [f"{room}: {_said(changes)} (then about {_gib(needs[-1])})"] if changes else []
    raise UserError(f"{room}, and at least about {_gib(min(needs))}; choose a smaller model or max_length")


def forecast(p: Params, config: PreTrainedConfig, gib: float | None = None) -> str:
    """The expected memory by part, and what `fitted` would do with `gib` GiB free, by default the GPU's own.

    On a machine without a GPU `precision: auto` counts as bf16.
    """
    processor = device.choose()
    cuda = processor.type == "cuda"
    auto = not cuda and p.precision == "auto"
    dtype = torch.bfloat16 if auto else device.DTYPES[p.precision] if not cuda else device.dtype(p.precision, processor)
    free = int(gib * memory.GIB) if gib else torch.cuda.mem_get_info(processor)[0] if cuda else None
    chosen, said = p, [] if free is None else [f"fits: {_gib(free)} are free"]
    try:
        chosen, changed = fitted(p, config, dtype, free)
        said = changed or said
    except UserError as error:
        said = [str(error)]
    return "\n".join([memory.table(memory.expected(memory.sizes(config, p), chosen, dtype)), *said])


@contextmanager
def exhausted(p: Params) -> Iterator[None]:
    """Makes a GPU's want of memory a UserError with the next change to try."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "ALLOC_FAILED" not in str(error):  # cuBLAS has its own
            raise
        changes = next(filter(None, (_changes(p, one) for one in _candidates(p))), None)
        cure = f"set {_said(changes)}" if changes else "choose a smaller model or max_length"
        raise UserError(
            f"the GPU's memory ran out: other programs use it, or it takes more than expected; {cure}"
        ) from None


def _candidates(p: Params) -> Iterator[Params]:
    """`p`, and what takes ever less memory for ever more time or, at last, another result."""
    start = p.model_copy(update={"dequantize": True}) if p.dequantize == "auto" else p
    if p.dequantize == "auto":
        yield start
        yield p.model_copy(update={"dequantize": False})
    sizes = [size for size in range(p.micro_batch_size, 0, -1) if p.micro_batch_size % size == 0]
    ways: list[dict[str, Any]] = [{}, {"dequantize": False}, {"gradient_checkpointing": True}]
    if p.quantization == "none":  # nothing to keep packed
        ways.remove({"dequantize": False})
    for way in (*ways, {"quantization": "4bit", "dequantize": False}):
        start = start.model_copy(update=way)
        yield from (start.model_copy(update={"micro_batch_size": size}) for size in sizes)


def _changes(p: Params, other: Params) -> dict[str, Any]:
    """What `other` sets otherwise; `dequantize: auto` stands for true."""
    before = p.model_dump() | ({"dequantize": True} if p.dequantize == "auto" else {})
    return {key: value for key, value in other.model_dump().items() if before[key] != value}


def _said(changes: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {str(value).lower()}" for key, value in changes.items())


def _gib(size: float) -> str:
    return f"{size / memory.GIB:.1f} GiB"
