"""LoRA as it is trained: all weights of the adapter in one flat float32 tensor, its layers in groups."""

from typing import Any, cast

import torch
from accelerate.utils import set_seed
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from copywriter.errors import UserError
from copywriter.modeling.lora_groups import ADAPTER, Group, grouped_layers, join_groups
from copywriter.params import Params


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
        self._scale: float = grouped[0][0].scaling[ADAPTER]
        self._b = self._copy[sum(sizes[:count]) :]
        self._joined, self._places = join_groups(groups, self._b)

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
