"""Products with the dequantized values of bitsandbytes' 8-bit weights, as custom operators for torch.compile.

LLM.int8 also rounds the input, row by row and without its outliers. That takes a dozen more kernels in every layer and
a synchronization with the GPU, which a CUDA graph cannot capture, and does not improve training. On a CPU bitsandbytes
itself trains in the way of this module.
"""

from typing import Any, cast

import torch
from bitsandbytes.nn.modules import Linear8bitLt

_Tensor = torch.Tensor


def holds(layer: torch.nn.Module) -> bool:
    """Whether `product` works with this layer's weights."""
    return isinstance(layer, Linear8bitLt) and layer.weight.dtype is torch.int8


def product(x: _Tensor, layer: Any) -> _Tensor:
    """x W^T + bias in x's number format, W = CB * SCB / 127; x (..., in). The gradient goes to x alone."""
    # bitsandbytes moves the scales in its own forward pass.
    scales = layer.state.SCB if layer.weight.SCB is None else layer.weight.SCB
    result = cast(_Tensor, _product(x, layer.weight.data, scales))
    return result if layer.bias is None else result + layer.bias.to(x.dtype)


def _dense(packed: _Tensor, scales: _Tensor, dtype: torch.dtype) -> _Tensor:
    # bf16 represents 8-bit integers exactly, so each value is rounded once.
    return packed.to(dtype).mul_(scales.mul(1 / 127)[:, None])


@torch.library.custom_op("copywriter::int8_product", mutates_args=())
def _product(x: _Tensor, packed: _Tensor, scales: _Tensor) -> _Tensor:
    return x @ _dense(packed, scales, x.dtype).T


@torch.library.custom_op("copywriter::int8_product_back", mutates_args=())
def _product_back(gradient: _Tensor, packed: _Tensor, scales: _Tensor) -> _Tensor:
    return gradient @ _dense(packed, scales, gradient.dtype)


@_product.register_fake
def _(x: _Tensor, packed: _Tensor, scales: _Tensor) -> _Tensor:
    return x.new_empty(*x.shape[:-1], packed.shape[0])


@_product_back.register_fake
def _(gradient: _Tensor, packed: _Tensor, scales: _Tensor) -> _Tensor:
    return gradient.new_empty(*gradient.shape[:-1], packed.shape[1])


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: _Tensor) -> None:
    ctx.save_for_backward(*inputs[1:])


def _backward(ctx: Any, gradient: _Tensor) -> tuple[_Tensor | None, ...]:
    return _product_back(gradient, *ctx.saved_tensors), None, None


_product.register_autograd(_backward, setup_context=_setup_context)
