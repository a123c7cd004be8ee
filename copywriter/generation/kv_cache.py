"""Attention of rows whose keys and values lie in slots: every row has its own place, which never moves or grows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

NAME = "slots"
BLOCK = 128  # tokens; FlexAttention's unit of work

Seen = Mapping[int | None, BlockMask | torch.Tensor]  # by sliding window in tokens, None for layers without one


@contextmanager
def attending(model: PreTrainedModel) -> Iterator[None]:
    """Makes the model's attention keep its keys and values in slots; afterwards all is as before."""
    AttentionInterface.register(NAME, attend)
    configs: dict[int, Any] = {id(one.config): one.config for one in model.modules() if hasattr(one, "config")}
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
            if hasattr(module, "slot_keys"):
                del module.slot_keys, module.slot_values


def attentions(model: PreTrainedModel) -> list[Any]:
    """The model's attention modules."""
    return [one for one in model.modules() if hasattr(one, "num_key_value_groups")]


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    begins: tuple[torch.Tensor, int, int] | None = None,
    places: torch.Tensor | None = None,
    seen: Seen | None = None,
    **unused: Any,
) -> tuple[torch.Tensor, None]:
    """Keeps key and value and attends; query, key and value (rows, heads, tokens, width), fewer heads of keys allowed.

    `begins`: the slots in which rows begin, how many slots there are and how long; the tokens are the rows' first ones.
    `places`: for one token of every slot, its number in its row; `seen`: which keys of its slot it sees.
    """
    if begins is not None:
        slots, count, length = begins
        if not hasattr(module, "slot_keys"):
            module.slot_keys = key.new_zeros(count, key.shape[1], length, key.shape[3])
            module.slot_values = value.new_zeros(count, value.shape[1], length, value.shape[3])
        tokens = query.shape[2]
        module.slot_keys[slots, :, :tokens] = key
        module.slot_values[slots, :, :tokens] = value
        grouped = query.shape[1] != key.shape[1]
        window = tokens if sliding_window is None else sliding_window
        mask = _band(tokens, window, key.device) if window < tokens else None
        output = scaled_dot_product_attention(
            query, key, value, mask, is_causal=mask is None, scale=scaling, enable_gqa=grouped
        )
        return output.transpose(1, 2).contiguous(), None
    assert places is not None and seen is not None
    keys, values = module.slot_keys, module.slot_values
    row = torch.arange(len(places), device=places.device)
    keys[row, :, places] = key[:, :, 0]
    values[row, :, places] = value[:, :, 0]
    # The heads that share keys see the same: they go as queries of one head, and no key is read or copied twice.
    together = query.reshape(len(places), key.shape[1], -1, query.shape[-1])
    keys_seen = seen[sliding_window]
    if isinstance(keys_seen, BlockMask):
        output = flex_attention(together, keys, values, block_mask=keys_seen, scale=scaling)
        assert isinstance(output, torch.Tensor)
    else:
        longest = keys_seen.shape[-1]
        output = scaled_dot_product_attention(
            together, keys[:, :, :longest], values[:, :, :longest], keys_seen, scale=scaling
        )
    return output.reshape(len(places), 1, query.shape[1], -1), None


def seen(places: torch.Tensor, length: int, group: int, windows: set[int | None], blocks: bool) -> Seen:
    """What the token at `places` (slots) of each row sees of a slot of `length` tokens: what lies before it and itself.

    `group`: heads that share keys; `blocks`: for FlexAttention, which then leaves out blocks without a seen key.
    """
    if not blocks:
        past = places[:, None] - torch.arange(length, device=places.device)
        return {
            window: ((past >= 0) if window is None else (past >= 0) & (past < window))[:, None, None]
            for window in windows
        }
    count = (places // BLOCK + 1).to(torch.int32)[:, None, None]
    numbers = torch.arange(length // BLOCK, device=places.device, dtype=torch.int32).repeat(len(places), 1, 1, 1)
    return {
        window: BlockMask.from_kv_blocks(
            count,
            numbers,
            BLOCK_SIZE=BLOCK,
            mask_mod=_sees(places, window),
            seq_lengths=(group, length),
            compute_q_blocks=False,
        )
        for window in windows
    }


def _sees(places: torch.Tensor, window: int | None) -> Callable[..., torch.Tensor]:
    def mask(row: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        past = places[row] - key
        return (past >= 0) if window is None else (past >= 0) & (past < window)

    return mask


def _band(tokens: int, window: int, device: torch.device) -> torch.Tensor:
    past = torch.arange(tokens, device=device)[:, None] - torch.arange(tokens, device=device)
    return (past >= 0) & (past < window)
