"""Packing: nothing lost, nothing over the capacity, and rows in one sequence do not see each other."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from copywriter.prompt import Example
from copywriter.training import packing


@given(st.lists(st.integers(1, 50), max_size=300))
def test_every_row_is_in_one_group_and_no_group_overflows(lengths: list[int]) -> None:
    groups = packing.pack(lengths, 50)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    assert all(0 < sum(lengths[row] for row in group) <= 50 for group in groups)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300))
def test_no_two_groups_could_be_one(lengths: list[int]) -> None:
    # Best fit decreasing opens a group only for a row that fits no other: the two emptiest never fit together.
    loads = sorted(sum(lengths[row] for row in group) for group in packing.pack(lengths, 50))
    assert len(loads) < 2 or loads[0] + loads[1] > 50


@pytest.mark.parametrize("length", [0, 51])
def test_a_row_that_cannot_be_packed_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="row 1"):
        packing.pack([5, length], 50)


def examples(seed: int, lengths: list[tuple[int, int]], vocabulary: int) -> list[Example]:
    generator = torch.Generator().manual_seed(seed)
    return [
        Example(
            [*torch.randint(2, vocabulary, (prompt + completion - 1,), generator=generator).tolist(), 0], prompt, False
        )
        for prompt, completion in lengths
    ]


def test_labels_are_the_completion_alone_with_its_end_token() -> None:
    one, two = examples(0, [(3, 4), (2, 5)], 100)
    batch = packing.Collator(0, 20)(list(packing.Sequences([[one, two]])))
    assert batch["predicting"].tolist() == [2, 3, 4, 5, 8, 9, 10, 11, 12]  # each position before one with loss
    assert batch["targets"].tolist() == one.input_ids[3:] + two.input_ids[2:]
    assert batch["position_ids"][0].tolist() == [*range(7), *range(25)]


def test_untrained_tokens_have_no_label_but_stay_in_the_row() -> None:
    one, two = examples(0, [(3, 6), (2, 5)], 100)
    one = dataclasses.replace(one, untrained=((4, 5), (6, 8)))
    packed = packing.Sequences([[two, one]])
    (sequence,) = packed
    assert sequence["input_ids"].tolist() == two.input_ids + one.input_ids
    assert np.flatnonzero(packed.untrained).tolist() == [7 + 4, 7 + 6, 7 + 7]
    batch = packing.Collator(0, 20)([sequence])
    assert batch["targets"].tolist() == [*two.input_ids[2:], *(one.input_ids[at] for at in (3, 5, 8))]
    assert batch["predicting"].tolist() == [1, 2, 3, 4, 5, 7 + 2, 7 + 4, 7 + 7]
    assert packed.trained_tokens.tolist() == [8]


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> torch.nn.Module:
    loaded = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32, attn_implementation="sdpa")
    return loaded.eval()  # type: ignore[no-any-return,no-untyped-call]


@torch.no_grad()
def logits(model: torch.nn.Module, rows: list[list[Example]], length: int | None = None) -> torch.Tensor:
    batch = packing.Collator(0, length)(list(packing.Sequences(rows)))
    found: torch.Tensor = model(
        input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False
    ).logits
    return found


@torch.no_grad()
def alone(model: torch.nn.Module, row: Example) -> torch.Tensor:
    """The logits of one row, neither packed nor padded."""
    found: torch.Tensor = model(input_ids=torch.tensor([row.input_ids]), use_cache=False).logits[0]
    return found


def test_packed_rows_give_the_logits_that_they_give_alone(model: torch.nn.Module) -> None:
    rows = examples(1, [(5, 9), (3, 12), (8, 3), (4, 20)], 400)
    packed = logits(model, [rows[:3], rows[3:]], 40)
    start = 0
    for row in rows[:3]:
        end = start + len(row.input_ids)
        torch.testing.assert_close(packed[0, start:end], alone(model, row), atol=1e-5, rtol=1e-4)
        start = end
    torch.testing.assert_close(packed[1, : len(rows[3].input_ids)], alone(model, rows[3]), atol=1e-5, rtol=1e-4)


def test_a_change_in_one_row_leaves_the_others_logits_as_they_are(model: torch.nn.Module) -> None:
    one, two, three = examples(2, [(5, 9), (3, 12), (8, 3)], 400)
    other = Example([7] * len(two.input_ids), two.prompt_length, False)
    before, after = (logits(model, [[one, middle, three]], 64) for middle in (two, other))
    first, second = len(one.input_ids), len(one.input_ids) + len(two.input_ids)
    assert torch.equal(before[0, :first], after[0, :first])
    assert torch.equal(before[0, second : second + 11], after[0, second : second + 11])
    assert not torch.allclose(before[0, first:second], after[0, first:second])
