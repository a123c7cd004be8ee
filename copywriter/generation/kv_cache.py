"""A KV cache of fixed size: each row of the decode batch has its own region, which neither moves nor grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask
    from transformers import PreTrainedModel

    Masks = Mapping[int | None, BlockMask | torch.Tensor]  # by sliding window in tokens, None for layers without one

NAME = "fixed_kv_cache"
BLOCK = 128  # tokens; FlexAttention's unit of work


@dataclass(frozen=True, slots=True)
class Prefill:
    """Which rows of the decode batch start with the prompts of a forward pass, and the size of the cache."""

    rows: torch.Tensor
    batch_size: int
    length: int  # tokens for each row: prompt and new ones


@contextmanager
def enabled(model: PreTrainedModel) -> Iterator[None]:
    """Makes the model's attention read and write this cache; on exit the cache is freed and the model as before."""
    configs: dict[int, Any] = {id(one.config): one.config for one in model.modules() if hasattr(one, "config")}
    if configs:  # a model of transformers, whose import takes seconds
        from transformers import AttentionInterface

        AttentionInterface.register(NAME, attention)
    before = {number: getattr(config, "_attn_implementation", None) for number, config in configs.items()}
    try:
        for number, config in configs.items():
            if before[number]:
                config._attn_implementation = NAME
        yield
    finally:
        for number, config in configs.items():
            if before[number]:
                config._attn_implementation = before[number]
        for module in model.modules():
            if hasattr(module, "cached_keys"):
                del module.cached_keys, module.cached_values


def attention_modules(model: PreTrainedModel) -> list[Any]:
    """The model's attention modules, each of which holds its own keys and values."""
    return [one for one in model.modules() if hasattr(one, "num_key_value_groups")]


def select_rows(model: PreTrainedModel, rows: torch.Tensor) -> None:
    """Shrinks the cache to `rows` of the decode batch, in this order."""
    for one in attention_modules(model):
        one.cached_keys, one.cached_values = one.cached_keys[rows], one.cached_values[rows]


def attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    prefill: Prefill | None = None,
    positions: torch.Tensor | None = None,
    masks: Masks | None = None,
    **unused: Any,
) -> tuple[torch.Tensor, None]:
    """Stores key and value in the cache and returns the attention output, (rows, tokens, heads, head width).

    query, key and value: (rows, heads, tokens, head width); keys may have fewer heads. With `prefill` the tokens are
    whole prompts. Without it there is one token for every row of the decode batch: `positions` is its position in its
    row, and `masks` which cached keys it attends to.
    """
    if prefill is not None:
        return _prefill(module, query, key, value, scaling, sliding_window, prefill), None
    assert positions is not None and masks is not None
    keys, values = module.cached_keys, module.cached_values
    row = torch.arange(len(positions), device=positions.device)
    keys[row, :, positions] = key[:, :, 0]
    values[row, :, positions] = value[:, :, 0]
    # Heads that share keys attend to the same ones: they become queries of one head, so no key is read or copied twice.
    grouped = query.reshape(len(positions), key.shape[1], -1, query.shape[-1])
    mask = masks[sliding_window]
    if not isinstance(mask, torch.Tensor):
        from torch.nn.attention.flex_attention import flex_attention  # takes a second

        output = flex_attention(grouped, keys, values, block_mask=mask, scale=scaling)
        assert isinstance(output, torch.Tensor)
    else:
        length = mask.shape[-1]
        output = scaled_dot_product_attention(grouped, keys[:, :, :length], values[:, :, :length], mask, scale=scaling)
    return output.reshape(len(positions), 1, query.shape[1], -1), None


def _prefill(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    sliding_window: int | None,
    prefill: Prefill,
) -> torch.Tensor:
    if not hasattr(module, "cached_keys"):
        module.cached_keys = key.new_zeros(prefill.batch_size, key.shape[1], prefill.length, key.shape[3])
        module.cached_values = value.new_zeros(prefill.batch_size, value.shape[1], prefill.length, value.shape[3])
    tokens = query.shape[2]
    module.cached_keys[prefill.rows, :, :tokens] = key
    module.cached_values[prefill.rows, :, :tokens] = value
    grouped = query.shape[1] != key.shape[1]
    window = tokens if sliding_window is None else sliding_window
    mask = _sliding_causal_mask(tokens, window, key.device) if window < tokens else None
    output = scaled_dot_product_attention(
        query, key, value, mask, is_causal=mask is None, scale=scaling, enable_gqa=grouped
    )
    return output.transpose(1, 2).contiguous()


def causal_masks(positions: torch.Tensor, length: int, group: int, windows: set[int | None], blocks: bool) -> Masks:
    """For each window the mask by which the token at `positions` (rows) attends to itself and to earlier tokens.

    `length`: cached tokens of a row that the mask covers; `group`: heads that share keys; `blocks`: as BlockMask for
    FlexAttention, which then skips blocks of later tokens.
    """
    if not blocks:
        distance = positions[:, None] - torch.arange(length, device=positions.device)
        return {
            window: ((distance >= 0) if window is None else (distance >= 0) & (distance < window))[:, None, None]
            for window in windows
        }
    from torch.nn.attention.flex_attention import BlockMask

    count = (positions // BLOCK + 1).to(torch.int32)[:, None, None]
    numbers = torch.arange(length // BLOCK, device=positions.device, dtype=torch.int32).repeat(len(positions), 1, 1, 1)
    return {
        window: BlockMask.from_kv_blocks(
            count,
            numbers,
            BLOCK_SIZE=BLOCK,
            mask_mod=_causal_mask_mod(positions, window),
            seq_lengths=(group, length),
            compute_q_blocks=False,
        )
        for window in windows
    }


def _causal_mask_mod(positions: torch.Tensor, window: int | None) -> Callable[..., torch.Tensor]:
    def mask(row: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        distance = positions[row] - key
        return (distance >= 0) if window is None else (distance >= 0) & (distance < window)

    return mask


def _sliding_causal_mask(tokens: int, window: int, device: torch.device) -> torch.Tensor:
    distance = torch.arange(tokens, device=device)[:, None] - torch.arange(tokens, device=device)
    return (distance >= 0) & (distance < window)
