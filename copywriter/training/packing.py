"""Short rows side by side in sequences of a fixed length, and the tensors that keep them from seeing each other."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from copywriter.modeling.loss import IGNORED
from copywriter.prompt import Example


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Row numbers grouped so that each group's lengths add up to at most `capacity`.

    Best fit, longest row first: each row goes to the fullest group that still has room for it. Deterministic: equal
    lengths keep their order. ValueError when a row alone exceeds the capacity.
    """
    groups: list[list[int]] = []
    open_groups: list[list[int]] = [[] for _ in range(capacity + 1)]  # by the room that is left in them
    rooms = 0  # bit r is set when a group with room r exists: finding the best fit is one operation on an integer
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        length = lengths[row]
        if not 0 < length <= capacity:
            raise ValueError(f"row {row} has {length} tokens, outside 1 to {capacity}")
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            group = open_groups[room].pop()
            if not open_groups[room]:
                rooms &= ~(1 << room)
        else:
            room, group = capacity, len(groups)
            groups.append([])
        groups[group].append(row)
        open_groups[room - length].append(group)
        rooms |= 1 << (room - length)
    return groups


class Sequences:
    """Sequences of one or more examples, in memory as flat arrays.

    Of every token: input_ids, labels, positions. Of every example, side by side as the tokens are: numbers, lengths and
    prompts (both in tokens). Of every sequence: trained_tokens.
    """

    def __init__(self, groups: Sequence[Sequence[Example]], numbers: Sequence[Sequence[int]] | None = None) -> None:
        """One sequence for each group, its examples side by side; `numbers`: what they are called, in order without."""
        examples = [example for group in groups for example in group]
        rows = [len(group) for group in groups]
        self.numbers = np.array(range(len(examples)) if numbers is None else list(chain.from_iterable(numbers)))
        self.lengths = lengths = np.array([len(example.input_ids) for example in examples])
        self.prompts = np.array([example.prompt_length for example in examples])
        self.input_ids = np.fromiter(chain.from_iterable(one.input_ids for one in examples), np.int32, lengths.sum())
        starts = np.repeat(lengths.cumsum() - lengths, lengths)
        self.positions = (np.arange(len(starts)) - starts).astype(np.int32)
        self.labels = np.where(self.positions < np.repeat(self.prompts, lengths), IGNORED, self.input_ids)
        self._ends = lengths.cumsum()[np.cumsum(rows) - 1]
        self.trained_tokens = np.diff((self.labels != IGNORED).cumsum()[self._ends - 1], prepend=0)

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> dict[str, Any]:
        """ids, labels (completion tokens only) and positions, which restart at each example."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        part = slice(self._ends[number - 1] if number else 0, self._ends[number])
        return {
            "input_ids": self.input_ids[part],
            "labels": self.labels[part],
            "position_ids": self.positions[part],
        }


class Collator:
    """Sequences -> a batch of tensors.

    input_ids, position_ids (sequences, length); predicting (tokens): the flattened positions whose next token carries
    loss, and targets (tokens): that next token, IGNORED where `predicting` is filled up.

    No attention mask is made: the model derives it from the positions, which restart at every row, so that a row
    attends to itself alone. Padding continues the last row, which does not see what comes after it. It carries no loss
    because of where it stands, never because of its id (it shares the id of the end token).
    """

    def __init__(self, pad_id: int, length: int | None = None, sequences: int = 1, tokens: int = 1) -> None:
        """Pads to `length` tokens, None to the longest sequence of the batch; both rounded up to a multiple of 16.

        Batches get at least so many `sequences` (of padding alone) and `tokens` with loss (filled up), so that each has
        the shapes of the others.

        Attention kernels read a mask in aligned rows: at 525 columns it is copied in every layer, at 528 it is not.
        """
        self._pad_id = pad_id
        self._length = length
        self._sequences = sequences
        self._tokens = tokens

    def __call__(self, sequences: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        length = -(-(self._length or max((len(one["input_ids"]) for one in sequences), default=1)) // 16) * 16
        count = max(len(sequences), self._sequences)
        input_ids = np.full((count, length), self._pad_id, dtype=np.int64)
        labels = np.full((count, length), IGNORED, dtype=np.int64)
        positions = np.tile(np.arange(length), (count, 1))
        for row, one in enumerate(sequences):
            end = len(one["input_ids"])
            input_ids[row, :end] = one["input_ids"]
            labels[row, :end] = one["labels"]
            positions[row, :end] = one["position_ids"]
            positions[row, end:] += int(one["position_ids"][-1]) + 1 - end
        # A row's first token is its prompt's and carries no loss: what stands before a token with loss is of its row.
        predicting = np.flatnonzero(labels.ravel() != IGNORED) - 1
        batch = {
            "input_ids": input_ids,
            "position_ids": positions,
            "predicting": _filled(predicting, self._tokens, 0),
            "targets": _filled(labels.ravel()[predicting + 1], self._tokens, IGNORED),
        }
        return {name: torch.from_numpy(array) for name, array in batch.items()}


def room(tokens: NDArray[np.int64], size: int) -> int:
    """Tokens with loss that a batch of `size` random sequences has room for; `tokens`: of each sequence.

    Six standard deviations above the mean: once in a billion batches that is not enough, and then the batch keeps its
    own shape and is not replayed. It must not depend on how many epochs are trained: a run that is extended would end
    in other bits.
    """
    return _in_64s(min(size * tokens.max(), size * tokens.mean() + 6 * np.sqrt(size) * tokens.std()))


def needed(tokens: NDArray[np.int64], size: int) -> int:
    """The most tokens with loss of any batch of `size` sequences in their own order."""
    return _in_64s(max(tokens[at : at + size].sum() for at in range(0, len(tokens), size)))


def _in_64s(value: float) -> int:
    return -(-int(np.ceil(value)) // 64) * 64


def _filled(values: NDArray[np.int64], size: int, filler: int) -> NDArray[np.int64]:
    return np.concatenate([values, np.full(max(0, size - len(values)), filler)])
