"""Packing: several short rows in one sequence of a fixed length, with positions that isolate them from each other."""

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

    Best fit, longest row first: each row goes to the fullest group in which it fits. Deterministic: equal
    lengths keep their order. ValueError when a row alone exceeds the capacity.
    """
    groups: list[list[int]] = []
    open_groups: list[list[int]] = [[] for _ in range(capacity + 1)]  # by the tokens that are still free
    free = 0  # bit n is set when a group with n free tokens exists: the best fit is one operation on an integer
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        length = lengths[row]
        if not 0 < length <= capacity:
            raise ValueError(f"row {row} has {length} tokens, outside 1 to {capacity}")
        fitting = free >> length
        if fitting:
            left = length + (fitting & -fitting).bit_length() - 1
            group = open_groups[left].pop()
            if not open_groups[left]:
                free &= ~(1 << left)
        else:
            left, group = capacity, len(groups)
            groups.append([])
        groups[group].append(row)
        open_groups[left - length].append(group)
        free |= 1 << (left - length)
    return groups


class Sequences:
    """Sequences of one or more examples, in memory as flat arrays.

    Per token: input_ids, labels, positions, untrained (of a completion, without loss). Per example, in the order of the
    tokens: numbers, lengths and prompts (both in tokens). Per sequence: trained_tokens.
    """

    def __init__(self, groups: Sequence[Sequence[Example]], numbers: Sequence[Sequence[int]] | None = None) -> None:
        """One sequence per group, its examples concatenated; `numbers`: their row numbers, by default 0, 1, 2, ..."""
        examples = [example for group in groups for example in group]
        rows = [len(group) for group in groups]
        self.numbers = np.array(range(len(examples)) if numbers is None else list(chain.from_iterable(numbers)))
        self.lengths = lengths = np.array([len(example.input_ids) for example in examples])
        self.prompts = np.array([example.prompt_length for example in examples])
        self.input_ids = np.fromiter(chain.from_iterable(one.input_ids for one in examples), np.int32, lengths.sum())
        starts = np.repeat(lengths.cumsum() - lengths, lengths)
        self.positions = (np.arange(len(starts)) - starts).astype(np.int32)
        spans = np.array([(*span, row) for row, one in enumerate(examples) for span in one.untrained], np.int64)
        opened = np.zeros(len(starts) + 1, np.int64)
        if len(spans):
            first = (lengths.cumsum() - lengths)[spans[:, 2]]
            np.add.at(opened, first + spans[:, 0], 1)
            np.add.at(opened, first + spans[:, 1], -1)
        self.untrained = opened.cumsum()[:-1] > 0
        prompt = self.positions < np.repeat(self.prompts, lengths)
        self.labels = np.where(prompt | self.untrained, IGNORED, self.input_ids)
        self._ends = lengths.cumsum()[np.cumsum(rows) - 1]
        self.trained_tokens = np.diff((self.labels != IGNORED).cumsum()[self._ends - 1], prepend=0)

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> dict[str, Any]:
        """ids, labels (completion tokens with loss only) and positions, which restart at each example."""
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

    input_ids, position_ids (sequences, length); predicting (tokens): the flattened positions whose next token has a
    label, and targets (tokens): that next token, IGNORED where `predicting` is padded.

    There is no attention mask: the model derives it from the positions, which restart at every row, so that a row
    attends to itself alone. Padding continues the last row, which does not attend to later tokens. It is excluded from
    the loss by its position, not by its id, which is that of the end token.
    """

    def __init__(self, pad_id: int, length: int | None = None, sequences: int = 1, tokens: int = 1) -> None:
        """Pads to `length` tokens, None to the longest sequence of the batch; both rounded up to a multiple of 16.

        Batches are padded to at least so many `sequences` and `tokens` with a label, so that all have equal shapes.

        Attention kernels need a mask with aligned rows: with 525 columns every layer copies it, with 528 none does.
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
        # A row's first token is of its prompt and has no label, so the token before a label is of the same row.
        predicting = np.flatnonzero(labels.ravel() != IGNORED) - 1
        batch = {
            "input_ids": input_ids,
            "position_ids": positions,
            "predicting": _filled(predicting, self._tokens, 0),
            "targets": _filled(labels.ravel()[predicting + 1], self._tokens, IGNORED),
        }
        return {name: torch.from_numpy(array) for name, array in batch.items()}


def label_capacity(tokens: NDArray[np.int64], size: int) -> int:
    """Labelled tokens that a batch of `size` random sequences is padded to; `tokens`: those of each sequence.

    It is the mean plus six standard deviations. One batch in a billion has more; it keeps its own shape and is computed
    without the CUDA graph. It must not depend on the number of epochs: an extended run would compute other bits.
    """
    return _in_64s(min(size * tokens.max(), size * tokens.mean() + 6 * np.sqrt(size) * tokens.std()))


def most_labels(tokens: NDArray[np.int64], size: int) -> int:
    """The most labelled tokens of any batch of `size` consecutive sequences."""
    return _in_64s(max(tokens[at : at + size].sum() for at in range(0, len(tokens), size)))


def _in_64s(value: float) -> int:
    return -(-int(np.ceil(value)) // 64) * 64


def _filled(values: NDArray[np.int64], size: int, filler: int) -> NDArray[np.int64]:
    return np.concatenate([values, np.full(max(0, size - len(values)), filler)])
