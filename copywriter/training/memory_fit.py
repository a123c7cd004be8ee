"""A run that would not fit the GPU's memory gets the smallest change that fits, or a sentence that names it."""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import accumulate
from typing import Any

import torch
from transformers import PreTrainedConfig

from copywriter.errors import UserError
from copywriter.modeling import device
from copywriter.params import Advanced, Params
from copywriter.training import memory
from copywriter.training.memory import MemorySettings


def fit(
    params: Params,
    asked: MemorySettings,
    config: PreTrainedConfig,
    dtype: torch.dtype,
    free: int,
    may_compile: bool = True,
) -> tuple[MemorySettings, list[str]]:
    """`asked` with the smallest change that fits `free` bytes of GPU memory, and a sentence on what was changed.

    `dequantize: auto` allows dequantize: false. UserError where `memory_fit: stop` forbids the change, or where it
    would alter the result beyond rounding.
    """
    sizes = memory.sizes(config, params)
    auto = params.advanced.dequantize == "auto"
    needs = []
    for settings in _candidates(asked, auto):
        needs.append(sum(memory.expected(sizes, params, settings, dtype, may_compile).values()))
        need = f"training needs about {_gib(needs[0])} of GPU memory and {_gib(free)} are free"
        if needs[-1] > free:
            continue
        changes = _changes(asked, settings)
        forbidden = set(changes) - ({"dequantize"} if auto else set())
        if forbidden and (params.advanced.memory_fit == "stop" or "quantization" in forbidden):
            other = "" if "quantization" in forbidden else ", or advanced.memory_fit: auto"
            raise UserError(f"{need}; set {_as_yaml(changes)} (then about {_gib(needs[-1])}){other}")
        return settings, [f"{need}: {_as_yaml(changes)} (then about {_gib(needs[-1])})"] if changes else []
    raise UserError(f"{need}, and at least about {_gib(min(needs))}; choose a smaller model or max_length")


def forecast(params: Params, config: PreTrainedConfig, gib: float | None = None) -> str:
    """The expected memory by part, and what `fit` would do with `gib` GiB free, by default the GPU's own.

    On a machine without a GPU `precision: auto` counts as bf16.
    """
    processor = device.choose()
    cuda = processor.type == "cuda"
    if cuda:
        dtype = device.dtype(params.precision, processor)
    else:
        dtype = torch.bfloat16 if params.precision == "auto" else device.DTYPES[params.precision]
    asked = MemorySettings(
        quantization=params.quantization,
        dequantize=params.advanced.dequantize is not False,
        gradient_checkpointing=params.advanced.gradient_checkpointing,
        micro_batch_size=params.micro_batch_size,
    )
    free = int(gib * memory.GIB) if gib else torch.cuda.mem_get_info(processor)[0] if cuda else None
    chosen, remarks = _forecast_fit(params, asked, config, dtype, free)
    parts = memory.expected(memory.sizes(config, params), params, chosen, dtype)
    return "\n".join([memory.table(parts), *remarks])


def _forecast_fit(
    params: Params, asked: MemorySettings, config: PreTrainedConfig, dtype: torch.dtype, free: int | None
) -> tuple[MemorySettings, list[str]]:
    if free is None:
        return asked, []
    try:
        chosen, changes = fit(params, asked, config, dtype, free)
    except UserError as error:
        return asked, [str(error)]
    return chosen, changes or [f"fits: {_gib(free)} are free"]


@contextmanager
def exhausted(settings: MemorySettings) -> Iterator[None]:
    """Turns a GPU's lack of memory into a UserError with the next change to try."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "ALLOC_FAILED" not in str(error):  # cuBLAS has its own
            raise
        changes = next(filter(None, (_changes(settings, one) for one in _candidates(settings))), None)
        cure = f"set {_as_yaml(changes)}" if changes else "choose a smaller model or max_length"
        raise UserError(
            f"the GPU's memory ran out: other programs use it, or it takes more than expected; {cure}"
        ) from None


def _candidates(asked: MemorySettings, auto: bool = False) -> Iterator[MemorySettings]:
    """`asked`, and settings that take ever less memory for ever more time or, at last, give another result.

    `auto`: dequantize is given up before the micro-batch gets smaller.
    """
    if auto:
        yield asked
        yield replace(asked, dequantize=False)
    sizes = [size for size in range(asked.micro_batch_size, 0, -1) if asked.micro_batch_size % size == 0]
    ways: list[dict[str, Any]] = [{}, {"dequantize": False}, {"gradient_checkpointing": True}]
    if asked.quantization == "none":  # there are no quantized weights to keep
        ways.remove({"dequantize": False})
    for changes in accumulate([*ways, {"quantization": "4bit", "dequantize": False}], operator.or_):
        for size in sizes:
            yield replace(asked, **changes, micro_batch_size=size)


def _changes(asked: MemorySettings, other: MemorySettings) -> dict[str, Any]:
    before = asdict(asked)
    return {key: value for key, value in asdict(other).items() if before[key] != value}


def _as_yaml(changes: dict[str, Any]) -> str:
    """Changes by their keys in params.yaml, as `-S` takes them."""
    keys = {key: f"advanced.{key}" if key in Advanced.model_fields else key for key in changes}
    return ", ".join(f"{keys[key]}: {str(value).lower()}" for key, value in changes.items())


def _gib(size: float) -> str:
    return f"{size / memory.GIB:.1f} GiB"
