"""Attention within each row of a packed sequence, by torch's FlexAttention, which skips blocks without a pair.

No dense mask is built or read, and the backward pass sums in a fixed order.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers import AttentionInterface, PreTrainedModel

NAME = "rows"
BLOCK = 128  # tokens; the kernel's block size

Masks = dict[int | None, BlockMask]  # by sliding window in tokens, None for layers without one


def use(model: PreTrainedModel) -> None:
    """Makes the model attend within rows; its forward pass then needs the argument `row_masks`."""
    AttentionInterface.register(NAME, within_rows)
    for module in model.modules():  # a config may be shared or nested
        config = getattr(module, "config", None)
        if getattr(config, "_attn_implementation", None):
            config._attn_implementation = NAME  # type: ignore[union-attr]


def masks(position_ids: torch.Tensor, windows: set[int | None]) -> Masks:
    """The blocks of tokens that each block attends to, for positions (1, tokens) that restart at every row."""
    positions = position_ids[0]
    begins = (torch.arange(len(positions), device=positions.device) - positions).to(torch.int32)  # of a token's row
    first = begins[::BLOCK] // BLOCK  # the block in which the row of a block's first token begins
    block = torch.arange(len(first), device=positions.device)
    count = (block - first + 1).to(torch.int32)
    indices = (first[:, None] + block).clamp(max=len(first) - 1).to(torch.int32)
    shape = (len(positions), len(positions))
    return {
        window: BlockMask.from_kv_blocks(
            count[None, None], indices[None, None], BLOCK_SIZE=BLOCK, mask_mod=_sees(begins, window), seq_lengths=shape
        )
        for window in windows
    }


def windows(model: PreTrainedModel) -> set[int | None]:
    """The sliding windows of the model's layers."""
    attentions = [one for one in model.modules() if hasattr(one, "q_proj")]
    return {getattr(one, "sliding_window", None) for one in attentions}


def _sees(begins: torch.Tensor, window: int | None) -> Callable[..., torch.Tensor]:
    def mask(batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        seen = (key <= query) & (key >= begins[query])
        return seen if window is None else seen & (query - key < window)

    return mask


def within_rows(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    row_masks: Masks | None = None,
    **unused: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within rows; query, key and value (1, heads, tokens, width), fewer heads of keys allowed."""
    assert row_masks is not None
    grouped = query.shape[1] != key.shape[1]
    output = flex_attention(query, key, value, block_mask=row_masks[sliding_window], scale=scaling, enable_gqa=grouped)
    assert isinstance(output, torch.Tensor)
    return output.transpose(1, 2).contiguous(), None
