"""Summed negative log-likelihood of labels under a frozen output layer, computed without storing all logits."""

from collections.abc import Callable
from typing import Any, cast

import torch

IGNORED = -100  # a label that carries no loss
_POSITIONS = 1088  # at once, at most; their 16-bit logits take 0.28 GB with a vocabulary of 128k


def nll(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, compiled: bool = False) -> torch.Tensor:
    """Scalar float32: the sum of -log softmax(hidden @ weight.T)[label] over all labels but IGNORED.

    hidden (positions, width), weight (vocabulary, width) without gradient, labels (positions). With `compiled` softmax
    and gradient take two passes over the logits instead of nine.
    """
    part = _compiled_part if compiled else _in_place_part
    return cast(torch.Tensor, _Nll.apply(hidden, weight, labels, part))  # type: ignore[no-untyped-call]


def _part(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The summed loss of a slice of positions, and its gradient with respect to the logits: softmax - one-hot."""
    logits32 = logits.float()
    log_sum = logits32.logsumexp(-1, keepdim=True)
    target = labels.clamp(min=0)[:, None]
    counted = (labels != IGNORED)[:, None]
    total = ((log_sum - logits32.gather(-1, target)) * counted).sum()
    hit = torch.arange(logits.shape[-1], device=logits.device) == target
    gradient = ((logits32 - log_sum).exp() - hit.to(torch.float32)) * counted
    return total, gradient.to(logits.dtype)


def _in_place_part(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As `_part`, for a run that is not compiled: in place, with half of the memory."""
    gradient = logits.log_softmax(-1, dtype=torch.float32)
    target = labels.clamp(min=0)[:, None]
    counted = (labels != IGNORED)[:, None]
    total = -(gradient.gather(-1, target) * counted).sum()
    gradient.exp_().scatter_add_(-1, target, gradient.new_full(target.shape, -1.0)).mul_(counted)
    return total, gradient.to(logits.dtype)


_compiled_part: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
_compiled_part = torch.compile(_part, dynamic=False)


class _Nll(torch.autograd.Function):
    """The gradient with respect to `hidden`, (softmax - one-hot) @ weight, is computed in the forward pass."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, part: Any) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        slices = max(1, -(-len(labels) // _POSITIONS))
        gradients = []
        for states, wanted in zip(hidden.tensor_split(slices), labels.tensor_split(slices), strict=True):
            nll_sum, by_logits = part(states @ weight.T, wanted)
            total += nll_sum
            if ctx.needs_input_grad[0]:
                gradients.append(by_logits @ weight)
        ctx.save_for_backward(torch.cat(gradients) if gradients else None)
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outputs[0], None, None, None
