"""A model with its tokenizer for inference: on a CPU without transformers where the same bits need none of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from copywriter import paths, prompt
from copywriter.generation import plain_llama, plain_tokenizer
from copywriter.modeling import loading

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load(
    weights: Path, quantization: str, dtype: torch.dtype, device: torch.device
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model as loading.load_dense loads it, and its tokenizer; UserError as there.

    Both, or stand-ins that generate.texts and generate.stream get the same results from: transformers takes seconds to
    import.
    """
    if device.type == "cpu" and dtype is torch.float32 and (plain := _plain(weights, quantization)):
        return cast("tuple[PreTrainedModel, PreTrainedTokenizerBase]", plain)
    tokenizer = prompt.load_tokenizer(weights)
    return loading.load_dense(weights, quantization, dtype, device), tokenizer


def _plain(weights: Path, quantization: str) -> tuple[plain_llama.PlainLlama, plain_tokenizer.PlainTokenizer] | None:
    """None where only transformers can load them, or can say what is wrong."""
    adapted = loading.is_adapter(weights)
    base = paths.BASE if adapted else weights
    if (weights / loading.MERGED).exists():
        quantization = "none"
    if quantization == "8bit" or not plain_llama.supports(base):
        return None
    tokenizer = plain_tokenizer.read(weights)
    if tokenizer is None:
        return None
    if adapted:
        loading.check_base(weights, base)
    model = plain_llama.load(base, nf4=quantization == "4bit")
    if model is None:
        return None
    if adapted:
        loading.merge(cast("PreTrainedModel", model), weights)
    return model, tokenizer
