"""Draws rows from the cleaned catalogue, each equally likely, whatever their order in it.

Reads: data/clean.parquet.
Writes: data/sample.parquet.
Params: seed, sample.size.
"""

import heapq
from collections.abc import Iterable
from pathlib import Path

from copywriter import params, paths, records, stage, text
from copywriter.records import Product


def draw(rows: Iterable[Product], size: int, seed: int) -> list[Product]:
    """The `size` rows of the smallest hashes under `seed`, in the order of their hashes; all rows when there are fewer.

    A row's hash depends on nothing but the row, so the draw does not depend on the order of `rows`. Memory holds
    `size` rows.
    """
    keyed = ((text.digest(str(seed), row.title, row.description), row.title, row.description) for row in rows)
    return [Product(title, description) for _, title, description in heapq.nsmallest(size, keyed)]


def run(given: params.Params, cleaned: Path = paths.CLEAN, sampled: Path = paths.SAMPLE) -> str:
    """Draws the sample; the summary line."""
    rows = draw(records.iterate_products(cleaned), given.sample.size, given.seed)
    records.write_products(sampled, rows)
    if len(rows) < given.sample.size:
        return f"all {len(rows):,} rows taken, for sample.size {given.sample.size:,} asks for more than there are"
    return f"{len(rows):,} rows drawn"


def main() -> None:
    stage.run("sample", lambda: run(params.load()))


if __name__ == "__main__":
    main()
