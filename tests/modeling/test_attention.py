"""Attention within packed rows, by the eager form of FlexAttention; tests/training/test_gpu.py has the compiled one."""

import pytest
import torch

from copywriter.modeling import attention
from tests.support.rows_attention import ROWS, attended


@pytest.mark.parametrize("window", [None, 5, 70])
def test_a_row_attends_as_if_it_were_alone(window: int | None) -> None:
    attended(attention.within_rows, 16, window, torch.float32, "cpu", atol=1e-5)


def test_blocks_without_a_pair_are_left_out() -> None:
    positions = torch.cat([torch.arange(row) for row in ROWS])[None]
    mask = attention.masks(positions, {None})[None]
    begins = torch.arange(len(positions[0])) - positions[0]
    for block, count in enumerate(mask.kv_num_blocks.flatten().tolist()):
        first = int(begins[block * attention.BLOCK]) // attention.BLOCK
        assert mask.kv_indices[0, 0, block, :count].tolist() == list(range(first, block + 1))
