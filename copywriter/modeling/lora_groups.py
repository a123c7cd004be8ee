"""LoRA layers that share an input, computed in one product: q, k and v; gate and up."""

from collections.abc import Hashable, Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch.nn import functional

from copywriter.modeling import int8_layer, nf4_layer

# Layers of a transformer block that have the same input.
_SHARED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
ADAPTER = "default"  # PEFT's name of the one adapter


def grouped_layers(model: PeftModel) -> Iterator[list[Any]]:
    """The LoRA layers in the order of the model, those with a common input, rank and scale together."""
    for parent in model.modules():
        if isinstance(parent, LoraLayer):
            continue
        found = {name: one for name, one in parent.named_children() if isinstance(one, LoraLayer)}
        for names in (*_SHARED, *((name,) for name in found)):
            alike: dict[tuple[int, float], list[Any]] = {}
            for layer in [found.pop(name) for name in names if name in found]:
                alike.setdefault((layer.r[ADAPTER], layer.scaling[ADAPTER]), []).append(layer)
            yield from alike.values()


class Group:
    """LoRA layers that share their input x: y = x W^T + (alpha / r) dropout(x) A^T B^T, with W and A of all layers.

    Dropout draws one mask for all of them. Where the base's weights are not quantized, one matrix [[W, B], [A, 0]] has
    all weights, B times alpha / r, so that one product computes y. Source: Hu et al. 2021, section 4.1.
    """

    def __init__(self, layers: Sequence[Any], a: torch.Tensor, b: torch.Tensor) -> None:
        """a (layers * r, in) and b (outputs of all layers, r) are the trained weights."""
        first = layers[0]
        self.bases: list[Any] = [layer.get_base_layer() for layer in layers]
        self._a, self._b = a, b
        self._scale: float = first.scaling[ADAPTER]
        self._dropout: float = getattr(first.lora_dropout[ADAPTER], "p", 0.0)
        self._outputs = [base.out_features for base in self.bases]
        self._rank = b.shape[1]
        self._weight: torch.Tensor | None = None
        self._bias: torch.Tensor | None = None
        # (outputs, layers): 1 where the output is of the layer
        self.blocks = torch.eye(len(layers)).repeat_interleave(torch.tensor(self._outputs), dim=0).to(b)
        self._memo: tuple[torch.Tensor, tuple[torch.Tensor, ...]] | None = None
        self._taken = 0
        for index, layer in enumerate(layers):
            layer.group, layer.index = self, index
            layer.__class__ = _member_of(cast(Hashable, type(layer)))

    def part(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """The output of one layer for x; the first call computes the outputs of all layers."""
        if self._memo is None or self._memo[0] is not x:
            self._memo, self._taken = (x, self(x)), 0
        output = self._memo[1][index]
        self._taken += 1
        if self._taken == len(self.bases):
            self._memo = None
        return output

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs of all layers for x (..., in)."""
        drops = self._dropout > 0 and self.bases[0].training
        if self._weight is not None and self._narrows and not drops:
            return (_Narrowing.apply(x, self._a, self._b, self._weight, self._bias, self._scale),)  # type: ignore[no-untyped-call]
        dropped = functional.dropout(x, self._dropout) if drops else x
        hidden = functional.linear(dropped, self._a)
        if self._weight is not None:
            joined: torch.Tensor = _Joined.apply(  # type: ignore[no-untyped-call]
                x, hidden, self._b, self._weight, self._bias, self.blocks, self._scale
            )
            return tuple(joined.split_with_sizes(self._outputs, dim=-1))
        parts = zip(
            self.bases, hidden.chunk(len(self.bases), dim=-1), self._b.split_with_sizes(self._outputs), strict=True
        )
        return tuple(_base(base, x) + functional.linear(h, b) * self._scale for base, h, b in parts)

    @property
    def _narrows(self) -> bool:
        """Whether this is one layer with no more outputs than inputs, as o and down."""
        return len(self.bases) == 1 and self._outputs[0] <= self.bases[0].in_features

    @property
    def joined_shape(self) -> tuple[int, int]:
        """(outputs + layers * r, in + layers * r)"""
        return len(self.blocks) + len(self._a), self.bases[0].in_features + len(self._a)

    @property
    def dense(self) -> bool:
        """Whether the base's weights are not quantized, so that W and B can be one matrix."""
        return all(type(base) is torch.nn.Linear for base in self.bases)

    def join(self, weight: torch.Tensor) -> None:
        """Makes `weight`, of `joined_shape` and zero, the matrix of the group, and moves W into it."""
        self._weight = weight
        if any(base.bias is not None for base in self.bases):
            biases = zip(self.bases, self._outputs, strict=True)
            zeros = [base.bias if base.bias is not None else weight.new_zeros(size) for base, size in biases]
            self._bias = torch.cat(zeros).detach()
        for base, rows in zip(self.bases, weight[: len(self.blocks)].split_with_sizes(self._outputs), strict=True):
            view = rows[:, : base.in_features]
            base.weight.data = view.copy_(base.weight.data)  # a view: the weights are stored once

    def places(self, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The index of each number of A and of B in the flat tensor in which the group's matrix begins at `start`."""
        outputs, inputs = len(self.blocks), self.bases[0].in_features
        height, width = self.joined_shape
        rows = start + torch.arange(height, device=self.blocks.device)[:, None] * width
        of_a = rows[outputs:] + torch.arange(inputs, device=rows.device)
        first = inputs + self.blocks.argmax(1, keepdim=True) * self._rank
        of_b = rows[:outputs] + first + torch.arange(self._rank, device=rows.device)
        return of_a.flatten(), of_b.flatten()


class _Member:
    """A PEFT layer whose output comes from its group."""

    group: Group
    index: int

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.group.part(x, self.index)


@cache
def _member_of(kind: Hashable) -> type:  # one class for each kind, because torch.compile guards on classes
    return type("GroupedLora", (_Member, cast(type, kind)), {})


class _Joined(torch.autograd.Function):
    """[x, h] [W, B]^T + bias, where W is frozen and B has a gradient only in its own blocks."""

    @staticmethod
    def forward(ctx: Any, x: Any, hidden: Any, b: Any, weight: Any, bias: Any, blocks: Any, scale: float) -> Any:
        weight = weight[: len(blocks)]
        ctx.save_for_backward(hidden, weight, blocks)
        ctx.scale = scale
        return functional.linear(torch.cat([x, hidden], dim=-1), weight, bias)

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, blocks = ctx.saved_tensors
        (gradient,) = outputs
        both = gradient @ weight
        width = weight.shape[1] - hidden.shape[-1]
        by_b = gradient.flatten(0, -2).T @ hidden.flatten(0, -2)
        by_b = (by_b.unflatten(1, (blocks.shape[1], -1)) * blocks[:, :, None]).sum(1) * ctx.scale
        return both[..., :width], both[..., width:], by_b, None, None, None, None


class _Narrowing(torch.autograd.Function):
    """[x, x A^T] [W, B]^T + bias of one layer; the gradient of x is one product, [dy, dy B] [[W], [A]].

    Where x is wide, as before a down projection, adding the gradient through A would read and write it again.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, a: Any, b: Any, weight: Any, bias: Any, scale: float) -> Any:
        hidden = functional.linear(x, a)
        ctx.save_for_backward(x, hidden, weight)
        ctx.scale = scale
        return functional.linear(torch.cat([x, hidden], dim=-1), weight[: len(b)], bias)

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, hidden, weight = ctx.saved_tensors
        (gradient,) = outputs
        by_hidden = gradient @ weight[: gradient.shape[-1], x.shape[-1] :]  # B there has the scale in it
        by_x = torch.cat([gradient, by_hidden], dim=-1) @ weight[:, : x.shape[-1]]
        by_a = by_hidden.flatten(0, -2).T @ x.flatten(0, -2)
        by_b = gradient.flatten(0, -2).T @ hidden.flatten(0, -2) * ctx.scale
        return by_x, by_a, by_b, None, None, None


def join_groups(groups: Sequence[Group], like: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor]:
    """One flat tensor with the matrices of all groups, and the index in it of each number of all A and of all B.

    With these, one operation updates every A, and one every B.
    """
    if not all(group.dense for group in groups):
        return None, torch.empty(0), torch.empty(0)
    shapes = [group.joined_shape for group in groups]
    sizes = [rows * columns for rows, columns in shapes]
    joined = like.new_zeros(sum(sizes))
    starts = [0, *accumulate(sizes)]
    for group, part, shape in zip(groups, joined.split_with_sizes(sizes), shapes, strict=True):
        group.join(part.view(shape))
    places_a, places_b = zip(
        *(group.places(start) for group, start in zip(groups, starts[:-1], strict=True)), strict=True
    )
    return joined, torch.cat(places_a), torch.cat(places_b)


def _base(layer: Any, x: torch.Tensor) -> torch.Tensor:
    for kind in (nf4_layer, int8_layer):
        if kind.holds(layer):
            return cast(torch.Tensor, kind.product(x, layer))
    return cast(torch.Tensor, layer(x))
