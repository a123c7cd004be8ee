"""Attention to a cache: block masks, which CUDA uses, and plain ones attend to the same tokens, traced or not."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from copywriter.generation import kv_cache
from copywriter.generation.kv_cache import BLOCK

ROWS, HEADS, SHARED, WIDTH, LENGTH = 3, 4, 2, 16, 2 * BLOCK
POSITIONS = torch.tensor([0, 100, LENGTH - 1])


def attended(module: Any, blocks: bool, window: int | None, traced: bool = False) -> torch.Tensor:
    """The output (rows, 1, heads, width) for one more token a row."""
    random = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(ROWS, heads, 1, WIDTH, generator=random) for heads in (HEADS, SHARED, SHARED))
    masks = kv_cache.causal_masks(POSITIONS, LENGTH, HEADS // SHARED, {window}, blocks)

    def step() -> torch.Tensor:
        return kv_cache.attention(
            module, query, key, value, None, WIDTH**-0.5, window, positions=POSITIONS, masks=masks
        )[0]

    # fullgraph: whatever cannot be traced is an error, not a break of the graph
    return (torch.compile(step, backend="eager", fullgraph=True) if traced else step)()


@pytest.fixture
def module() -> Any:
    random = torch.Generator().manual_seed(0)
    keys, values = (torch.randn(ROWS, SHARED, LENGTH, WIDTH, generator=random) for _ in range(2))
    return SimpleNamespace(cached_keys=keys, cached_values=values)


@pytest.mark.parametrize("window", [None, 64])
@pytest.mark.parametrize("traced", [False, True])
def test_both_kinds_of_mask_give_the_same_attention(module: Any, window: int | None, traced: bool) -> None:
    expected = attended(copy.deepcopy(module), blocks=False, window=window)
    torch.testing.assert_close(attended(module, True, window, traced), expected, rtol=1e-5, atol=1e-5)
