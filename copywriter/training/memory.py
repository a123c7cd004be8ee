"""The GPU memory that training takes, by part, estimated before anything is loaded."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from copywriter.modeling import lora, loss
from copywriter.modeling.lora_groups import ADAPTER, grouped_layers
from copywriter.params import Params

GIB = 2**30
OUTSIDE = "outside torch's allocations"  # not counted by torch.cuda.max_memory_allocated

# Bytes a weight: NF4 has a byte of scale per 64 and a float32 per 256 of these; LLM.int8 a float32 per row.
_QUANTIZED = {"4bit": 1 / 2 + (1 + 4 / 256) / 64, "8bit": 1.005}
_DROPPED = 1.5  # bytes per adapter input under dropout: the mask takes one, the rest is measured
_WORKSPACES = GIB * 3 // 20  # cuBLAS: 32 MiB for each of its streams and captures on Hopper
_KERNELS = GIB * 7 // 20  # loaded kernels and the driver's buffers: 0.23 to 0.28 GiB measured
_FRAGMENTED = 0.05  # of the allocated bytes: gaps between blocks
_GRAPH_GAPS = 0.4  # of the logits: gaps in a graph's private memory pool
_UNCOUNTED = 1.05  # of the activations: temporaries between those that are counted, as measured


@dataclass(frozen=True)
class MemorySettings:
    """The settings that trade GPU memory for time."""

    quantization: str
    dequantize: bool
    gradient_checkpointing: bool
    micro_batch_size: int


@dataclass(frozen=True)
class Sizes:
    """How many numbers a model with its adapter has; from `inputs` on per token, over all blocks."""

    linear: int  # weights that are quantized
    largest: int  # of these in one layer
    other: int  # embeddings, norms, output layer
    adapter: int
    b: int  # the adapter's B alone
    joined: int  # numbers that A and B add to dense weights as rows and columns, with the zeros beside them
    blocks: int
    hidden: int
    vocabulary: int
    widest: int  # outputs of the largest group of layers with one input
    inputs: int  # of the adapter's A, stored for its gradient
    outputs: int  # of the layers with an adapter
    separate: int  # inputs of the layers with an adapter, each counted by itself
    kept: int  # what else a compiled block stores for its backward pass
    norms: int  # inputs of norms, stored in float32 when not compiled
    copies: int  # stored in addition when not compiled


def sizes(config: PreTrainedConfig, params: Params) -> Sizes:
    """The sizes of the model of `config` with the adapter of `params`, from a model on torch's meta device."""
    with torch.device("meta"):
        bare: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    text = config.get_text_config()
    head = bare.get_output_embeddings()
    linear = {name: one for name, one in bare.named_modules() if isinstance(one, nn.Linear) and one is not head}

    def total(side: str, *ends: str) -> int:
        return sum(getattr(one, side) for name, one in linear.items() if name.endswith(ends))

    query, key = total("out_features", "q_proj"), total("out_features", "k_proj")
    weights = [one.weight.numel() for one in linear.values()]
    widths = {"q_norm": query // text.num_hidden_layers, "k_norm": key // text.num_hidden_layers}  # of all heads
    norms = sum(
        widths.get(name.rpartition(".")[2], one.weight.numel())
        for name, one in bare.named_modules()
        if "norm" in name and getattr(one, "weight", None) is not None
    )
    everything = sum(one.numel() for one in bare.parameters())
    groups = list(grouped_layers(lora.with_adapter(bare, params)))
    ranks = [group[0].r[ADAPTER] for group in groups]
    outputs = [sum(layer.out_features for layer in group) for group in groups]
    b = sum(out * rank for out, rank in zip(outputs, ranks, strict=True))
    inputs = [group[0].in_features for group in groups]
    columns = [len(group) * rank for group, rank in zip(groups, ranks, strict=True)]  # outputs of A
    return Sizes(
        linear=sum(weights),
        largest=max(weights),
        other=everything - sum(weights),
        adapter=b + sum(count * width for count, width in zip(columns, inputs, strict=True)),
        b=b,
        joined=sum(count * (out + width + count) for count, out, width in zip(columns, outputs, inputs, strict=True)),
        blocks=text.num_hidden_layers,
        hidden=text.hidden_size,
        vocabulary=text.vocab_size,
        widest=max(outputs),
        inputs=sum(inputs),
        outputs=sum(outputs),
        separate=sum(len(group) * width for group, width in zip(groups, inputs, strict=True)),
        # Attention stores query, key, value and output, the MLP both factors of its product.
        kept=total("out_features", "") - total("out_features", "o_proj", "down_proj") + total("in_features", "o_proj"),
        norms=norms,
        # Keys and values repeated for each head; the MLP's activation.
        copies=2 * (query - key) + total("in_features", "down_proj"),
    )


def expected(
    of: Sizes, params: Params, settings: MemorySettings, dtype: torch.dtype, may_compile: bool = True
) -> dict[str, int]:
    """Bytes by part at the peak of a training run in `dtype`, for sequences of max_length.

    Their sum without `OUTSIDE` is what torch allocates. `may_compile`: whether the processor can compile a step.
    """
    size = dtype.itemsize
    length = -(-params.sequence_length // 16) * 16
    tokens = settings.micro_batch_size * length
    checkpointing = settings.gradient_checkpointing
    peft_only = lora.peft_only(params.lora) is not None
    compiled = may_compile and params.advanced.compile is not False and params.packing and not peft_only
    dense = settings.quantization == "none" or settings.dequantize
    loaded = _QUANTIZED.get(settings.quantization, size) * of.linear
    grouped = dense and not peft_only
    linear = size * (of.linear + grouped * of.joined) if dense else loaded
    adapter = (4 + 4 + 8 + 3 * size) * of.adapter  # float32, gradient, AdamW; copies
    adapter += grouped * (8 * of.adapter + size * of.b)  # places in the joined weights; scaled copies
    kept = size * (of.inputs + of.kept + of.norms) + bool(params.lora.dropout) * _DROPPED * of.inputs
    if peft_only:  # its inputs and A B's outputs in float32, the base's outputs; counted in PEFT's code, not measured
        kept += 4 * of.separate + (4 + size) * of.outputs
    if not compiled:
        mask = length * of.blocks if params.packing else 0
        kept += (4 - size) * of.norms + size * (of.copies + mask)
    block = _UNCOUNTED * tokens * kept / of.blocks
    activations = tokens * size * of.hidden * of.blocks if checkpointing else block * of.blocks
    positions = min(loss._POSITIONS, tokens)
    logits = positions * of.vocabulary * (2 * size if compiled else size + 8)  # eager: float32 twice
    logits += 4 * tokens * of.hidden * size
    backward = 3 * tokens * of.widest * size + checkpointing * block + (not dense) * size * of.largest
    joining = grouped * size * of.linear - activations  # both forms of the weights exist before the first step
    allocated = {
        "weights": linear + size * of.other,
        "adapter and optimizer": adapter,
        "activations": activations,
        "logits or one block's gradients": max(logits, backward, joining) + _WORKSPACES,
    }
    draws_again = checkpointing and params.lora.dropout > 0
    captured = params.advanced.cuda_graph and params.packing and not draws_again and dtype is not torch.float16
    captured = captured and not peft_only
    validation = logits + 2 * tokens * of.widest * size  # the validation graph does not release its memory
    graphs = captured * (validation + 2 * _GRAPH_GAPS * logits)
    # The loaded weights share blocks with weights that stay, so their memory is not released.
    beside = _KERNELS + _FRAGMENTED * sum(allocated.values()) + graphs + dense * loaded
    return {part: int(value) for part, value in (allocated | {OUTSIDE: beside}).items()}


def table(parts: dict[str, int]) -> str:
    """The parts of `expected` and their sum, a line each, in GiB."""
    return "\n".join(
        f"{size / GIB:7.2f} GiB  {part}" for part, size in (parts | {"total": sum(parts.values())}).items()
    )
