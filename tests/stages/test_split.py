"""No product family has rows in two parts, and the parts have the rows that the shares ask for."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter import params, records
from copywriter.errors import UserError
from copywriter.records import Product
from stages import split
from tests.conftest import changed

SHARES = params.Split(train=0.8, validation=0.1, near_duplicates="keep")
THIN = params.Split(train=0.8, validation=0.1, near_duplicates="thin")


def letters(number: int) -> str:
    """A word of its own for each number, none that names a variant."""
    return "q" + "".join(chr(97 + int(digit)) for digit in str(number))


def rows_of(sizes: Sequence[int]) -> list[Product]:
    """Families of these sizes, their rows spread over the file; a family's word is the last of its rows' titles."""
    rows = [
        Product(f"{variant} tutu {letters(family)}", f"Text {family} {variant}")
        for family, size in enumerate(sizes)
        for variant in range(size)
    ]
    return sorted(rows, key=lambda row: row.description[::-1])


def dealt(rows: Sequence[Product], given: params.Split = SHARES, seed: int = 42) -> dict[str, list[Product]]:
    parts = split.split(split.find_families(rows), given, seed)
    named = list(zip(parts, rows, strict=True))
    return {part: [row for of, row in named if of == part] for part in (*split.FILES, "thinned")}


def family(row: Product) -> str:
    return row.title.split()[-1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(0, 2**32 - 1), st.floats(0.5, 0.8))
def test_no_family_straddles_and_shares_hold_within_a_row(sizes: list[int], seed: int, train: float) -> None:
    rows = rows_of([*sizes, *[1] * 100])
    parts = dealt(rows, params.Split(train=train, validation=0.1, near_duplicates="keep"), seed)
    families = [{family(row) for row in part} for part in parts.values()]
    assert sum(map(len, families)) == len(set().union(*families)) == len(sizes) + 100
    assert sorted(map(str, rows)) == sorted(str(row) for part in parts.values() for row in part)
    for part, share in (("train", train), ("validation", 0.1), ("test", 0.9 - train)):
        assert abs(len(parts[part]) - share * len(rows)) <= 1


def test_near_duplicates_by_description_do_not_straddle_either() -> None:
    story = "A tutu of three layers, soft to the skin, for dancers who are three to five years old. Wash by hand. "
    rows = [
        Product(f"Tutu {letters(number)}", story + " ".join(f"{letters(number // 2)}{word}" for word in "abc"))
        for number in range(20)
    ] + rows_of([1] * 180)
    parts = dealt(rows)
    assert [sum(row.title.startswith("Tutu") for row in part) for part in parts.values()].count(0) == 3


def test_parts_keep_the_order_of_the_rows() -> None:
    rows = rows_of([2] * 50)
    for part in dealt(rows).values():
        assert part == [row for row in rows if row in part]


def test_the_parts_depend_on_families_and_seed_alone() -> None:
    rows = rows_of([3, 2, 1] * 20)
    parts = dealt(rows)
    backwards = dealt(rows[::-1])
    assert {part: content[::-1] for part, content in backwards.items()} == parts
    assert dealt(rows, seed=43) != parts


def test_families_are_equally_likely_to_be_tested() -> None:
    sizes = {f"tutu {number}": 1 for number in range(20)}
    tested = [sum(split.deal(sizes, SHARES, seed)[key] == "test" for seed in range(1_000)) for key in sizes]
    assert all(60 <= count <= 145 for count in tested)  # 100 expected, standard deviation 9.5


def test_a_family_larger_than_the_test_set_is_trained_on() -> None:
    parts = dealt(rows_of([50, *[1] * 50]))
    assert {part: len(content) for part, content in parts.items()} == {
        "train": 80,
        "validation": 10,
        "test": 10,
        "thinned": 0,
    }
    assert sum(family(row) == "qa" for row in parts["train"]) == 50


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_thinning_leaves_the_first_training_row_of_each_family(sizes: list[int], seed: int) -> None:
    rows = rows_of([*sizes, *[1] * 100])
    kept, thin = dealt(rows, SHARES, seed), dealt(rows, THIN, seed)
    assert (thin["validation"], thin["test"]) == (kept["validation"], kept["test"])
    first = {family(row): row for row in reversed(kept["train"])}
    assert set(thin["train"]) == set(first.values())
    assert sorted(map(str, kept["train"])) == sorted(map(str, thin["train"] + thin["thinned"]))


@pytest.mark.parametrize(
    ("sizes", "shares", "empty"),
    [
        ([1] * 3, {}, "validation set is empty: no family fits its share, 0.1 of 3 rows in 3 families"),
        ([1] * 20, {"train": 0.98, "validation": 0.01}, "validation set is empty"),
        ([1] * 20, {"train": 0.8, "validation": 0.19}, "test set is empty"),
        ([1] * 2, {"train": 0.1, "validation": 0.45}, "train set is empty"),
        ([9, 9], {}, "18 rows in 2 families"),
        ([], {}, "train set is empty"),
    ],
)
def test_an_empty_part_is_refused(sizes: list[int], shares: dict[str, Any], empty: str) -> None:
    given = SHARES.model_copy(update=shares)
    with pytest.raises(UserError, match=f"{empty}.*; raise sample.size"):
        dealt(rows_of(sizes), given)


@pytest.mark.parametrize(
    ("near_duplicates", "counts", "summary"),
    [
        ("keep", (80, 0), "80 train, 10 validation, 10 test rows of 90 families, the largest of 2 rows"),
        ("thin", (72, 8), "72 train, 10 validation, 10 test, 8 thinned rows of 90 families, the largest of 2 rows"),
    ],
)
def test_a_run_writes_parts_and_counts(
    near_duplicates: str,
    counts: tuple[int, int],
    summary: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    records.write_products(Path("data/sample.parquet"), rows_of([2] * 10 + [1] * 80))
    given = changed(split__near_duplicates=near_duplicates)
    assert split.run(given) == summary
    outputs = [*split.FILES.values(), Path("metrics/split_counts.json")]
    train, thinned = counts
    sizes = {"train": train, "validation": 10, "test": 10}
    assert json.loads(outputs[-1].read_text()) == {**sizes, "thinned": thinned, "families": 90, "largest_family": 2}
    assert [len(records.read_products(file)) for file in outputs[:-1]] == list(sizes.values())
    before = [file.read_bytes() for file in outputs]
    split.run(given)
    assert [file.read_bytes() for file in outputs] == before


def test_a_run_over_several_row_groups_writes_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(records, "ROWS_PER_GROUP", 32)
    rows = random.Random(0).sample(rows_of([1] * 100), 100)
    records.write_products(Path("data/sample.parquet"), rows)
    split.run(changed())
    parts = [records.read_products(file) for file in split.FILES.values()]
    assert parts == list(dealt(rows, seed=changed().seed).values())[:3]


def small(rows: int, family: int) -> split.Families:
    """So many rows in families of so many."""
    return split.Families([str(row // family) for row in range(rows)], [row % family == 0 for row in range(rows)])


@pytest.mark.parametrize(("rows", "family", "needed"), [(3, 1, 6), (5, 1, 6), (6, 6, 8), (20, 5, 23)])
def test_a_small_catalogue_is_told_how_many_rows_it_lacks(rows: int, family: int, needed: int) -> None:
    given = params.Split(train=0.8, validation=0.1, near_duplicates="keep")
    message = f"with {needed - rows} more, {needed} rows, it works$"
    with pytest.raises(UserError, match=message):
        split.split(small(rows, family), given, 42, sample_size=40_000)
    added = split.Families([*small(rows, family).names, *map(str, range(100, 100 + needed - rows))], [True] * needed)
    assert set(split.split(added, given, 42, sample_size=40_000)) == {"train", "validation", "test"}


def test_a_small_sample_of_a_large_catalogue_is_to_be_raised() -> None:
    given = params.Split(train=0.8, validation=0.1, near_duplicates="keep")
    with pytest.raises(UserError, match=r"raise sample\.size"):
        split.split(small(3, 1), given, 42, sample_size=3)


def test_fifty_rows_are_split() -> None:
    given = params.Split(train=0.8, validation=0.1, near_duplicates="keep")
    parts = split.split(small(50, 1), given, 42, sample_size=40_000)
    assert [parts.count(part) for part in ("train", "validation", "test")] == [40, 5, 5]
