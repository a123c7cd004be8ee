"""Summed negative log-likelihood of labels under a frozen output layer, without ever holding all logits."""

from typing import Any, cast

import torch

IGNORED = -100  # a label that carries no loss
_POSITIONS = 1024  # at once: their float32 logits take 0.5 GiB at a vocabulary of 128k


def nll(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Scalar float32: the sum of -log softmax(hidden @ weight.T)[label] over all labels but IGNORED.

    hidden (positions, width), weight (vocabulary, width) without gradient, labels (positions). On a CPU ignored
    positions are left out of the product; on CUDA they stay in it, so that shapes never depend on the data.
    """
    if hidden.device.type == "cpu":
        kept = labels != IGNORED
        hidden, labels = hidden[kept], labels[kept]
    return cast(torch.Tensor, _Nll.apply(hidden, weight, labels))  # type: ignore[no-untyped-call]


class _Nll(torch.autograd.Function):
    """The gradient by `hidden` is (softmax - one-hot) @ weight: made on the way, while the logits are there."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        with torch.autocast(hidden.device.type, enabled=False):
            for start in range(0, len(labels), _POSITIONS):
                part = slice(start, start + _POSITIONS)
                logits = (hidden[part].to(weight.dtype) @ weight.T).float()
                target = labels[part].clamp(min=0)[:, None]
                counted = (labels[part] != IGNORED)[:, None]
                log_sum = logits.logsumexp(-1, keepdim=True)
                total += ((log_sum - logits.gather(-1, target)) * counted).sum()
                if gradient is not None:
                    excess = logits.sub_(log_sum).exp_()
                    excess.scatter_add_(-1, target, torch.full_like(log_sum, -1.0))
                    gradient[part] = (excess.mul_(counted).to(weight.dtype) @ weight).to(gradient.dtype)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outputs[0], None, None
