"""The benchmark of leaks compares every pair exactly, and what it plants is what it says."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import leakage
from copywriter import text
from copywriter.records import Product

descriptions = st.lists(st.sampled_from("ab"), min_size=1, max_size=12).map(" ".join)
BUCKET = "A sturdy steel bucket for the garden. It holds ten litres, and it will not rust. Hang it on any hook."
ROWS = [
    Product(f"Garden {noun} in Blue, 3 l", BUCKET.replace("bucket", noun))
    for noun in ("bucket", "kettle", "can", "pot")
]


@settings(max_examples=60, deadline=None)
@given(st.lists(descriptions, min_size=1, max_size=8), st.lists(descriptions, min_size=1, max_size=8))
def test_every_pair_is_compared(train: list[str], test: list[str]) -> None:
    rows = [Product(str(number), description) for number, description in enumerate([*train, *test])]
    content = leakage.numbered(rows)
    found = leakage.similarities([content[row] for row in rows[: len(train)]], [content[r] for r in rows[len(train) :]])
    for one, similar in zip(test, found, strict=True):
        sets = [(leakage.grams(one), leakage.grams(other)) for other in train]
        assert similar.tolist() == [len(ours & theirs) / len(ours | theirs) for ours, theirs in sets]


def test_leaks_are_counted_by_rows_and_by_pairs() -> None:
    same, other = Product("a", BUCKET), Product("b", "Nothing of it.")
    parts = {"train": [same, Product("c", BUCKET + " Made in Wales.")], "validation": [other], "test": [other, same]}
    lines = list(leakage.leaks(parts, leakage.numbered({row for rows in parts.values() for row in rows})))
    assert lines == [["validation", "2", "0.000", "0", "0.0%"], ["test", "4", "1.000", "2", "50.0%"]]


@pytest.mark.parametrize("kind", leakage.TITLES)
@pytest.mark.parametrize("seed", range(5))
def test_titles_are_changed_and_not_beyond_recognition(kind: str, seed: int) -> None:
    for title in ("Garden Bucket in Blue, 3 l", "Garden Bucket"):
        changed = leakage.TITLES[kind](title, Random(seed))
        assert changed != title
        assert changed.startswith("Garden Bucket")


@pytest.mark.parametrize(
    ("kind", "shared"), [("case", 1.0), ("a word", 0.99), ("two words", 0.99), ("added", 0.99), ("dropped", 0.99)]
)
def test_descriptions_are_changed_as_their_kind_says(kind: str, shared: float) -> None:
    (change,) = (change for name, change in leakage.DESCRIPTIONS.items() if kind in name)
    changed = change(BUCKET, Random(1))
    ours, theirs = set(text.words(BUCKET)), set(text.words(changed))
    assert changed != BUCKET
    assert 0.5 < len(ours & theirs) / len(ours | theirs) <= shared


def test_every_plant_has_a_row_of_its_own_and_all_kinds_come() -> None:
    plants = list(leakage.near_duplicates(ROWS * 10, 4, Random(0)))
    assert len({plant.origin for plant in plants}) == len(plants) == 36
    assert {plant.kind for plant in plants} == {*leakage.TITLES, *leakage.DESCRIPTIONS}
    for plant in plants:
        assert (plant.row.title in {row.title for row in ROWS}) == (not plant.by_title)
