"""Products with bitsandbytes' 4-bit weights, as custom operators that torch.compile does not trace into.

If it did, it would store the dequantized weights of the forward pass for the backward pass, which takes the memory that
4-bit weights save.
"""

from typing import Any, cast

import torch
from bitsandbytes.nn.modules import Linear4bit

_Tensor = torch.Tensor
# The tensors of a quantized weight. The schema is written out because torch cannot infer one from *weight.
_WEIGHT = (
    "Tensor packed, Tensor absmax, Tensor offset, Tensor outer_absmax, Tensor outer_code, SymInt[] shape, SymInt block"
)
_SCHEMA = f"(Tensor x, {_WEIGHT}) -> Tensor"


def holds(layer: torch.nn.Module) -> bool:
    """Whether `product` works with this layer's weights."""
    state = getattr(getattr(layer, "weight", None), "quant_state", None)
    return isinstance(layer, Linear4bit) and state is not None and state.nested and layer.weight.device.type == "cuda"


def product(x: _Tensor, layer: Any) -> _Tensor:
    """x W^T + bias in x's number format; x (..., in). The gradient goes to x alone."""
    state = layer.weight.quant_state
    outer = state.state2
    weight = (layer.weight, state.absmax, state.offset, outer.absmax, outer.code, list(state.shape), state.blocksize)
    result = cast(_Tensor, _product(x, *weight))
    return result if layer.bias is None else result + layer.bias.to(x.dtype)


def _dense(
    dtype: torch.dtype,
    packed: _Tensor,
    absmax: _Tensor,
    offset: _Tensor,
    outer_absmax: _Tensor,
    outer_code: _Tensor,
    shape: list[int],
    block: int,
) -> _Tensor:
    library: Any = torch.ops.bitsandbytes
    scales = library.dequantize_blockwise(absmax, outer_absmax, outer_code, 256, torch.float32) + offset
    return cast(_Tensor, library.dequantize_4bit(packed, scales, block, "nf4", shape, dtype))


@torch.library.custom_op("copywriter::nf4_product", mutates_args=(), schema=_SCHEMA)
def _product(x: _Tensor, *weight: Any) -> _Tensor:
    return x @ _dense(x.dtype, *weight).T


@torch.library.custom_op("copywriter::nf4_product_back", mutates_args=(), schema=_SCHEMA)
def _product_back(gradient: _Tensor, *weight: Any) -> _Tensor:
    return gradient @ _dense(gradient.dtype, *weight)


@_product.register_fake
def _(x: _Tensor, *weight: Any) -> _Tensor:
    return x.new_empty(*x.shape[:-1], weight[-2][0])


@_product_back.register_fake
def _(gradient: _Tensor, *weight: Any) -> _Tensor:
    return gradient.new_empty(*gradient.shape[:-1], weight[-2][1])


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: _Tensor) -> None:
    ctx.save_for_backward(*inputs[1:6])
    ctx.shape, ctx.block = inputs[6:]


def _backward(ctx: Any, gradient: _Tensor) -> tuple[_Tensor | None, ...]:
    return _product_back(gradient, *ctx.saved_tensors, ctx.shape, ctx.block), *[None] * 7


_product.register_autograd(_backward, setup_context=_setup_context)
