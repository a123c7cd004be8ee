"""Losses of single rows and gradients, measured with a trainer's own step."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch

from copywriter.modeling.cuda_graph import Batch
from copywriter.modeling.loss import IGNORED
from copywriter.training.packing import Collator, Sequences
from copywriter.training.step import Step


def batches(data: Sequences, collate: Callable[[list[Any]], Batch], size: int) -> list[Batch]:
    """All sequences in batches of `size`, collated."""
    some = list(data)
    return [collate(some[at : at + size]) for at in range(0, len(some), size)]


def by_row(measure: Callable[[Batch], torch.Tensor], data: Sequences, found: Sequence[Batch]) -> list[float]:
    """The mean negative log-likelihood of a completion token of each row, in nats, in the order of the row numbers.

    measure: Step.loss; data: all rows, in the batches `found`. A row is measured within its batch: the labels of the
    others are left out, so what it shares a sequence with stays as in training.
    """
    values = []
    for batch in found:
        row = batch["position_ids"].flatten().eq(0).cumsum(0)[batch["predicting"]]
        labelled = batch["targets"] != IGNORED
        for number in sorted(set(row[labelled].tolist())):
            alone = batch | {"targets": batch["targets"].masked_fill(row != number, IGNORED)}
            nll, tokens = measure(alone).tolist()
            values.append(nll / tokens)
    order = dict(zip(data.numbers.tolist(), values, strict=True))
    return [order[number] for number in sorted(order)]


def gradient(step: Step, found: Sequence[Batch]) -> torch.Tensor:
    """The adapter's gradient of the mean loss of all completion tokens in these batches: float32 (weights)."""
    tokens = sum(int((batch["targets"] != IGNORED).sum()) for batch in found)
    step.zero_gradient()
    for batch in found:
        step.gradients(batch, tokens)
    total = step.weights.grad
    assert total is not None
    result = total.detach().clone()
    step.zero_gradient()
    return result


def rows_of(data: Sequences, sequences: int) -> list[int]:
    """The row numbers in the first `sequences` sequences."""
    counts = [int((data[at]["position_ids"] == 0).sum()) for at in range(sequences)]
    return [int(row) for row in data.numbers[: sum(counts)]]


def padded(examples: Sequence[Any], pad_id: int, size: int) -> tuple[Sequences, list[Batch]]:
    """Rows as they are trained with `packing: false`: each in a sequence of its own, in batches of `size`."""
    data = Sequences([[row] for row in examples])
    return data, batches(data, Collator(pad_id), size)


def common_share(texts: Sequence[Sequence[int]], others: Sequence[Sequence[int]]) -> float:
    """The share of tokens before the first difference, of the longer text of each pair."""
    same = [
        next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        for one, other in zip(texts, others, strict=True)
    ]
    return sum(same) / sum(max(len(one), len(other)) for one, other in zip(texts, others, strict=True))


def agreement(model: Any, prompts: Sequence[list[int]], texts: Sequence[list[int]]) -> float:
    """The share of the texts' tokens that are the model's most probable ones after the tokens before them."""
    hits: list[list[bool]] = []
    with torch.inference_mode():
        for prompt, text in zip(prompts, texts, strict=True):
            ids = torch.tensor([prompt + text], device=model.device)
            found = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].argmax(-1)
            hits.append((found == ids[0, len(prompt) :]).tolist())
    flat = list(chain.from_iterable(hits))
    return sum(flat) / len(flat)
