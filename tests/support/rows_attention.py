"""Attention within packed rows beside plain attention of each row by itself."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from copywriter.modeling import attention

ROWS = (141, 3, 64, 65, 127, 1, 200, 47)  # tokens of each: at, before and after the edges of blocks of 64 and 128
HEADS, SHARED = 4, 2


def attended(
    attend: Callable[..., Any],
    width: int,
    window: int | None,
    size: int,
    dtype: torch.dtype,
    device: str,
    atol: float,
) -> None:
    """Asserts that outputs of `attend`, like attention.within_rows, are those of each row by itself.

    On CUDA gradients too; FlexAttention has none on a CPU.
    """
    generator = torch.Generator(device).manual_seed(0)

    def drawn(heads: int) -> torch.Tensor:
        return torch.randn(1, heads, sum(ROWS), width, generator=generator, device=device)

    given = [drawn(heads).to(dtype).requires_grad_(device == "cuda") for heads in (HEADS, SHARED, SHARED)]
    positions = torch.cat([torch.arange(row) for row in ROWS])[None].to(device)
    masks = attention.masks(positions, {window}, size)
    found, _ = attend(torch.nn.Module(), *given, None, scaling=width**-0.5, sliding_window=window, row_masks=masks)
    exact = [one.detach().double().requires_grad_() for one in given]
    rows = zip(*(torch.split(one, list(ROWS), 2) for one in exact), strict=True)
    expected = torch.cat([_row(query, key, value, window) for query, key, value in rows], 2).transpose(1, 2)
    torch.testing.assert_close(found.double(), expected, rtol=0.0, atol=atol)
    if device == "cpu":
        return
    by = torch.randn(expected.shape, generator=generator, device=device)
    gradients = torch.autograd.grad(found, given, by.to(dtype))
    for one, other in zip(gradients, torch.autograd.grad(expected, exact, by.double()), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=0.0, atol=atol * 5)


def _row(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, window: int | None) -> torch.Tensor:
    tokens = query.shape[2]
    back = torch.arange(tokens)[:, None] - torch.arange(tokens)
    sees = ((back >= 0) & (back < (window or tokens))).to(query.device)
    key, value = (one.repeat_interleave(HEADS // SHARED, 1) for one in (key, value))
    return scaled_dot_product_attention(query, key, value, attn_mask=sees, scale=query.shape[-1] ** -0.5)
