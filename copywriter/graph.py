"""Forward and backward pass of one batch as a CUDA graph: one launch instead of thousands, with the same kernels."""

from collections.abc import Callable, Sequence

import torch

_WARM_UP = 3  # passes before the capture, as torch asks for: libraries choose kernels and allocate in them

Batch = dict[str, torch.Tensor]


class GradientGraph:
    """Adds the gradients of a loss to its parameters, for batches of one fixed shape.

    At this size a step is bound by the launches of its kernels, not by their arithmetic. Dropout draws anew in every
    replay; the random state after the capture is that before it, so that a run which goes on from a checkpoint, and
    captures again, equals one that was never interrupted.
    """

    def __init__(self, loss: Callable[[Batch], torch.Tensor], parameters: Sequence[torch.nn.Parameter], batch: Batch):
        """Captures `loss` of tensors shaped like `batch`; nothing of this batch stays in the gradients."""
        self._parameters = parameters
        self._inputs = {name: tensor.clone() for name, tensor in batch.items()}
        self._gradients = [torch.zeros_like(parameter) for parameter in parameters]
        for parameter, gradient in zip(parameters, self._gradients, strict=True):
            parameter.grad = gradient
        random_state = torch.cuda.get_rng_state()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                loss(self._inputs).backward()  # type: ignore[no-untyped-call]
        torch.cuda.current_stream().wait_stream(aside)
        torch.cuda.set_rng_state(random_state)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            result = loss(self._inputs)
            result.backward()  # type: ignore[no-untyped-call]
            self._loss = result.detach()
        self.forget()

    def forget(self) -> None:
        """Leaves the parameters without gradients, as before a step."""
        for parameter in self._parameters:
            parameter.grad = None

    def fits(self, batch: Batch) -> bool:
        """Whether the batch has the shapes that were captured."""
        return all(batch[name].shape == tensor.shape for name, tensor in self._inputs.items())

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The loss of `batch`, whose gradients are added to those of the batches since the last step."""
        if self._parameters[0].grad is None:  # the optimizer's step took them away
            torch._foreach_zero_(self._gradients)
            for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
                parameter.grad = gradient
        for name, tensor in self._inputs.items():
            tensor.copy_(batch[name], non_blocking=True)
        self._graph.replay()
        return self._loss.clone()
