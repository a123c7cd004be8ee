"""A function of one batch as a CUDA graph: one launch instead of thousands, with the same kernels."""

from collections.abc import Callable

import torch

_WARM_UP = 3  # calls before the capture, as torch asks for: libraries choose kernels and allocate in them

Batch = dict[str, torch.Tensor]


class Replay:
    """Calls a function of a batch by replaying what its kernels did, for batches of one fixed shape.

    At this size a step is bound by the launches of its kernels, not by their arithmetic. Dropout draws anew in every
    replay; the random state after the capture is that before it, so that a run which goes on from a checkpoint, and
    captures again, equals one that was never interrupted.
    """

    def __init__(self, function: Callable[[Batch], torch.Tensor], batch: Batch) -> None:
        """Captures `function` of tensors shaped like `batch`; it runs a few times, with all its effects."""
        self._inputs = {name: tensor.clone() for name, tensor in batch.items()}
        random_state = torch.cuda.get_rng_state()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                function(self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        torch.cuda.set_rng_state(random_state)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._result = function(self._inputs)

    def fits(self, batch: Batch) -> bool:
        """Whether the batch has the shapes that were captured."""
        return all(batch[name].shape == tensor.shape for name, tensor in self._inputs.items())

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The function's result for `batch`."""
        for name, tensor in self._inputs.items():
            tensor.copy_(batch[name], non_blocking=True)
        self._graph.replay()
        return self._result.clone()
