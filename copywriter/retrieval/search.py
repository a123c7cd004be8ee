"""The nearest titles of an index: candidates by a sparse matrix product, then their exact cosine similarity."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sparse_dot_topn import sp_matmul_topn

from copywriter.retrieval.index import Index, Numbers
from copywriter.retrieval.neighbours import Neighbours

LARGE = 100_000  # indexed titles above which a query reads fewer postings
_QUERIES = 20_000  # in memory at once
_PAIRS = 100_000  # of query and candidate compared at once by a thread


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
            excluding = groups and (groups[0][some], groups[1])
            rows, likeness, full = _ranked(index, queries[some], pruned[some], k, width, excluding, threads)
            lacking = (rows[:, -1] < 0) & full
            done = some[~lacking]
            found.rows[at + done] = rows[~lacking]
            found.similarities[at + done] = np.sqrt(likeness[~lacking] / squares[done, None].clip(1))
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
    chosen = np.zeros(len(order), np.bool_)
    chosen[order] = (sums - before <= postings) | (_places(sizes) == 0)
    ends = np.concatenate([[0], np.cumsum(chosen)])[queries.indptr]
    return sp.csr_matrix((queries.data[chosen], queries.indices[chosen], ends), queries.shape)


def _ranked(
    index: Index,
    queries: sp.csr_matrix,
    pruned: sp.csr_matrix,
    k: int,
    width: int,
    excluded: tuple[Numbers, Numbers] | None,
    threads: int,
) -> tuple[Numbers, NDArray[np.float64], NDArray[np.bool_]]:
    """The `k` nearest of `width` candidates of each query, nearest first and -1 after the last; the square of their dot
    product with the query over the square of their length; and whether there may be more than `width` candidates."""
    width = min(width, len(index))
    product = sp_matmul_topn(pruned.astype(np.int64), index.postings, top_n=width, threshold=0, n_threads=threads)
    counts = np.diff(product.indptr)
    of, rows = np.repeat(np.arange(len(counts)), counts), product.indices.astype(np.int64)
    if excluded:
        allowed = excluded[1][rows] != excluded[0][of]
        of, rows = of[allowed], rows[allowed]
    # Of exact sums, and division rounds alike everywhere.
    likeness = _dots(queries, index.rows, of, rows, threads) ** 2 / np.maximum(index.squares[rows], 1)
    best, values = _best(of, rows, likeness, len(counts), k)
    return best, values, (counts == width) & (width < len(index))


def _dots(
    queries: sp.csr_matrix, indexed: sp.csr_matrix, of: Numbers, rows: Numbers, threads: int
) -> NDArray[np.float64]:
    """The exact dot product of each pair of a query and an indexed title; the pairs of a query are neighbours."""

    def dots(at: int) -> Numbers:
        chosen = indexed[rows[at : at + _PAIRS]]
        asked, first = np.unique(of[at : at + _PAIRS], return_index=True)
        edges = chosen.indptr[np.append(first, chosen.shape[0])]
        weights = np.zeros(indexed.shape[1], np.int64)  # of one query: indexing it replaces a sparse product
        products = np.empty(chosen.nnz, np.int64)
        for query, start, end in zip(asked, edges[:-1], edges[1:], strict=True):
            its = slice(queries.indptr[query], queries.indptr[query + 1])
            weights[queries.indices[its]] = queries.data[its]
            np.multiply(weights[chosen.indices[start:end]], chosen.data[start:end], out=products[start:end])
            weights[queries.indices[its]] = 0
        sums = np.concatenate([[0], np.cumsum(products)])[chosen.indptr]
        found: Numbers = sums[1:] - sums[:-1]
        return found

    with ThreadPoolExecutor(threads) as pool:  # numpy and scipy compute outside Python's lock
        return np.concatenate([np.zeros(0), *pool.map(dots, range(0, len(of), _PAIRS))])


def _best(
    of: Numbers, rows: Numbers, likeness: NDArray[np.float64], queries: int, k: int
) -> tuple[Numbers, NDArray[np.float64]]:
    """The `k` rows of each query with the largest likeness, of equal ones the first rows, and their likeness."""
    counts = np.bincount(of, minlength=queries)
    table = np.full((queries, max(k, counts.max(initial=0))), -1.0)
    table[of, _places(counts)] = likeness
    least = np.partition(table, table.shape[1] - k, axis=1)[:, -k]
    kept = likeness >= least[of]  # the order of the others does not matter
    of, rows, likeness = of[kept], rows[kept], likeness[kept]
    order = np.lexsort((rows, -likeness, of))
    place = _places(np.bincount(of, minlength=queries))
    first = place < k
    best, values = np.full((queries, k), -1), np.zeros((queries, k))
    best[of[first], place[first]], values[of[first], place[first]] = rows[order][first], likeness[order][first]
    return best, values


def _places(counts: Numbers) -> Numbers:
    """0, 1, ... for the items of each group, one group after the other; `counts`: items of each group."""
    starts = np.cumsum(counts) - counts
    found: Numbers = np.arange(counts.sum()) - np.repeat(starts, counts)
    return found
