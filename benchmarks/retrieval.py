"""Time, memory and recall of nearest-neighbour search at four sizes: `python -m benchmarks.retrieval`.

Each size is a process of its own: it generates titles, indexes four fifths of them and asks for the neighbours of all,
as the stage retrieve does (families aside). A title is one of the practice catalogue and up to four words of a long
tail, which real catalogues have: distinct words grow as the 0.65th power of the number of titles (Heaps' law). Recall
compares a sample of the queries with brute force: the share of the true nearest title (@1) and of the true eight (@8)
that the search returns, where a title of equal similarity counts as the true one.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks.tail import SYLLABLES, distinct
from copywriter import parallel
from copywriter.fetching import practice
from copywriter.fetching.phrases import banks
from copywriter.retrieval import neighbours
from copywriter.retrieval.index import Index
from copywriter.retrieval.neighbours import Neighbours
from copywriter.retrieval.search import search

SIZES = (10_000, 40_000, 200_000, 1_350_000)
SAMPLE = 300  # queries that are also answered by brute force


def titles_of(size: int) -> list[str]:
    """`size` titles, the same for every run."""
    chance = np.random.default_rng(0)
    categories = list(banks()["categories"])
    kinds, words = chance.integers(len(categories), size=size), chance.integers(2**31, size=size)
    vocabulary = [
        "".join(SYLLABLES[part] for part in chance.integers(len(SYLLABLES), size=length))
        for length in chance.integers(2, 6, size=distinct(size))
    ]
    counts = chance.integers(0, 5, size=size)
    ranks = (len(vocabulary) ** chance.random(counts.sum())).astype(np.int64)  # Zipf: a word's share falls as 1 / rank
    ends = np.cumsum(counts)
    return [
        " ".join(
            [
                practice.article(categories[kind], int(word), 100).title,
                *(vocabulary[rank - 1] for rank in ranks[end - count : end]),
            ]
        )
        for kind, word, end, count in zip(kinds, words, ends, counts, strict=True)
    ]


def brute_force(index: Index, titles: list[str], k: int) -> Neighbours:
    """The exact neighbours of each title: its cosine with every indexed title."""
    queries, squares = index.vectors(titles)
    rows, similarities = [], []
    indexed = index.rows.astype(np.int64)
    for at in range(len(titles)):
        dots = np.asarray((indexed @ queries[at].astype(np.int64).T).todense()).ravel()
        likeness = dots.astype(np.float64) ** 2 / np.maximum(index.squares, 1)
        best = np.lexsort((np.arange(len(index)), -likeness))[:k]
        rows.append(best)
        similarities.append(np.sqrt(likeness[best] / max(1, squares[at])))
    return Neighbours(np.array(rows), np.array(similarities))


def recall(found: Neighbours, exact: Neighbours, k: int) -> float:
    """The share of the exact `k` neighbours that were found, those of equal similarity taken for each other."""
    least = exact.similarities[:, k - 1 : k] - 1e-9
    return float((found.similarities[:, :k] >= least).mean())


def measure(size: int) -> dict[str, float]:
    """One size's row of the table."""
    titles = titles_of(size)
    indexed = titles[: size * 4 // 5]
    started = time.perf_counter()
    index = Index(indexed)
    built = time.perf_counter()
    found = search(index, titles, neighbours.COUNT, threads=parallel.processors())
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    chosen = np.random.default_rng(0).choice(size, SAMPLE, replace=False)
    exact = brute_force(index, [titles[at] for at in chosen], neighbours.COUNT)
    some = Neighbours(found.rows[chosen], found.similarities[chosen])
    return {
        "rows": size,
        "index s": round(built - started, 1),
        "search s": round(ended - built, 1),
        "peak GiB": round(peak, 2),
        "recall@1": round(recall(some, exact, 1), 4),
        "recall@8": round(recall(some, exact, neighbours.COUNT), 4),
    }


def main() -> None:
    """Prints a Markdown table, a line a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="titles, indexed and other ones together")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one)))
        return
    for number, size in enumerate(given.sizes):
        command = [sys.executable, "-m", "benchmarks.retrieval", "--one", str(size)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        if not number:
            print(f"| {' | '.join(row)} |\n|{' --- |' * len(row)}")
        print(f"| {' | '.join(f'{value:,}' for value in row.values())} |", flush=True)


if __name__ == "__main__":
    main()
