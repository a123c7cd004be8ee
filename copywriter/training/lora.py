"""LoRA as it is trained: layers that share an input take it in one product, all weights lie in one flat tensor."""

from collections.abc import Hashable, Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import Any, cast

import torch
from accelerate.utils import set_seed
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch.nn import functional
from transformers import PreTrainedModel

from copywriter.params import Params
from copywriter.stage import UserError
from copywriter.training import int8_layer, nf4_layer

# Layers of a transformer block that are called with the same tensor, one after the other.
_SHARED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
_NAME = "default"  # PEFT's name of the one adapter


def with_adapter(model: PreTrainedModel, params: Params) -> PeftModel:
    """`model` with an untrained LoRA adapter (A random by the seed, B = 0) in float32, its other weights frozen."""
    set_seed(params.seed)
    model.requires_grad_(False)
    targets: Any = params.lora.target_modules
    config = LoraConfig(
        r=params.lora.r,
        lora_alpha=params.lora.alpha,
        lora_dropout=params.lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        names = sorted({name.rpartition(".")[2] for name, one in model.named_modules() if hasattr(one, "in_features")})
        raise UserError(f"lora.target_modules {targets!r} fits no layer; the model has {', '.join(names)}") from error


class FlatAdapter:
    """The adapter of a PEFT model as one float32 parameter, `weights`, and a copy of it in the layers' number format.

    Layers compute with the copy; their gradients are added to `weights.grad`. One tensor makes clipping, the
    optimizer's step and the exchange between GPUs one operation each. The PEFT layers' own weights become views of
    `weights`, so that PEFT saves and loads them as always.
    """

    def __init__(self, model: PeftModel, dtype: torch.dtype) -> None:
        """Takes the LoRA layers of `model` over: from now on they compute in `dtype`, in groups that share an input."""
        grouped = list(grouped_layers(model))
        factors: list[list[torch.nn.Parameter]] = [
            *([one.lora_A[_NAME].weight for one in layers] for layers in grouped),  # A: (r, in)
            *([one.lora_B[_NAME].weight for one in layers] for layers in grouped),  # B: (out, r)
        ]
        sizes = [sum(weight.numel() for weight in weights) for weights in factors]
        flat = torch.cat([weight.data.float().flatten() for weights in factors for weight in weights])
        self.weights = torch.nn.Parameter(flat)
        self.weights.grad = torch.zeros_like(flat)
        self._copy = flat.to(dtype, copy=True)
        self._trained: list[torch.Tensor] = []
        for weights, exact, copy in zip(
            factors, flat.split_with_sizes(sizes), self._copy.split_with_sizes(sizes), strict=True
        ):
            width = weights[0].shape[1]
            self._trained.append(copy.view(-1, width).requires_grad_())
            views = exact.view(-1, width).split_with_sizes([len(weight) for weight in weights])
            for weight, view in zip(weights, views, strict=True):
                weight.data = view
                weight.requires_grad_(False)
        count = len(grouped)
        groups = [
            Group(layers, a, b)
            for layers, a, b in zip(grouped, self._trained[:count], self._trained[count:], strict=True)
        ]
        self._scale: float = grouped[0][0].scaling[_NAME]
        self._b = self._copy[sum(sizes[:count]) :]
        self._joined, self._places = _join(groups, self._b)

    @torch.no_grad()
    def refresh(self) -> None:
        """Brings what the layers compute with up to date: before a forward pass that follows a change of `weights`."""
        self._copy.copy_(self.weights)
        if self._joined is not None:
            self._joined.index_copy_(0, self._places, self._b * self._scale)

    @torch.no_grad()
    def collect(self) -> None:
        """Adds the layers' gradients of a backward pass to `weights.grad`, and takes them from the layers."""
        found = [torch.zeros_like(one) if one.grad is None else one.grad for one in self._trained]
        cast(torch.Tensor, self.weights.grad).add_(torch.cat([gradient.flatten() for gradient in found]))
        for one in self._trained:
            one.grad = None


class Group:
    """LoRA layers that share their input x: y = x W^T + (alpha / r) dropout(x) A^T B^T, with W and A of all layers.

    Dropout draws one mask for all of them. Where the base's weights are dense, W and B lie side by side, so that one
    product makes y. Source: Hu et al. 2021, section 4.1.
    """

    def __init__(self, layers: Sequence[Any], a: torch.Tensor, b: torch.Tensor) -> None:
        """a (layers * r, in) and b (outputs of all layers, r) are what is trained."""
        first = layers[0]
        self.bases: list[Any] = [layer.get_base_layer() for layer in layers]
        self._a, self._b = a, b
        self._scale: float = first.scaling[_NAME]
        self._dropout: float = getattr(first.lora_dropout[_NAME], "p", 0.0)
        self._outputs = [base.out_features for base in self.bases]
        self._rank = b.shape[1]
        self._weight: torch.Tensor | None = None
        self._bias: torch.Tensor | None = None
        # (outputs, layers): which layer an output belongs to
        self.blocks = torch.eye(len(layers)).repeat_interleave(torch.tensor(self._outputs), dim=0).to(b)
        self._memo: tuple[torch.Tensor, tuple[torch.Tensor, ...]] | None = None
        self._taken = 0
        for index, layer in enumerate(layers):
            layer.group, layer.index = self, index
            layer.__class__ = _member_of(cast(Hashable, type(layer)))

    def part(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """The output of one layer for x; computed for all layers when the first of them is asked."""
        if self._memo is None or self._memo[0] is not x:
            self._memo, self._taken = (x, self(x)), 0
        output = self._memo[1][index]
        self._taken += 1
        if self._taken == len(self.bases):
            self._memo = None
        return output

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs of all layers for x (..., in)."""
        dropped = functional.dropout(x, self._dropout) if self._dropout and self.bases[0].training else x
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
    def joined_shape(self) -> tuple[int, int]:
        """(outputs, in + layers * r)"""
        return len(self.blocks), self.bases[0].in_features + len(self._a)

    @property
    def dense(self) -> bool:
        """Whether the base's weights are plain numbers, which W and B can be joined of."""
        return all(type(base) is torch.nn.Linear for base in self.bases)

    def join(self, weight: torch.Tensor) -> None:
        """Moves W into the first columns of `weight` (outputs, in + layers * r), by which the group multiplies."""
        self._weight = weight
        if any(base.bias is not None for base in self.bases):
            biases = zip(self.bases, self._outputs, strict=True)
            zeros = [base.bias if base.bias is not None else weight.new_zeros(size) for base, size in biases]
            self._bias = torch.cat(zeros).detach()
        for base, rows in zip(self.bases, weight.split_with_sizes(self._outputs), strict=True):
            view = rows[:, : base.in_features]
            base.weight.data = view.copy_(base.weight.data)  # a view: the weights are held once

    def places(self, start: int) -> torch.Tensor:
        """Where in the tensor that holds `weight` from `start` on each number of B stands."""
        outputs = len(self.blocks)
        width = self.joined_shape[1]
        first = self.bases[0].in_features + self.blocks.argmax(1, keepdim=True) * self._rank
        rows = torch.arange(outputs, device=first.device)[:, None] * width
        places: torch.Tensor = start + rows + first + torch.arange(self._rank, device=first.device)
        return places.flatten()


class _Member:
    """What a PEFT layer becomes: its output comes from the group."""

    group: Group
    index: int

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.group.part(x, self.index)


@cache
def _member_of(kind: Hashable) -> type:  # one class for each kind: a compiler compares them
    return type("GroupedLora", (_Member, cast(type, kind)), {})


class _Joined(torch.autograd.Function):
    """[x, h] [W, B]^T + bias, where W is frozen and the gradient of B is that of its blocks alone."""

    @staticmethod
    def forward(ctx: Any, x: Any, hidden: Any, b: Any, weight: Any, bias: Any, blocks: Any, scale: float) -> Any:
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


def _join(groups: Sequence[Group], b: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
    """One tensor for the joined weights of all groups, and the place in it of each number of all B.

    Then every B gets to its place by one operation.
    """
    if not all(group.dense for group in groups):
        return None, torch.empty(0)
    shapes = [group.joined_shape for group in groups]
    sizes = [rows * columns for rows, columns in shapes]
    joined = b.new_zeros(sum(sizes))
    starts = [0, *accumulate(sizes)]
    for group, part, shape in zip(groups, joined.split_with_sizes(sizes), shapes, strict=True):
        group.join(part.view(shape))
    return joined, torch.cat([group.places(start) for group, start in zip(groups, starts[:-1], strict=True)])


def _base(layer: Any, x: torch.Tensor) -> torch.Tensor:
    for kind in (nf4_layer, int8_layer):
        if kind.holds(layer):
            return cast(torch.Tensor, kind.product(x, layer))
    return cast(torch.Tensor, layer(x))


def grouped_layers(model: PeftModel) -> Iterator[list[Any]]:
    """The LoRA layers in the order of the model, those with a common input together."""
    for parent in model.modules():
        if isinstance(parent, LoraLayer):
            continue
        found = {name: one for name, one in parent.named_children() if isinstance(one, LoraLayer)}
        for names in (*_SHARED, *((name,) for name in found)):
            group = [found.pop(name) for name in names if name in found]
            if group:
                yield group
