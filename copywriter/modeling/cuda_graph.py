"""A function of one batch as a CUDA graph: one launch instead of thousands, with the same kernels."""

from collections.abc import Callable

import torch

_WARM_UP = 3  # calls before the capture, as torch recommends: libraries select kernels and allocate memory in them

Batch = dict[str, torch.Tensor]


class Replay:
    """Calls a function of a batch by replaying its captured kernels, for batches of one fixed shape.

    In a model of 135M parameters launching kernels takes longer than running them. Dropout draws new numbers in every
    replay. The capture restores the random state that it found, so a run that resumes from a checkpoint, and captures
    again, equals an uninterrupted run.
    """

    def __init__(self, function: Callable[[Batch], torch.Tensor], batch: Batch) -> None:
        """Captures `function` for batches shaped like `batch`; calls it a few times, with all side effects."""
        self._inputs = {name: tensor.clone() for name, tensor in batch.items()}
        random_state = torch.cuda.get_rng_state()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                function(self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
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
