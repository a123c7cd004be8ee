"""The GPU memory that training takes, by part, known before anything is loaded."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from copywriter.modeling import lora, loss
from copywriter.modeling.lora_groups import grouped_layers
from copywriter.params import Params

GIB = 2**30
OUTSIDE = "beside it"  # the part that torch.cuda.max_memory_allocated does not see

# Bytes a weight: NF4 has a byte of scale per 64 and a float32 per 256 of these; LLM.int8 a float32 per row.
_QUANTIZED = {"4bit": 1 / 2 + (1 + 4 / 256) / 64, "8bit": 1.005}
_DROPPED = 1.5  # bytes per input of an adapter under dropout; its mask is one of them, the rest as measured
_WORKSPACES = GIB * 3 // 20  # cuBLAS: 32 MiB for each of its streams and captures on Hopper
_BESIDE = GIB * 7 // 20  # kernels' code, as it is loaded, and what the driver keeps: 0.23 to 0.28 GiB seen
_FRAGMENTED = 0.05  # of what is allocated: holes between blocks
_TORN = 0.4  # of the logits: holes in a graph's own memory, where nothing else may lie
_UNCOUNTED = 1.05  # of the activations: what lies on the way between those that are counted, as measured


@dataclass(frozen=True)
class Sizes:
    """How many numbers a model with its adapter has; `kept` and what follows are per token, over all blocks."""

    linear: int  # weights that are quantized
    largest: int  # of these in one layer
    other: int  # embeddings, norms, output layer
    adapter: int
    b: int  # the adapter's B alone
    joined: int  # columns that B takes beside dense weights, in numbers
    blocks: int
    hidden: int
    vocabulary: int
    widest: int  # outputs of the largest group of layers with one input
    inputs: int  # of the adapter's A: its gradient wants them
    kept: int  # what else a compiled block keeps for its backward pass
    norms: int  # inputs of norms: kept in float32 when not compiled
    copies: int  # what is kept besides when not compiled


def sizes(config: PreTrainedConfig, p: Params) -> Sizes:
    """The sizes of the model of `config` with the adapter of `p`, from a model without memory (torch's meta device)."""
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
    groups = list(grouped_layers(lora.with_adapter(bare, p)))
    outputs = [sum(layer.out_features for layer in group) for group in groups]
    b = sum(outputs) * p.lora.r
    inputs = [group[0].in_features for group in groups]
    return Sizes(
        linear=sum(weights),
        largest=max(weights),
        other=everything - sum(weights),
        adapter=b + sum(len(group) * width for group, width in zip(groups, inputs, strict=True)) * p.lora.r,
        b=b,
        joined=sum(len(group) * out for group, out in zip(groups, outputs, strict=True)) * p.lora.r,
        blocks=text.num_hidden_layers,
        hidden=text.hidden_size,
        vocabulary=text.vocab_size,
        widest=max(outputs),
        inputs=sum(inputs),
        # Attention keeps query, key, value and output, the MLP both factors of its product.
        kept=total("out_features", "") - total("out_features", "o_proj", "down_proj") + total("in_features", "o_proj"),
        norms=norms,
        # Keys and values repeated for each head in place of themselves; the MLP's activation.
        copies=2 * (query - key) + total("in_features", "down_proj"),
    )


def expected(of: Sizes, p: Params, dtype: torch.dtype, compiled: bool = True) -> dict[str, int]:
    """Bytes by part at the peak of a training run in `dtype`, for sequences of max_length.

    Their sum but for `OUTSIDE` is what torch allocates. `compiled`: whether the step is, where params let it.
    """
    size = dtype.itemsize
    length = -(-p.sequence_length // 16) * 16
    tokens = p.micro_batch_size * length
    compiled = compiled and p.compile is not False and p.packing and not p.gradient_checkpointing
    dense = p.quantization == "none" or p.dequantize is not False
    loaded = _QUANTIZED.get(p.quantization, size) * of.linear
    linear = size * (of.linear + of.joined) if dense else loaded
    adapter = (4 + 4 + 8 + 3 * size) * of.adapter + dense * (8 + size) * of.b  # float32, gradient, AdamW; copies
    kept = size * (of.inputs + of.kept + of.norms) + bool(p.lora.dropout) * _DROPPED * of.inputs
    if not compiled:
        mask = length * of.blocks if p.packing else 0
        kept += (4 - size) * of.norms + size * (of.copies + mask)
    block = _UNCOUNTED * tokens * kept / of.blocks
    activations = tokens * size * of.hidden * of.blocks if p.gradient_checkpointing else block * of.blocks
    positions = min(loss._POSITIONS, tokens)
    logits = positions * of.vocabulary * (2 * size if compiled else size + 8)  # eager: float32 twice
    logits += 4 * tokens * of.hidden * size
    backward = 3 * tokens * of.widest * size + p.gradient_checkpointing * block + (not dense) * size * of.largest
    joining = dense * size * of.linear - activations  # both forms of the weights, before the first step
    allocated = {
        "weights": linear + size * of.other,
        "adapter and optimizer": adapter,
        "activations": activations,
        "logits or one block's gradients": max(logits, backward, joining) + _WORKSPACES,
    }
    draws_again = p.gradient_checkpointing and p.lora.dropout > 0
    captured = p.cuda_graph and p.packing and not draws_again and dtype is not torch.float16
    validation = logits + 2 * tokens * of.widest * size  # a graph of its own keeps its memory
    graphs = captured * (validation + 2 * _TORN * logits)
    # Weights as they were loaded lie in one piece with those that stay, so their room is not given back.
    beside = _BESIDE + _FRAGMENTED * sum(allocated.values()) + graphs + dense * loaded
    return {part: int(value) for part, value in (allocated | {OUTSIDE: beside}).items()}


def table(parts: dict[str, int]) -> str:
    """The parts of `expected` and their sum, a line each, in GiB."""
    return "\n".join(
        f"{size / GIB:7.2f} GiB  {part}" for part, size in (parts | {"in all": sum(parts.values())}).items()
    )
