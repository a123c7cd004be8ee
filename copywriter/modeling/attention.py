"""Attention within each row of a packed sequence, by torch's FlexAttention, which skips blocks without a pair.

No dense mask is built or read, and the backward pass sums in a fixed order.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers import AttentionInterface, PreTrainedModel

NAME = "rows"
_BLOCK, _SMALL = 128, 64  # tokens; the kernel's block sizes

Masks = dict[int | None, BlockMask]  # by sliding window in tokens, None for layers without one


def use(model: PreTrainedModel) -> None:
    """Makes the model attend within rows; its forward pass then needs the argument `row_masks`."""
    AttentionInterface.register(NAME, within_rows)
    _accept_small_blocks()
    for module in model.modules():  # a config may be shared or nested
        config = getattr(module, "config", None)
        if getattr(config, "_attn_implementation", None):
            config._attn_implementation = NAME  # type: ignore[union-attr]


def block_size(model: PreTrainedModel, dtype: torch.dtype) -> int:
    """Tokens of a block for the masks of a model that computes in `dtype`."""
    widths = {getattr(one, "head_dim", None) for one in _attentions(model)}
    return _SMALL if all(width and _fits_small(width, dtype) for width in widths) else _BLOCK


def masks(position_ids: torch.Tensor, windows: set[int | None], size: int) -> Masks:
    """The blocks of tokens that each block attends to, for positions (1, tokens) that restart at every row.

    `size`: tokens of a block, from `block_size`.
    """
    positions = position_ids[0]
    begins = (torch.arange(len(positions), device=positions.device) - positions).to(torch.int32)  # of a token's row
    first = begins[::size] // size  # the block in which the row of a block's first token begins
    block = torch.arange(len(first), device=positions.device)
    count = (block - first + 1).to(torch.int32)
    indices = (first[:, None] + block).clamp(max=len(first) - 1).to(torch.int32)
    shape = (len(positions), len(positions))
    return {
        window: BlockMask.from_kv_blocks(
            count[None, None], indices[None, None], BLOCK_SIZE=size, mask_mod=_sees(begins, window), seq_lengths=shape
        )
        for window in windows
    }


def windows(model: PreTrainedModel) -> set[int | None]:
    """The sliding windows of the model's layers."""
    return {getattr(one, "sliding_window", None) for one in _attentions(model)}


def _attentions(model: PreTrainedModel) -> list[Any]:
    return [one for one in model.modules() if hasattr(one, "q_proj")]


def _fits_small(width: int, dtype: torch.dtype) -> bool:
    """Whether blocks of 64 tokens are used: rows have 140 tokens on average, so larger ones compute more masked pairs.

    Wider heads and float32 keep torch's own blocks, for which the shared memory of every card is enough.
    """
    return width <= 128 and dtype.itemsize == 2


def _small_blocks(width: int) -> dict[str, Any]:
    """FlexAttention's kernel options for blocks of 64 tokens and heads of `width`."""
    blocks = ("fwd_BLOCK_M", "fwd_BLOCK_N", "bwd_BLOCK_M1", "bwd_BLOCK_N1", "bwd_BLOCK_M2", "bwd_BLOCK_N2")
    stages = 3 if width <= 64 else 2  # of loads ahead; more do not fit the shared memory of a consumer card
    warps = {"fwd_num_warps": 4, "bwd_num_warps": 4, "fwd_num_stages": stages, "bwd_num_stages": stages}
    return dict.fromkeys(blocks, _SMALL) | warps


def _accept_small_blocks() -> None:
    """Lets torch compile backward passes for blocks of 64 tokens.

    torch 2.11 to 2.13 compares a mask's blocks with its default blocks, even where the kernel options replace these,
    and on Hopper refuses a mask whose blocks are smaller.
    """
    from torch._inductor.choices import InductorChoices  # these imports take seconds
    from torch._inductor.template_heuristics.triton import FlexBwDConfig

    default = InductorChoices.get_flex_attention_bwd_configs
    if getattr(default, "small", False):
        return

    def configs(self: Any, head_dim: int, dtype: torch.dtype, device_type: str | None = "cuda") -> list[Any]:
        if _fits_small(head_dim, dtype):
            return [FlexBwDConfig(_SMALL, _SMALL, _SMALL, _SMALL, num_stages=2, num_warps=4)]
        return default(self, head_dim, dtype, device_type)

    configs.small = True  # type: ignore[attr-defined]
    InductorChoices.get_flex_attention_bwd_configs = configs  # type: ignore[method-assign]


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
    mask, width = row_masks[sliding_window], query.shape[-1]
    options: Any = _small_blocks(width) if query.is_cuda and _fits_small(width, query.dtype) else None
    output = flex_attention(
        query, key, value, block_mask=mask, scale=scaling, enable_gqa=grouped, kernel_options=options
    )
    assert isinstance(output, torch.Tensor)
    return output.transpose(1, 2).contiguous(), None
