"""The nearest titles of an index: candidates by a sparse matrix product, then their exact cosine similarity."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sparse_dot_topn import sp_matmul_topn

from copywriter.retrieval.index import Index, Numbers
from copywriter.retrieval.neighbours import Neighbours

LARGE = 100_000  # indexed titles above which a query reads fewer postings
_QUERIES = 20_000  # in memory at once
_PAIRS = 200_000  # of query and candidate compared at once


class Effort(NamedTuple):
    """What one query may cost. benchmarks/retrieval.py measures what it misses."""

    # Features are taken from the rarest on until the next would exceed it: where all of a title's features fit, the
    # search is exact.
    postings: int
    candidates: int  # ranked again by their exact similarity


def effort(titles: int) -> Effort:
    """The effort for an index of so many titles: with 1.08 million all 1.35 million rows are asked in minutes."""
    return Effort(150_000, 32) if titles <= LARGE else Effort(30_000, 256)


def search(
    index: Index,
    titles: Sequence[str],
    k: int,
    excluded: tuple[Numbers, Numbers] | None = None,
    threads: int = 1,
) -> Neighbours:
    """The `k` nearest indexed titles of each title.

    `excluded`: the group of each query and the group of each indexed title; a title of the query's own group is not
    its neighbour.
    """
    allowed = effort(len(index))
    found = Neighbours(np.full((len(titles), k), -1), np.zeros((len(titles), k)))
    for at in range(0, len(titles), _QUERIES):
        part = slice(at, at + _QUERIES)
        queries, squares = index.vectors(titles[part])
        pruned = _rarest(queries, index.titles_with, allowed.postings)
        groups = excluded and (excluded[0][part], excluded[1])
        waiting = [(np.arange(queries.shape[0]), allowed.candidates)]
        while waiting:
            some, width = waiting.pop()
            rows, likeness, full = _ranked(index, queries[some], pruned[some], width, threads)
            if groups:
                own = (rows >= 0) & (groups[1][rows] == groups[0][some][:, None])
                rows, likeness = _first(rows, likeness, ~own)
            count = min(k, rows.shape[1])
            lacking = (rows[:, count - 1] < 0) & full
            done = some[~lacking]
            found.rows[at + done, :count] = rows[~lacking, :count]
            found.similarities[at + done, :count] = np.sqrt(likeness[~lacking, :count] / squares[done, None].clip(1))
            more, wider = some[lacking], width * 8  # for queries whose candidates were mostly of their own group
            most = max(1, _QUERIES * allowed.candidates // wider)  # at once, so that memory has a bound
            waiting += [(more[first : first + most], wider) for first in range(0, len(more), most)]
    return found


def _rarest(queries: sp.csr_matrix, titles_with: Numbers, postings: int) -> sp.csr_matrix:
    """The queries with as many of their features, the rarest first, as `postings` allows; one of them at least."""
    sizes = np.diff(queries.indptr)
    rows = np.repeat(np.arange(queries.shape[0]), sizes)
    having = titles_with[queries.indices]
    order = np.lexsort((queries.indices, having, rows))
    sums = np.cumsum(having[order])
    starts = queries.indptr[:-1]
    before = np.repeat(np.concatenate([[0], sums])[starts], sizes)
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    chosen = np.zeros(len(order), np.bool_)
    chosen[order] = (sums - before <= postings) | (rank == 0)
    ends = np.concatenate([[0], np.cumsum(chosen)])[queries.indptr]
    return sp.csr_matrix((queries.data[chosen], queries.indices[chosen], ends), queries.shape)


def _ranked(
    index: Index, queries: sp.csr_matrix, pruned: sp.csr_matrix, width: int, threads: int
) -> tuple[Numbers, NDArray[np.float64], NDArray[np.bool_]]:
    """The candidates of each query, nearest first and -1 after the last; the square of their dot product with the
    query over the square of their length; and whether there may be more than `width` of them."""
    width = min(width, len(index))
    product = sp_matmul_topn(pruned.astype(np.int64), index.postings, top_n=width, threshold=0, n_threads=threads)
    counts = np.diff(product.indptr)
    of, rows = np.repeat(np.arange(len(counts)), counts), product.indices.astype(np.int64)
    dots = np.concatenate(
        [_dots(queries, index.rows, of[at : at + _PAIRS], rows[at : at + _PAIRS]) for at in range(0, len(of), _PAIRS)]
        or [np.zeros(0)]
    )
    likeness = dots**2 / np.maximum(index.squares[rows], 1)  # of exact sums, and division rounds alike everywhere
    order = np.lexsort((rows, -likeness, of))
    place = np.arange(len(of)) - np.repeat(product.indptr[:-1], counts)
    ranked, values = np.full((len(counts), width), -1), np.zeros((len(counts), width))
    ranked[of, place], values[of, place] = rows[order], likeness[order]
    return ranked, values, (counts == width) & (width < len(index))


def _dots(queries: sp.csr_matrix, indexed: sp.csr_matrix, left: Numbers, right: Numbers) -> NDArray[np.float64]:
    """The exact dot product of each pair of a query and an indexed title."""
    both = queries[left].astype(np.int64).multiply(indexed[right].astype(np.int64))
    return np.asarray(both.sum(axis=1)).ravel().astype(np.float64)


def _first(rows: Numbers, values: NDArray[np.float64], kept: NDArray[np.bool_]) -> tuple[Numbers, NDArray[np.float64]]:
    """Moves what is kept of each line to its left, in order; the rest is -1 and 0."""
    order = np.argsort(~kept, axis=1, kind="stable")
    kept = np.take_along_axis(kept, order, 1)
    return (
        np.where(kept, np.take_along_axis(rows, order, 1), -1),
        np.where(kept, np.take_along_axis(values, order, 1), 0.0),
    )
