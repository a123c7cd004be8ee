"""The rows that flow between the stages, and the only reader and writer of the files that hold them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from copywriter import errors, files

ROWS_PER_GROUP = 16_384  # fixed: row groups decide the bytes of a Parquet file


@dataclass(frozen=True, slots=True)
class Product:
    """One row of a catalogue, cleaned: both texts are non-empty."""

    title: str
    description: str


class Example(NamedTuple):
    """What a cleaning rule made of a text, or of the part of it that is shown."""

    rule: str
    before: str
    after: str


SCHEMA = pa.schema(
    [pa.field("title", pa.string(), nullable=False), pa.field("description", pa.string(), nullable=False)]
)


def write_products(path: Path, rows: Iterable[Product]) -> int:
    """Streams rows to a Parquet file, whole or not at all; how many there were."""
    return write_tables(path, map(table, _groups(rows)))


def _groups(rows: Iterable[Product]) -> Iterator[list[tuple[str, str]]]:
    rows = iter(rows)
    while group := [(row.title, row.description) for row in islice(rows, ROWS_PER_GROUP)]:
        yield group


def table(rows: Sequence[tuple[str, str]]) -> pa.Table:
    """Titles with their descriptions as an Arrow table, which travels between processes at no cost to speak of."""
    return pa.table([[title for title, _ in rows], [description for _, description in rows]], schema=SCHEMA)


def write_tables(path: Path, tables: Iterable[pa.Table]) -> int:
    """Streams the rows of tables as write_products does, with the same bytes however they are parted."""
    count = 0
    rest = SCHEMA.empty_table()
    with (
        files.new_file(path) as aside,
        pq.ParquetWriter(aside, SCHEMA, compression="zstd", compression_level=3, use_dictionary=False) as writer,
    ):
        for group in chain(tables, [None]):
            rest = pa.concat_tables([rest, group]) if group is not None else rest
            while len(rest) >= ROWS_PER_GROUP or (group is None and len(rest)):
                # In one piece: the edges of pieces would show in the file.
                writer.write_table(rest[:ROWS_PER_GROUP].combine_chunks(), row_group_size=ROWS_PER_GROUP)
                count += len(rest[:ROWS_PER_GROUP])
                rest = rest[ROWS_PER_GROUP:]
    return count


def iterate_tables(path: Path) -> Iterator[pa.Table]:
    """The rows of a Parquet file that write_products wrote, in its order, a row group in memory at a time."""
    with pq.ParquetFile(errors.existing(path, "dvc repro")) as file:
        for batch in file.iter_batches(ROWS_PER_GROUP):
            yield pa.Table.from_batches([batch])


def iterate_products(path: Path) -> Iterator[Product]:
    """The rows that iterate_tables has, one by one."""
    for rows in iterate_tables(path):
        yield from map(Product, *rows.to_pydict().values())


def read_products(path: Path) -> list[Product]:
    """All rows of a Parquet file that write_products wrote."""
    return list(iterate_products(path))


def write_examples(path: Path, rows: Iterable[Example]) -> None:
    """Writes examples as JSON lines, whole or not at all; in ASCII, for texts before cleaning hold anything."""
    with files.new_file(path) as aside, aside.open("w", encoding="ascii") as stream:
        stream.writelines(json.dumps(row._asdict()) + "\n" for row in rows)


def read_examples(path: Path) -> list[Example]:
    """All examples of a file that write_examples wrote."""
    with errors.existing(path, "dvc repro").open(encoding="ascii") as stream:
        return [Example(**json.loads(line)) for line in stream]
