"""Draws rows from the cleaned catalogue, each equally likely, whatever their order in it.

Reads: data/clean.parquet.
Writes: data/sample.parquet.
Params: seed, sample.size.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from copywriter import params, paths, records, stage, text

ROWS_AT_ONCE = 200_000  # in memory


def draw(tables: Iterable[pa.Table], size: int, seed: int) -> NDArray[np.int64]:
    """The numbers, counted from 0, of the `size` rows with the smallest hashes under `seed`, in order of the hashes.

    All rows if there are fewer. A hash depends on the row only, so the order of the rows does not change the draw.
    """
    hashes = b"".join(digest for table in tables for digest in digests(table, seed))
    return np.argsort(np.frombuffer(hashes, "S16"), kind="stable")[:size]


def digests(rows: pa.Table, seed: int) -> Iterator[bytes]:
    """text.digest of the seed, the title and the description of each row, from their UTF-8 as Arrow has it."""
    titles, descriptions = (rows[name].cast(pa.binary()).to_pylist() for name in ("title", "description"))
    between, start = text.BETWEEN.encode(), str(seed).encode()
    for title, description in zip(titles, descriptions, strict=True):
        yield text.digest_of_bytes(between.join((start, title, description)))


def take(file: Path, numbers: NDArray[np.int64]) -> Iterator[pa.Table]:
    """The rows with these numbers, in the order of `numbers`; the file is read once per ROWS_AT_ONCE numbers."""
    for at in range(0, len(numbers), ROWS_AT_ONCE):
        order = np.argsort(numbers[at : at + ROWS_AT_ONCE])
        wanted = numbers[at : at + ROWS_AT_ONCE][order]
        found, start = [], 0
        for table in records.iterate_tables(file):
            first, last = np.searchsorted(wanted, [start, start + len(table)])
            found.append(table.take(wanted[first:last] - start))
            start += len(table)
        yield pa.concat_tables(found).take(np.argsort(order))


def run(given: params.Params, cleaned: Path = paths.CLEAN, sampled: Path = paths.SAMPLE) -> str:
    """Draws the sample; the summary line."""
    numbers = draw(records.iterate_tables(cleaned), given.sample.size, given.seed)
    records.write_tables(sampled, take(cleaned, numbers))
    if len(numbers) < given.sample.size:
        return f"all {len(numbers):,} rows taken; sample.size is {given.sample.size:,}"
    return f"{len(numbers):,} rows drawn"


def main() -> None:
    stage.run("sample", lambda: run(params.load()))


if __name__ == "__main__":
    main()
