"""Attention within packed rows, by the eager form of FlexAttention; tests/training/test_gpu.py has the compiled one."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from copywriter.modeling import attention
from tests.support.rows_attention import ROWS, attended
from tests.support.shapes import figures


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("window", [None, 5, 70])
def test_a_row_attends_as_if_it_were_alone(size: int, window: int | None) -> None:
    attended(attention.within_rows, 16, window, size, torch.float32, "cpu", atol=1e-5)


@pytest.mark.parametrize("size", [64, 128])
def test_blocks_without_a_pair_are_left_out(size: int) -> None:
    positions = torch.cat([torch.arange(row) for row in ROWS])[None]
    mask = attention.masks(positions, {None}, size)[None]
    begins = torch.arange(len(positions[0])) - positions[0]
    for block, count in enumerate(mask.kv_num_blocks.flatten().tolist()):
        first = int(begins[block * size]) // size
        assert mask.kv_indices[0, 0, block, :count].tolist() == list(range(first, block + 1))


@pytest.mark.parametrize(
    ("shape", "dtype", "size"),
    [
        ("llama-3.2-1b", torch.bfloat16, 64),
        ("smollm2-135m", torch.float16, 64),
        ("smollm2-135m", torch.float32, 128),
        ("gemma-3-1b", torch.bfloat16, 128),  # its heads are 256 wide
    ],
)
def test_blocks_are_small_where_every_card_has_room_for_them(shape: str, dtype: torch.dtype, size: int) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**figures(shape, tiny=False)))  # type: ignore[no-untyped-call]
    assert attention.block_size(model, dtype) == size
