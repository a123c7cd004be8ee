"""Neighbours of rows: as the search returns them, as the stage retrieve writes them, and as a prompt shows them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from copywriter import errors, files, paths, records
from copywriter.errors import UserError
from copywriter.params import Params
from copywriter.records import Product

Item = TypeVar("Item")

COUNT = 8  # neighbours of a row on disk: another `retrieval.neighbours` does not search again

Context = Sequence[Product]  # a row's neighbours, the most similar first


@dataclass(frozen=True)
class Neighbours:
    """The nearest indexed titles of each query, the most similar first; of equal ones the first in the index.

    rows: (queries, k) int64, -1 where there is no further title that has a feature in common with the query.
    similarities: (queries, k) float64, cosine from 0 to 1, 0 where there is none.
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float64]


def file(rows: Path) -> Path:
    """Where the neighbours of a split's rows are; `rows`: the split's file."""
    return paths.NEIGHBOURS / rows.name


def write(path: Path, found: Neighbours) -> None:
    """Writes neighbours as two list columns, `rows` (numbers of training rows, from 0) and `similarities`."""
    counts = (found.rows >= 0).sum(1)
    starts = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    known = found.rows >= 0
    rows = pa.ListArray.from_arrays(starts, pa.array(found.rows[known].astype(np.int32)))
    # Four decimals: what is shown, and no last digit that a library could round otherwise.
    similarities = pa.ListArray.from_arrays(starts, pa.array(np.round(found.similarities[known], 4)))
    with files.new_file(path) as aside:
        pq.write_table(
            pa.table({"rows": rows, "similarities": similarities}), aside, compression="zstd", use_dictionary=False
        )


def read(rows: Path, count: int) -> list[list[tuple[int, float]]]:
    """For each row of a split its neighbours: training row and similarity, the most similar first.

    UserError unless there are `count` rows: the neighbours of another split's file.
    """
    path = file(rows)
    table = pq.read_table(errors.existing(path, "dvc repro retrieve")).to_pydict()
    if len(table["rows"]) != count:
        raise UserError(f"{path} is of other rows than {rows}; run 'dvc repro retrieve'")
    return [list(zip(*pair, strict=True)) for pair in zip(table["rows"], table["similarities"], strict=True)]


def of_file(rows: Path, titles: Sequence[str], p: Params, dropout: float = 0.0) -> list[Context] | None:
    """The neighbours that each row of a split is shown, None where params ask for none.

    `dropout`: the share of rows that see none, chosen by seed and title: the same in every epoch.
    """
    if not p.retrieval.neighbours:
        return None
    found = read(rows, len(titles))
    among = records.read_products(paths.TRAIN)
    return [
        []
        if dropped(title, p.seed, dropout)
        else [among[number] for number, _ in led_by(0, one, p.retrieval.neighbours)]
        for title, one in zip(titles, found, strict=True)
    ]


def led_by(first: int, found: Sequence[Item], count: int) -> list[Item]:
    """The neighbours that a prompt shows: the one at `first`, then the most similar others, `count` together.

    `found`: the most similar first, more than `first` of them unless there are none.
    """
    return [*found[first : first + 1], *found[:first], *found[first + 1 :]][:count]


def dropped(title: str, seed: int, share: float) -> bool:
    """Whether a training row with this title is one of the `share` that see no neighbours."""
    value = int.from_bytes(hashlib.blake2b(f"{seed}\0{title}".encode(), digest_size=8).digest(), "big")
    return value < share * 2**64


def identity(rows: Path, p: Params, dropout: float) -> Any:
    """All that decides what `of_file` returns, besides the rows themselves."""
    if not p.retrieval.neighbours:
        return None
    return [files.sha256(file(rows)), files.sha256(paths.TRAIN), p.retrieval.model_dump(), p.seed, dropout]
