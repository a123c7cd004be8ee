"""8-bit weights: their dequantized values, computed once or in every pass."""

from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn.modules import Linear8bitLt

from copywriter.modeling import int8_layer, loading
from tests.support.training import CPU


def layers(folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    base = loading.load_base(folder, "8bit", dtype, CPU)
    return {name: one for name, one in base.named_modules() if isinstance(one, Linear8bitLt)}


def values(layer: Any) -> torch.Tensor:
    """The dequantized weight: CB * SCB / 127, in float64."""
    packed: torch.Tensor = layer.weight.data.double()
    scales: torch.Tensor = layer.weight.SCB.double()
    return packed * scales[:, None] / 127


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dequantized_layers_hold_the_values_of_8_bit_weights(room: Path, dtype: torch.dtype) -> None:
    quantized = layers(room / "models/base", dtype)
    dense = loading.dequantized(loading.load_base(room / "models/base", "8bit", dtype, CPU))
    assert len(quantized) == 14
    for name, layer in quantized.items():
        weight = dense.get_submodule(name).weight
        assert weight.dtype is dtype
        rounding = torch.finfo(dtype).eps
        torch.testing.assert_close(weight.double(), values(layer), rtol=2 * rounding, atol=0)
    assert not any(one.dtype is not dtype for one in dense.parameters())


def test_the_product_equals_bitsandbytes_on_a_cpu(room: Path) -> None:
    layer = layers(room / "models/base", torch.float32)["model.layers.0.mlp.up_proj"]
    layer.bias = torch.nn.Parameter(torch.randn(layer.out_features), requires_grad=False)
    x = torch.randn(2, 5, layer.in_features, requires_grad=True)
    assert int8_layer.holds(layer)
    ours = int8_layer.product(x, layer)
    theirs = layer.train()(x)
    assert torch.equal(ours, theirs)
    direction = torch.randn_like(ours)
    assert torch.equal(torch.autograd.grad(ours, x, direction)[0], torch.autograd.grad(theirs, x, direction)[0])
    assert torch.equal(int8_layer.product(x, layer), ours)  # after bitsandbytes moved the scales


def test_the_product_in_bf16_rounds_the_values_once(room: Path) -> None:
    layer = layers(room / "models/base", torch.bfloat16)["model.layers.0.mlp.up_proj"]
    x = torch.eye(layer.in_features, dtype=torch.bfloat16)
    torch.testing.assert_close(int8_layer.product(x, layer).T.double(), values(layer), rtol=2**-8, atol=0)


def test_the_product_compiles_without_a_graph_break(room: Path) -> None:
    layer = layers(room / "models/base", torch.float32)["model.layers.0.mlp.up_proj"]
    compiled = torch.compile(lambda x: int8_layer.product(x, layer).sin(), backend="aot_eager", fullgraph=True)
    x = torch.randn(3, layer.in_features, requires_grad=True)
    assert torch.equal(compiled(x), int8_layer.product(x, layer).sin())
    (gradient,) = torch.autograd.grad(compiled(x).sum(), x)
    assert torch.equal(gradient, torch.autograd.grad(int8_layer.product(x, layer).sin().sum(), x)[0])


def test_the_product_is_for_8_bit_layers_alone() -> None:
    assert not int8_layer.holds(torch.nn.Linear(4, 4))
    assert not int8_layer.holds(Linear8bitLt(4, 4, has_fp16_weights=True))
