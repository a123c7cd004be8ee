"""Search: the neighbours are those of greatest cosine, whatever is pruned, excluded or shared among threads."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.retrieval import search as search_module
from copywriter.retrieval.index import Index, features
from copywriter.retrieval.neighbours import Neighbours
from copywriter.retrieval.search import search

WORDS = st.lists(st.sampled_from(["red", "blue", "bucket", "buckets", "lamp", "10", "Ä"]), max_size=5).map(" ".join)
TITLES = [
    f"{colour} {noun} {size}"
    for colour in ("red", "blue", "green")
    for noun in ("lamp", "bucket", "chair")
    for size in range(30)
]


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


def equal(left: Neighbours, right: Neighbours) -> bool:
    return np.array_equal(left.rows, right.rows) and np.array_equal(left.similarities, right.similarities)


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8), st.lists(WORDS, min_size=1, max_size=8))
def test_neighbours_are_those_of_greatest_cosine(titles: list[str], among: list[str]) -> None:
    found = search(Index(among), titles, 3)
    for title, rows, similarities in zip(titles, found.rows, found.similarities, strict=True):
        expected = by_definition(title, among)
        best = sorted((one for one in expected if one), reverse=True)[:3]
        assert (rows >= 0).sum() == len(best)
        assert similarities[: len(best)] == pytest.approx(best, abs=0.01)  # weights are rounded to 1/256
        assert [expected[row] for row in rows if row >= 0] == pytest.approx(best, abs=0.01)


@pytest.mark.parametrize(
    ("title", "among", "row", "similarity"),
    [
        ("Red Bucket", ["blue lamp", "red bucket", "Red bucket!"], 1, 1.0),  # of equal ones the first
        ("Buckets", ["lamp", "bucket"], 1, None),  # trigrams match the plural
        ("xyz", ["lamp", "bucket"], -1, 0.0),  # nothing in common
        ("", ["lamp"], -1, 0.0),
        ("lamp", ["", "!!!", "lamp"], 2, 1.0),
    ],
)
def test_what_is_nearest(title: str, among: list[str], row: int, similarity: float | None) -> None:
    found = search(Index(among), [title], 1)
    assert found.rows.tolist() == [[row]]
    assert (
        found.similarities[0, 0] == pytest.approx(similarity) if similarity is not None else 0 < found.similarities < 1
    )


def test_the_order_is_by_similarity_then_by_row() -> None:
    found = search(Index(TITLES), TITLES, 8)
    assert (np.diff(found.similarities, axis=1) <= 0).all()
    tied = np.diff(found.similarities, axis=1) == 0
    assert (np.diff(found.rows, axis=1)[tied] > 0).all()
    assert found.similarities[:, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(threads: int) -> None:
    index = Index(TITLES)
    assert equal(search(index, TITLES, 8, threads=threads), search(index, TITLES, 8))


def test_blocks_of_queries_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(TITLES)
    whole = search(index, TITLES, 8)
    monkeypatch.setattr(search_module, "_QUERIES", 7)
    monkeypatch.setattr(search_module, "_PAIRS", 11)
    assert equal(search(index, TITLES, 8), whole)


def test_a_group_of_its_own_is_never_a_neighbour() -> None:
    groups = np.arange(len(TITLES)) // 45  # far larger than the candidates of a first search
    found = search(Index(TITLES), TITLES, 8, (groups, groups))
    assert (found.rows >= 0).all()
    assert (groups[found.rows] != groups[:, None]).all()
    one = np.zeros(len(TITLES), np.int64)
    assert (search(Index(TITLES), TITLES[:3], 8, (one[:3], one)).rows == -1).all()


def test_a_wider_search_asks_fewer_queries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So memory has a bound, however many titles are of a query's own group."""
    pairs = []
    ranked = search_module._ranked

    def counted(index: Index, queries: Any, pruned: Any, k: int, width: int, *rest: Any) -> Any:
        pairs.append(queries.shape[0] * width)
        return ranked(index, queries, pruned, k, width, *rest)

    index, groups = Index(TITLES), np.arange(len(TITLES)) // 45
    monkeypatch.setattr(search_module, "_ranked", counted)
    monkeypatch.setattr(search_module, "effort", lambda titles: search_module.Effort(150_000, 4))
    whole = search(index, TITLES, 8, (groups, groups))
    pairs.clear()
    monkeypatch.setattr(search_module, "_QUERIES", 80)
    assert equal(search(index, TITLES, 8, (groups, groups)), whole)
    assert max(pairs) <= 80 * 4
    assert len(set(pairs)) > 1


def test_pruned_queries_keep_their_rarest_features(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = [*TITLES, "green lamp zanzibar 7", "green lamp 7"]
    monkeypatch.setattr(search_module, "effort", lambda titles: search_module.Effort(5, 32))
    found = search(Index(titles), ["red lamp of zanzibar"], 1)
    assert found.rows.tolist() == [[len(TITLES)]]
    exact = by_definition("red lamp of zanzibar", titles)[len(TITLES)]
    assert found.similarities[0, 0] == pytest.approx(exact, abs=0.01)  # of all features, pruned ones too


def test_no_title_to_index_is_an_error() -> None:
    with pytest.raises(ValueError, match="no title"):
        Index([])
