"""Neighbours of any title among the training rows, for inference: the rows are read and indexed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from copywriter import records
from copywriter.records import Product
from copywriter.retrieval.index import Index
from copywriter.retrieval.search import search


@dataclass(frozen=True, slots=True)
class Source:
    """A training product that a prompt shows; `row` is its number in the training set, from 0."""

    row: int
    product: Product
    similarity: float


class Retriever:
    """The training rows with an index of their titles."""

    def __init__(self, train: Path, count: int) -> None:
        """Reads and indexes the rows of `train`; a title gets at most `count` sources."""
        self._products = records.read_products(train)
        self._index = Index([row.title for row in self._products])
        self._count = count

    def sources(self, titles: Sequence[str]) -> list[list[Source]]:
        """The sources of each title, the most similar first."""
        found = search(self._index, titles, self._count)
        return [
            [
                Source(row, self._products[row], likeness)
                for row, likeness in zip(rows, similar, strict=True)
                if row >= 0
            ]
            for rows, similar in zip(found.rows.tolist(), found.similarities.tolist(), strict=True)
        ]
