"""Which sequences each optimizer step sees: a function of (seed, epoch), whatever the number of GPUs."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from copywriter.errors import UserError


def micro_batch(batch_size: int, most: int, processes: int) -> int:
    """Sequences at once in one process: the largest number up to `most` that gives each process equal micro-batches.

    UserError when a batch cannot be shared equally: a process without work would keep the others waiting.
    """
    share, rest = divmod(batch_size, processes)
    if rest:
        raise UserError(
            f"batch_size {batch_size} cannot be shared equally by {processes} processes; make it a multiple of "
            f"{processes}, or use fewer GPUs (CUDA_VISIBLE_DEVICES=0 for the first alone)"
        )
    return max(size for size in range(1, min(share, most) + 1) if share % size == 0)


class EpochOrder(Sampler[list[int]]):
    """Batches of sequence numbers for one process, a micro-batch each; every optimizer step has the same number.

    A step takes the next `batch_size` sequences of the epoch's permutation; the processes get `micro_batch_size` of
    them in turn. The last step of an epoch may have fewer: no sequence is repeated.
    """

    def __init__(
        self, sequences: int, batch_size: int, micro_batch_size: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        if batch_size % (micro_batch_size * processes):
            raise ValueError(f"{processes} processes x {micro_batch_size} sequences do not divide {batch_size}")
        self._sequences = sequences
        self._batch_size = batch_size
        self._micro_batch_size = micro_batch_size
        self._seed = seed
        self._rank = rank
        self._processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next iteration, counted from 0."""
        self.epoch = epoch

    @property
    def steps(self) -> int:
        """Optimizer steps in an epoch."""
        return -(-self._sequences // self._batch_size)

    def __len__(self) -> int:
        return self.steps * (self._batch_size // (self._micro_batch_size * self._processes))

    def of_step(self, step: int) -> list[int]:
        """The sequences of all processes in a step of the run, counted from 0."""
        epoch, within = divmod(step, self.steps)
        return self._permutation(epoch)[within * self._batch_size :][: self._batch_size]

    def _permutation(self, epoch: int) -> list[int]:
        order: list[int] = np.random.default_rng([self._seed, epoch]).permutation(self._sequences).tolist()
        return order

    def __iter__(self) -> Iterator[list[int]]:
        order = self._permutation(self.epoch)
        for start in range(0, self._sequences, self._batch_size):
            step = order[start : start + self._batch_size]
            for at in range(
                self._rank * self._micro_batch_size, self._batch_size, self._micro_batch_size * self._processes
            ):
                yield step[at : at + self._micro_batch_size]
