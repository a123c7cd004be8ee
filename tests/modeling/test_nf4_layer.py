"""4-bit weights: the operators of training compute the products of the dequantized values."""

from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes import functional
from bitsandbytes.nn.modules import Linear4bit

from copywriter.modeling import loading, nf4_layer
from tests.support.training import CPU


@pytest.fixture
def layer(room: Path) -> Any:
    base = loading.load_base(room / "models/base", "4bit", torch.float32, CPU)
    found = base.get_submodule("model.layers.0.mlp.up_proj")
    assert isinstance(found, Linear4bit)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_product_and_gradient_equal_those_of_dequantized_weights(layer: Any, dtype: torch.dtype) -> None:
    layer.bias = torch.nn.Parameter(torch.randn(layer.out_features), requires_grad=False)
    scales = layer.weight.quant_state
    values = functional.dequantize_4bit(layer.weight, scales).to(dtype)
    x = torch.randn(2, 5, layer.in_features, dtype=dtype, requires_grad=True)
    ours, plain = nf4_layer.product(x, layer), x @ values.T + layer.bias.to(dtype)
    assert ours.dtype is dtype
    assert torch.equal(ours, plain)
    direction = torch.randn_like(ours)
    assert torch.equal(torch.autograd.grad(ours, x, direction)[0], torch.autograd.grad(plain, x, direction)[0])


def test_a_compiled_product_saves_no_dequantized_weights(layer: Any) -> None:
    compiled = torch.compile(lambda x: nf4_layer.product(x, layer).sin(), backend="aot_eager", fullgraph=True)
    x = torch.randn(3, layer.in_features, requires_grad=True)
    saved: list[torch.Tensor] = []

    def save(one: torch.Tensor) -> torch.Tensor:
        saved.append(one)
        return one

    with torch.autograd.graph.saved_tensors_hooks(save, lambda one: one):
        result = compiled(x)
    assert saved
    assert torch.equal(result, nf4_layer.product(x, layer).sin())
    assert not any(one.is_floating_point() and one.shape == (layer.out_features, layer.in_features) for one in saved)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert torch.equal(gradient, torch.autograd.grad(nf4_layer.product(x, layer).sin().sum(), x)[0])


def test_the_operators_pass_torchs_opcheck(layer: Any) -> None:
    state = layer.weight.quant_state
    outer = state.state2
    weight = (layer.weight, state.absmax, state.offset, outer.absmax, outer.code, list(state.shape), state.blocksize)
    torch.library.opcheck(nf4_layer._product, (torch.randn(3, layer.in_features, requires_grad=True), *weight))
    torch.library.opcheck(nf4_layer._product_back, (torch.randn(3, layer.out_features), *weight))


def test_the_product_is_for_4_bit_layers_on_cuda_alone(layer: Any) -> None:
    assert not nf4_layer.holds(torch.nn.Linear(4, 4))
    assert not nf4_layer.holds(layer)  # on a CPU bitsandbytes' own product is used
