"""What one training run does on its machine, decided once: `Params` is what was asked for, `RunPlan` what is done."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from accelerate.utils import gather
from transformers import PreTrainedConfig

from copywriter.modeling import compilation, device, lora
from copywriter.params import Params
from copywriter.training import data_order, memory_fit
from copywriter.training.memory import MemorySettings

_WORTH_COMPILING = 200  # optimizer steps an epoch; compiling takes about 20 s and saves about 30 ms a step


@dataclass(frozen=True)
class RunPlan:
    """The settings that a run computes with. Equal runs on equal machines have equal plans."""

    processor: str  # cuda or cpu; which card it is changes no setting
    processes: int
    precision: str  # bf16, fp16 or fp32
    quantization: str
    micro_batch_size: int  # sequences at once in one process
    accumulation_steps: int  # micro-batches of one process in an optimizer step
    dequantize: bool
    gradient_checkpointing: bool
    compiled: bool
    cuda_graph: bool
    lora_forward: str  # grouped; or peft, slower, for options that only PEFT's own forward pass computes
    reasons: tuple[str, ...] = field(default=(), compare=False)  # why it differs from what was asked for

    @property
    def dtype(self) -> torch.dtype:
        """The number format that the model computes in."""
        return device.DTYPES[self.precision]

    @property
    def memory(self) -> MemorySettings:
        """The settings that decide how much memory the run takes."""
        return MemorySettings(self.quantization, self.dequantize, self.gradient_checkpointing, self.micro_batch_size)

    def content(self) -> dict[str, Any]:
        """The settings for the receipt. The reasons are left out: they may name what only this machine has."""
        return {key: value for key, value in asdict(self).items() if key != "reasons"}

    def describe(self) -> list[str]:
        """A line with every setting, and a line with the reasons where there are any."""
        settings = ", ".join(f"{key} {str(value).lower()}" for key, value in self.content().items())
        return [f"run plan: {settings}", *([f"because {'; '.join(self.reasons)}"] if self.reasons else [])]


def refuse_impossible(params: Params, config: PreTrainedConfig, processor: torch.device, processes: int) -> None:
    """Raises the UserErrors of `decide` that need no training rows, so before they are tokenized."""
    device.check_format(config.model_type, device.dtype(params.precision, processor))
    data_order.micro_batch(params.batch_size, params.micro_batch_size, processes)


def decide(
    params: Params, config: PreTrainedConfig, processor: torch.device, processes: int, sequences: int
) -> RunPlan:
    """The plan for so many training `sequences`; on CUDA it fits the free memory. All processes call it together.

    UserError when the processes cannot share a batch equally, or when no allowed setting fits the memory.
    """
    settings, reasons = memory_settings(params, processor, processes)
    if processor.type == "cuda":
        free = least_free(processor)
        compiled = why_eager(params, processor, sequences) is None
        dtype = device.dtype(params.precision, processor)
        fitting, changes = memory_fit.fit(params, settings, config, dtype, free, compiled)
        return with_settings(params, fitting, processor, processes, sequences, (*reasons, *changes))
    return with_settings(params, settings, processor, processes, sequences, reasons)


def least_free(processor: torch.device) -> int:
    """Free bytes of the GPU that has the fewest, so that all processes choose alike; all call it together."""
    return int(gather(torch.tensor(torch.cuda.mem_get_info(processor)[0], device=processor)).min())


def as_asked(params: Params, processor: torch.device, sequences: int, processes: int = 1) -> RunPlan:
    """The plan without a look at the free memory."""
    settings, reasons = memory_settings(params, processor, processes)
    return with_settings(params, settings, processor, processes, sequences, reasons)


def memory_settings(params: Params, processor: torch.device, processes: int) -> tuple[MemorySettings, tuple[str, ...]]:
    """What was asked for, with a micro-batch that the processes can share; why it is smaller where it is.

    `dequantize: auto` is true on CUDA, where the memory fit may take it back, and false on a CPU.
    """
    size = data_order.micro_batch(params.batch_size, params.micro_batch_size, processes)
    reason = (
        f"micro_batch_size is {size} instead of {params.micro_batch_size}: {processes} processes share "
        f"batch_size {params.batch_size}"
    )
    settings = MemorySettings(
        quantization=params.quantization,
        dequantize=processor.type == "cuda" if params.advanced.dequantize == "auto" else params.advanced.dequantize,
        gradient_checkpointing=params.advanced.gradient_checkpointing,
        micro_batch_size=size,
    )
    return settings, () if size == params.micro_batch_size else (reason,)


def with_settings(
    params: Params,
    settings: MemorySettings,
    processor: torch.device,
    processes: int,
    sequences: int,
    reasons: tuple[str, ...],
) -> RunPlan:
    """The plan with these memory settings, in the fastest way to compute a step that they and the processor allow."""
    dtype = device.dtype(params.precision, processor)
    eager = why_eager(params, processor, sequences)
    # A checkpointed layer draws its dropout again, from a random state that a capture does not let it read.
    draws_again = settings.gradient_checkpointing and params.lora.dropout > 0
    captures = processor.type == "cuda" and params.packing and params.advanced.cuda_graph and not draws_again
    peft_only = lora.peft_only(params.lora)
    slower = [f"lora.{peft_only} is computed by PEFT's own forward pass, which is slower"] if peft_only else []
    return RunPlan(
        processor=processor.type,
        processes=processes,
        precision=next(name for name, one in device.DTYPES.items() if one is dtype),
        quantization=settings.quantization,
        micro_batch_size=settings.micro_batch_size,
        accumulation_steps=params.batch_size // (settings.micro_batch_size * processes),
        dequantize=settings.dequantize,
        gradient_checkpointing=settings.gradient_checkpointing,
        compiled=eager is None,
        # The scale of fp16's loss is read in every step.
        cuda_graph=captures and dtype is not torch.float16 and not peft_only,
        lora_forward="peft" if peft_only else "grouped",
        reasons=(*reasons, *slower, *([eager] if eager else [])),
    )


def why_eager(params: Params, processor: torch.device, sequences: int) -> str | None:
    """Why a step is not compiled, None where it is.

    It depends on the steps of an epoch, not on those of the run: a run that is extended must compute the same bits.
    """
    if impossible := compilation.obstacle(processor):
        return impossible
    steps = -(-sequences // params.batch_size)
    for reason, true in {
        "compile is false": params.advanced.compile is False,
        "packing is false": not params.packing,
        f"lora.{lora.peft_only(params.lora)} needs PEFT's own forward pass": bool(lora.peft_only(params.lora)),
        f"lora.{lora.uneven(params.lora)} may make blocks differ, which share a compilation": bool(
            lora.uneven(params.lora)
        ),
        f"{steps} steps an epoch are too few to save the time of compiling": (
            params.advanced.compile == "auto" and steps < _WORTH_COMPILING
        ),
    }.items():
        if true:
            return f"not compiled: {reason}"
    return None
