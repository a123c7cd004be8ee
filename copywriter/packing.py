"""Short rows side by side in sequences of a fixed length, and the tensors that keep them from seeing each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from copywriter.loss import IGNORED
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


def sequence(examples: Sequence[Example]) -> dict[str, list[int]]:
    """One sequence of one or more rows: ids, labels (completion tokens only), positions that restart at each row."""
    input_ids: list[int] = []
    labels: list[int] = []
    position_ids: list[int] = []
    for example in examples:
        input_ids += example.input_ids
        labels += [IGNORED] * example.prompt_length + example.input_ids[example.prompt_length :]
        position_ids += range(len(example.input_ids))
    return {"input_ids": input_ids, "labels": labels, "position_ids": position_ids}


class Collator:
    """Sequences -> a batch of tensors, each (sequences, length).

    No attention mask is made: the model derives it from the positions, which restart at every row, so that a row
    attends to itself alone. Padding is masked by where it stands, never by its id (it shares the id of the end token):
    its positions are all 0, which makes each padding token a row of its own, and its labels carry no loss.
    """

    def __init__(self, pad_id: int, length: int | None, sequences: int = 1) -> None:
        """Pads to `length` tokens, None to the longest sequence of the batch; both rounded up to a multiple of 16.

        A batch of fewer than `sequences` gets sequences of padding alone, so that its shape is that of the others.

        Attention kernels read a mask in aligned rows: at 525 columns it is copied in every layer, at 528 it is not.
        """
        self._pad_id = pad_id
        self._length = length
        self._sequences = sequences

    def __call__(self, sequences: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        length = -(-(self._length or max(len(one["input_ids"]) for one in sequences)) // 16) * 16
        rows = max(len(sequences), self._sequences)
        batch = {}
        for name, value in (("input_ids", self._pad_id), ("labels", IGNORED), ("position_ids", 0)):
            padded = np.full((rows, length), value, dtype=np.int64)
            for row, one in enumerate(sequences):
                padded[row, : len(one[name])] = one[name]
            batch[name] = torch.from_numpy(padded)
        return batch
