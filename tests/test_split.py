"""No product family has rows in two parts, and the parts have the rows that the shares ask for."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter import params, records
from copywriter.records import Product
from copywriter.stage import UserError
from stages import split
from tests.conftest import changed

SHARES = params.Split(train=0.8, validation=0.1)


def rows_of(sizes: Sequence[int]) -> list[Product]:
    """Families of these sizes, their rows spread over the file."""
    rows = [
        Product(f"Tutu {family}" + "!" * variant, f"Text {family} {variant}")
        for family, size in enumerate(sizes)
        for variant in range(size)
    ]
    return sorted(rows, key=lambda row: row.description[::-1])


def test_a_family_is_its_titles_words() -> None:
    assert split.family("Pink TUTU, 12-in.") == split.family("pink tutu (12 in)") == "pink tutu 12 in"
    assert split.family("Pink tutu") != split.family("Tutu pink")
    assert split.family("Pink tutu 12") != split.family("Pink tutu 1 2")
    assert split.family("हिन्दी") != split.family("हनद")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(0, 2**32 - 1), st.floats(0.5, 0.8))
def test_no_family_straddles_and_shares_hold_within_a_row(sizes: list[int], seed: int, train: float) -> None:
    rows = rows_of([*sizes, *[1] * 100])
    shares = params.Split(train=train, validation=0.1)
    parts = split.split(rows, shares, seed)
    families = [{split.family(row.title) for row in part} for part in parts.values()]
    assert sum(map(len, families)) == len(set().union(*families))
    assert sorted(map(str, rows)) == sorted(str(row) for part in parts.values() for row in part)
    for part, share in (("train", train), ("validation", 0.1), ("test", 0.9 - train)):
        assert abs(len(parts[part]) - share * len(rows)) <= 1


def test_parts_keep_the_order_of_the_rows() -> None:
    rows = rows_of([2] * 50)
    for part in split.split(rows, SHARES, 42).values():
        assert part == [row for row in rows if row in part]


def test_the_parts_depend_on_families_and_seed_alone() -> None:
    rows = rows_of([3, 2, 1] * 20)
    parts = split.split(rows, SHARES, 42)
    assert split.split(iter(rows), SHARES, 42) == parts
    backwards = split.split(rows[::-1], SHARES, 42)
    assert {part: content[::-1] for part, content in backwards.items()} == parts
    assert split.split(rows, SHARES, 43) != parts


def test_families_are_equally_likely_to_be_tested() -> None:
    sizes = {f"tutu {number}": 1 for number in range(20)}
    tested = [sum(split.deal(sizes, SHARES, seed)[key] == "test" for seed in range(1_000)) for key in sizes]
    assert all(60 <= count <= 145 for count in tested)  # 100 expected, standard deviation 9.5


def test_a_family_larger_than_the_test_set_is_trained_on() -> None:
    parts = split.split(rows_of([50, *[1] * 50]), SHARES, 42)
    assert {part: len(content) for part, content in parts.items()} == {"train": 80, "validation": 10, "test": 10}
    assert sum(split.family(row.title) == "tutu 0" for row in parts["train"]) == 50


@pytest.mark.parametrize(
    ("sizes", "shares", "empty"),
    [
        ([1] * 3, SHARES, "validation set is empty: no family fits its share, 0.1 of 3 rows in 3 families"),
        ([1] * 20, params.Split(train=0.98, validation=0.01), "validation set is empty"),
        ([1] * 20, params.Split(train=0.8, validation=0.19), "test set is empty"),
        ([1] * 2, params.Split(train=0.1, validation=0.45), "train set is empty"),
        ([9, 9], SHARES, "18 rows in 2 families"),
        ([], SHARES, "train set is empty"),
    ],
)
def test_an_empty_part_is_refused(sizes: list[int], shares: params.Split, empty: str) -> None:
    with pytest.raises(UserError, match=f"{empty}.*; raise sample.size"):
        split.split(rows_of(sizes), shares, 42)


def test_a_run_writes_parts_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records.write_products(Path("data/sample.parquet"), rows_of([2] * 10 + [1] * 80))
    assert split.run(changed()) == "80 train, 10 validation, 10 test rows of 90 families"
    outputs = [*split.FILES.values(), Path("metrics/split_counts.json")]
    counts = json.loads(outputs[-1].read_text())
    assert counts == {"train": 80, "validation": 10, "test": 10, "families": 90}
    assert [len(records.read_products(file)) for file in outputs[:-1]] == [80, 10, 10]
    before = [file.read_bytes() for file in outputs]
    split.run(changed())
    assert [file.read_bytes() for file in outputs] == before
