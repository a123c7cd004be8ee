"""The LoRA adapter in training: all of its weights in one flat float32 tensor."""

from typing import Any, cast

import torch
from accelerate.utils import set_seed
from peft import PeftModel, get_peft_model
from transformers import PreTrainedModel

from copywriter.errors import UserError
from copywriter.modeling import int8_layer, lora_targets
from copywriter.modeling.lora_groups import ADAPTER, Group, grouped_layers, join_groups
from copywriter.params import Lora, Params


def with_adapter(model: PreTrainedModel, params: Params) -> PeftModel:
    """`model` with an untrained LoRA adapter (A random by the seed, B = 0) in float32, its other weights frozen.

    UserError where an entry of `lora:` selects no layer, or PEFT cannot train its options on this model.
    """
    # In the second forward pass through PEFT's DoRA bitsandbytes has lost the scales of 8-bit weights.
    if peft_only(params.lora) and any(map(int8_layer.holds, model.modules())):
        raise UserError(
            f"lora.{peft_only(params.lora)} does not work with 8-bit weights; set advanced.dequantize: true, or "
            "quantization: 4bit or none"
        )
    config = lora_targets.config(model, params.lora)
    set_seed(params.seed)
    model.requires_grad_(False)
    return get_peft_model(model, config)


def peft_only(lora: Lora) -> str | None:
    """The option that only PEFT's own forward pass computes; None where the grouped one does."""
    return "use_dora" if lora.options.get("use_dora") else None


def uneven(lora: Lora) -> str | None:
    """The option that may give the transformer blocks different adapters; None where all blocks are alike."""
    by_block = ("rank_pattern", "alpha_pattern", "layers_to_transform", "exclude_modules")
    pattern = isinstance(lora.target_modules, str) and lora.target_modules != lora_targets.ALL
    return next((name for name in by_block if name in lora.options), "target_modules" if pattern else None)


def trainable(model: PeftModel, grouped: bool, dtype: torch.dtype) -> "FlatAdapter | PeftAdapter":
    """The adapter of `model` as one tensor to train, in the grouped forward pass or PEFT's own.

    The model computes in `dtype`.
    """
    return FlatAdapter(model, dtype) if grouped else PeftAdapter(model)


class PeftAdapter:
    """The adapter of a PEFT model as one float32 parameter, `weights`, computed by PEFT's own forward pass.

    The parameters of the PEFT layers become views of `weights`. PEFT computes the adapter in float32, layer by
    layer: slower than FlatAdapter, but for every kind of LoRA layer.
    """

    def __init__(self, model: PeftModel) -> None:
        """Takes over all parameters of `model` that require a gradient."""
        self._trained = [one for one in model.parameters() if one.requires_grad]
        flat = torch.cat([one.data.float().flatten() for one in self._trained])
        self.weights = torch.nn.Parameter(flat)
        self.weights.grad = torch.zeros_like(flat)
        parts = flat.split_with_sizes([one.numel() for one in self._trained])
        for one, part in zip(self._trained, parts, strict=True):
            one.data = part.view_as(one)

    def refresh(self) -> None:
        """Nothing: the layers compute with `weights` itself."""

    @torch.no_grad()
    def collect(self) -> None:
        """Adds the layers' gradients of a backward pass to `weights.grad`, and resets them."""
        _collect(self.weights, self._trained)


class FlatAdapter:
    """The adapter of a PEFT model as one float32 parameter, `weights`, and a copy of it in the layers' number format.

    Layers compute with the copy; their gradients are added to `weights.grad`. With one tensor, clipping, the
    optimizer's step and the exchange between GPUs are one operation each. The PEFT layers' weights become views of
    `weights`, so PEFT's functions save and load them.
    """

    def __init__(self, model: PeftModel, dtype: torch.dtype) -> None:
        """Replaces the forward pass of the LoRA layers of `model`: groups with a common input compute in `dtype`."""
        grouped = list(grouped_layers(model))
        factors: list[list[torch.nn.Parameter]] = [
            *([one.lora_A[ADAPTER].weight for one in layers] for layers in grouped),  # A: (r, in)
            *([one.lora_B[ADAPTER].weight for one in layers] for layers in grouped),  # B: (out, r)
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
        self._a, self._b = self._copy.split_with_sizes([sum(sizes[:count]), sum(sizes[count:])])
        self._scale = _scale([layers[0].scaling[ADAPTER] for layers in grouped], sizes[count:], flat)
        self._joined, self._places_a, self._places_b = join_groups(groups, self._copy)

    @torch.no_grad()
    def refresh(self) -> None:
        """Updates the copy; call it before a forward pass that follows a change of `weights`."""
        self._copy.copy_(self.weights)
        if self._joined is not None:
            self._joined.index_copy_(0, self._places_a, self._a)
            self._joined.index_copy_(0, self._places_b, (self._b * self._scale).to(self._b.dtype))

    @torch.no_grad()
    def collect(self) -> None:
        """Adds the layers' gradients of a backward pass to `weights.grad`, and resets them."""
        _collect(self.weights, self._trained)


def _scale(scales: list[float], sizes: list[int], like: torch.Tensor) -> float | torch.Tensor:
    """The scale of all groups, or where they differ a float32 tensor with that of each number of B."""
    if len(set(scales)) == 1:
        return scales[0]
    return torch.cat([like.new_full((size,), scale) for scale, size in zip(scales, sizes, strict=True)])


def _collect(weights: torch.nn.Parameter, trained: list[Any]) -> None:
    found = [torch.zeros_like(one) if one.grad is None else one.grad for one in trained]
    cast(torch.Tensor, weights.grad).add_(torch.cat([gradient.flatten() for gradient in found]))
    for one in trained:
        one.grad = None
