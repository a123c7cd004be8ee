"""The nearest-neighbour baseline: the most similar title, the first of equal ones, with its unchanged description."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter import paths, records
from copywriter.errors import UserError
from copywriter.evaluation import predictions, scores
from copywriter.records import Product
from copywriter.retrieval.nearest import features, nearest
from stages import baseline

WORDS = st.lists(st.sampled_from(["red", "blue", "bucket", "buckets", "lamp", "10", "Ä"]), max_size=5).map(" ".join)


def by_definition(title: str, among: list[str]) -> list[float]:
    """The cosine of the tf-idf vectors, in plain floating point."""
    counts = [features(one) for one in among]
    having = Counter(name for one in counts for name in one)

    def vector(count: Counter[str]) -> dict[str, float]:
        return {name: n * (1 + math.log((1 + len(among)) / (1 + having[name]))) for name, n in count.items()}

    def cosine(left: dict[str, float], right: dict[str, float]) -> float:
        lengths = math.sqrt(sum(v * v for v in left.values()) * sum(v * v for v in right.values()))
        return sum(value * right.get(name, 0) for name, value in left.items()) / lengths if lengths else 0.0

    return [cosine(vector(features(title)), vector(one)) for one in counts]


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8), st.lists(WORDS, min_size=1, max_size=8))
def test_the_nearest_title_is_the_one_of_greatest_cosine(titles: list[str], among: list[str]) -> None:
    for title, (at, similarity) in zip(titles, nearest(titles, among), strict=True):
        expected = by_definition(title, among)
        assert similarity == pytest.approx(expected[at], abs=0.01)  # weights are rounded to 1/256
        assert similarity >= max(expected) - 0.01


@pytest.mark.parametrize(
    ("title", "among", "expected"),
    [
        ("Red Bucket", ["blue lamp", "red bucket", "Red bucket!"], (1, 1.0)),  # of equal ones the first
        ("Buckets", ["lamp", "bucket"], (1, None)),  # runs of characters know the plural
        ("xyz", ["lamp", "bucket"], (0, 0.0)),  # nothing in common: the first row
        ("", ["lamp"], (0, 0.0)),
        ("lamp", ["", "!!!", "lamp"], (2, 1.0)),
    ],
)
def test_what_is_nearest(title: str, among: list[str], expected: tuple[int, float | None]) -> None:
    ((at, similarity),) = nearest([title], among)
    assert at == expected[0]
    assert similarity == pytest.approx(expected[1]) if expected[1] is not None else 0 < similarity < 1


def test_nothing_to_choose_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="no title"):
        list(nearest(["lamp"], []))


def test_predictions_are_the_unchanged_training_descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train = [
        Product("Blue lamp", "A lamp.\nIt is blue."),
        Product("Red bucket", "Holds 10 litres of anything."),
    ]
    test = [Product("Red steel bucket", "Ten litres."), Product("Lamp", "A lamp.\nIt is blue.")]
    records.write_products(paths.TRAIN, train)
    records.write_products(paths.TEST, test)
    baseline.run()
    found = predictions.read(paths.predictions("nearest"))
    assert [(one.title, one.question, one.written) for one in found] == [
        ("Red steel bucket", "Red bucket", train[1].description),
        ("Lamp", "Blue lamp", train[0].description),
    ]
    assert all(one.stopped is one.tokens is one.reference_nll is None for one in found)
    nearest_scores, catalogue = (json.loads(paths.scores(name).read_text()) for name in ("nearest", "catalogue"))
    assert nearest_scores["rows"] == catalogue["rows"] == 2
    assert set(catalogue) == {*scores.WITHOUT_REFERENCE, "rows"}
    assert catalogue["unsupported_numbers"] == 0 and nearest_scores["unsupported_numbers"] == 0.5
    first = [file.read_bytes() for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    baseline.run()
    assert [file.read_bytes() for file in sorted(tmp_path.rglob("*")) if file.is_file()] == first


def test_an_empty_training_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records.write_products(paths.TRAIN, [])
    records.write_products(paths.TEST, [Product("Lamp", "A lamp.")])
    with pytest.raises(UserError, match="no training row"):
        baseline.run()
