"""4-bit values that are computed on a CPU equal those of bitsandbytes to the bit."""

from pathlib import Path

import pytest
import torch

from copywriter.modeling import loading, nf4_values

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_to_nf4_is_bitsandbytes_to_the_bit(dtype: torch.dtype) -> None:
    from bitsandbytes import functional

    torch.manual_seed(0)
    shapes = [(576, 1536), (64, 64), (7, 10), (1, 3)]
    weights = [torch.randn(shape) * scale for shape in shapes for scale in (1.0, 1e-3)]
    weights += [torch.zeros(128, 64), torch.randint(-8, 9, (512, 640)) / 8, torch.randn(300, 64).exp()]
    for weight in (one.to(dtype) for one in weights):
        packed, state = functional.quantize_4bit(weight, compress_statistics=True, quant_type="nf4")
        assert torch.equal(functional.dequantize_4bit(packed, state), nf4_values.rounded(weight).to(dtype))


def test_4_bit_values_on_a_cpu_are_those_of_bitsandbytes(tiny_base: Path) -> None:
    ours = loading.load_dense(tiny_base, "4bit", torch.float32, CPU).state_dict()
    theirs = loading.dequantized(loading.load_base(tiny_base, "4bit", torch.float32, CPU)).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
