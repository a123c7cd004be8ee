"""Validation of training rows, before GPU time is spent; and a test that rows of one batch do not see each other."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from copywriter import records
from copywriter.errors import UserError
from copywriter.modeling.loss import IGNORED
from copywriter.params import Params
from copywriter.prompt import Example
from copywriter.training.packing import Collator, Sequences
from copywriter.training.trainer import QloraTrainer

Batch = dict[str, torch.Tensor]

_CATALOGUE = "correct the row in the catalogue, or remove it there"
_BASE = "the tokenizer in models/base belongs to another model; run 'dvc repro -f fetch_model'"
_ROUNDING = 1e-5  # relative; a leak changes a loss by more than a hundred times that


def check_lengths(examples: Sequence[Example], params: Params, file: Path) -> None:
    """Raises UserError with the first row of `file` that exceeds a limit or has no trained token; before packing."""
    lengths = np.array([len(one.input_ids) for one in examples])
    prompts = np.array([one.prompt_length for one in examples])
    ours = "this is a bug in copywriter/prompt.py, please report it"
    rules = {
        f"is longer than {params.sequence_length} tokens: {ours}": lengths > params.sequence_length,
        f"has a prompt over {params.longest_prompt} tokens: {ours}": prompts > params.longest_prompt,
        f"has no trained token: {ours}": lengths <= prompts,
        f"has an empty completion: {_CATALOGUE}": lengths == prompts + 1,
    }
    _refuse(rules, np.arange(len(lengths)), file)


def check(data: Sequences, end: int, vocabulary: int, file: Path) -> None:
    """Raises UserError with the first row of `file` that would be trained wrongly, and why."""
    ends = data.lengths.cumsum()
    starts = ends - data.lengths

    def any_of(tokens: NDArray[np.bool_]) -> NDArray[np.bool_]:
        sums = np.concatenate([[0], tokens.cumsum()])
        return np.asarray(sums[ends] > sums[starts])

    place = np.arange(len(data.input_ids)) - np.repeat(starts, data.lengths)
    completion = place >= np.repeat(data.prompts, data.lengths)
    is_last = np.zeros(len(place), np.bool_)
    is_last[ends - 1] = True
    trained = data.labels != IGNORED
    is_end = data.input_ids == end
    outside = (data.input_ids < 0) | (data.input_ids >= vocabulary)
    ours, prompt = (
        f"this is a bug in copywriter/{name}.py, please report it" for name in ("training/packing", "prompt")
    )
    rules = {
        f"has a token outside the model's vocabulary of {vocabulary:,}: {_BASE}": any_of(outside),
        f"does not end with the end token, which teaches not to stop: {prompt}": any_of(is_last & ~is_end),
        f"has an end token within its completion: {_CATALOGUE}": any_of(completion & is_end & ~is_last),
        f"has an end token that is not trained: {ours}": any_of(is_last & ~trained),
        f"has no trained token: {ours}": ~any_of(trained),
        f"has a prompt token that is trained: {ours}": any_of(trained & ~completion),
        f"has a completion token that is not trained: {ours}": any_of(completion & ~trained & ~data.untrained),
        f"has an untrained token that is trained, or is of its prompt: {ours}": any_of(
            data.untrained & (trained | ~completion)
        ),
        f"has a label that is not its token: {ours}": any_of(trained & (data.labels != data.input_ids)),
        f"has positions that do not run from 0: {ours}": any_of(data.positions != place),
    }
    _refuse(rules, data.numbers, file)


def _refuse(rules: dict[str, NDArray[np.bool_]], numbers: NDArray[np.int64], file: Path) -> None:
    """`rules`: for each, which rows break it. The message names the first row and the first rule that it breaks."""
    found = [(int(numbers[broken].min()), rule) for rule, broken in rules.items() if broken.any()]
    if found:
        number, rule = min(found, key=lambda one: one[0])
        title = next((one.title for one in islice(records.iterate_products(file), number, None)), "")
        shown = title if len(title) <= 60 else f"{title[:59]}\u2026"
        raise UserError(f"row {number} of {file} (counted from 0; {shown!r}) {rule}")


def check_batches(training: QloraTrainer, examples: Sequence[Example], data: Sequences) -> None:
    """Raises an error when padding has labels or rows of a batch see each other; `data`: the validation sequences.

    On CUDA the tested batch has the shape of a validation batch, so that its compilation and graph are used again.
    """
    size = int(training.args.per_device_train_batch_size)
    check_padding(training.data_collator, data, size)
    if training.args.device.type == "cuda":
        batch = training.measuring([data[number] for number in range(min(size, len(data)))])
    else:
        batch = small_batch(examples)
    check_isolation(training.step.loss, batch)


def check_padding(collate: Callable[[list[Any]], Any], data: Sequences, size: int) -> None:
    """Raises ValueError when a batch of the `size` sequences with the fewest labels has other labels than theirs."""
    rows = [data[int(number)] for number in np.argsort(data.trained_tokens, kind="stable")[:size]]
    batch = collate(rows)
    found = batch["targets"][batch["targets"] != IGNORED]
    expected = np.concatenate([one["labels"][one["labels"] != IGNORED] for one in rows])
    if found.tolist() != expected.tolist():
        raise ValueError("padding has labels: copywriter.training.packing.Collator adds targets that no row has")


def small_batch(examples: Sequence[Example]) -> Batch:
    """A small batch for check_isolation on a CPU: the ends of a few rows, packed."""
    short = [Example(row.input_ids[-16:], 4, row.cut) for row in examples[:6]]
    return Collator(0)(list(Sequences([short])))


def check_isolation(measure: Callable[[Batch], torch.Tensor], batch: Batch) -> None:
    """Raises UserError when the loss of a row depends on the tokens of another in the same batch.

    Every second row gets other tokens of the batch; the loss of the rows between them must not change. `measure`:
    summed loss of a collated batch, computed by the kernels that training uses.
    """
    ids = batch["input_ids"]
    row = batch["position_ids"].flatten().eq(0).cumsum(0)
    changing = row % 2 == 1
    watched = batch | {"targets": batch["targets"].masked_fill(changing[batch["predicting"]], IGNORED)}
    other = torch.where(changing.view_as(ids), ids.flatten().flip(0).view_as(ids), ids)
    before, after = (float(measure(watched | {"input_ids": one})[0]) for one in (ids, other))
    if not np.isfinite(before):
        raise UserError(
            f"the loss of the untrained model is {before}; set precision: fp32, or bf16 where the card has it"
        )
    if not abs(after - before) <= _ROUNDING * before:  # also when it is NaN
        raise UserError(
            f"rows that share a sequence see each other: the loss of unchanged rows went from {before:.6g} to "
            f"{after:.6g} when their neighbours changed; set packing: false, and report it with the name of the model"
        )
