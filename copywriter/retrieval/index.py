"""An index of titles for nearest-neighbour search: tf-idf over words and character trigrams, in whole numbers.

Weights are whole multiples of 1/256, so every product and sum is exact: the order of additions, the number of threads
and the machine cannot change a result.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from copywriter import text

STEPS = 256  # a weight is a whole number of 1/STEPS
_SCALE = 1 << 16  # of the unit vectors whose products choose the candidates
_AT_ONCE = 50_000  # titles whose features are in memory as Python objects

Numbers = NDArray[np.int64]


def features(title: str) -> Counter[str]:
    """The words of a title, and the character trigrams of each word with a mark at both of its ends."""
    words = text.words(title)
    marked = [f"^{word}$" for word in words]
    return Counter([*words, *(f"{one[at : at + 3]}~" for one in marked for at in range(len(one) - 2))])


class Index:
    """The titles that can be found, as sparse rows of weights.

    A feature's weight is its count times ln((1 + titles) / (1 + titles that have it)) + 1 (smoothed tf-idf; Manning,
    Raghavan, Schuetze: Introduction to Information Retrieval, section 6.2), rounded to 1/STEPS.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        """Indexes the titles; ValueError when there are none. Takes about 1.2 KB of memory a title."""
        if not titles:
            raise ValueError("no title to index")
        self._numbers: dict[str, int] = {}
        of, times, sizes = self._parse(titles, grow=True)
        count = len(self._numbers)
        self.titles_with = np.bincount(of, minlength=count)  # of each feature
        logs = {int(have): self.idf(int(have), len(titles)) for have in np.unique(self.titles_with)}
        self.weights = np.array([logs[int(have)] for have in self.titles_with], np.int64)
        values = times * self.weights[of]
        rows = np.repeat(np.arange(len(titles)), sizes)
        self.squares = np.zeros(len(titles), np.int64)
        np.add.at(self.squares, rows, values**2)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        shape = (len(titles), count)
        self.rows = sp.csr_matrix((values.astype(np.int32), of.astype(np.int32), starts), shape)
        self.rows.sort_indices()
        unit = np.round(values * (_SCALE / np.sqrt(np.maximum(self.squares, 1)))[rows]).astype(np.int64)
        self.postings = sp.csr_matrix((unit, of.astype(np.int32), starts), shape).T.tocsr()  # titles of each feature

    def __len__(self) -> int:
        return len(self.squares)

    @staticmethod
    def idf(have: int, titles: int) -> int:
        """The weight, in 1/STEPS, of a feature that `have` of the titles have."""
        return round(STEPS * (1 + math.log((1 + titles) / (1 + have))))

    def vectors(self, titles: Sequence[str]) -> tuple[sp.csr_matrix, Numbers]:
        """Titles as rows of weights, and the square of each row's length with the features that the index lacks."""
        unknown = len(self._numbers)
        of, times, sizes = self._parse(titles, grow=False)
        rows = np.repeat(np.arange(len(titles)), sizes)
        known = of < unknown
        values = times * np.append(self.weights, 0)[of]
        squares = np.zeros(len(titles), np.int64)
        exact = STEPS * (1 + math.log(1 + len(self)))  # the weight of a feature that no indexed title has
        np.add.at(squares, rows, np.where(known, values, np.round(times * exact).astype(np.int64)) ** 2)
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows[known], minlength=len(titles)))])
        shape = (len(titles), unknown)
        found = sp.csr_matrix((values[known].astype(np.int32), of[known].astype(np.int32), starts), shape)
        found.sort_indices()
        return found, squares

    def _parse(self, titles: Sequence[str], grow: bool) -> tuple[Numbers, Numbers, Numbers]:
        """The features' numbers (len(self._numbers) for unknown ones) and counts, one title after the other; how many
        each title has."""
        none = np.zeros(0, np.int64)
        parts: list[tuple[Numbers, Numbers, Numbers]] = [(none, none, none)]
        for at in range(0, len(titles), _AT_ONCE):
            counts = [features(title) for title in titles[at : at + _AT_ONCE]]
            parts.append(
                (
                    np.fromiter(self._numbered(chain.from_iterable(counts), grow), np.int64),
                    np.fromiter((times for one in counts for times in one.values()), np.int64),
                    np.array([len(one) for one in counts], np.int64),
                )
            )
        of, times, sizes = (
            (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else [np.zeros(0, np.int64)] * 3
        )
        return of, times, sizes

    def _numbered(self, names: Iterable[str], grow: bool) -> Iterable[int]:
        numbers = self._numbers
        if grow:
            return (numbers.setdefault(name, len(numbers)) for name in names)
        return (numbers.get(name, len(numbers)) for name in names)
