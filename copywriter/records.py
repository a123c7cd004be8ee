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
    """One row of a catalogue, cleaned: title and description are non-empty."""

    title: str
    description: str
    facts: str = ""  # a line for each fact, `brand: Acme`, in the order of the catalogue's entry


class Example(NamedTuple):
    """What a cleaning rule made of a text, or of the part of it that is shown."""

    rule: str
    before: str
    after: str


SCHEMA = pa.schema(
    [pa.field("title", pa.string(), nullable=False), pa.field("description", pa.string(), nullable=False)]
)
_FACTS = b"facts"  # in the schema's metadata: the names, each on a line


def schema(facts: Sequence[str] = ()) -> pa.Schema:
    """The schema of a catalogue whose entry names these facts; without any there is no column for them."""
    if not facts:
        return SCHEMA
    return SCHEMA.append(pa.field("facts", pa.string(), nullable=False)).with_metadata({_FACTS: "\n".join(facts)})


def write_products(path: Path, rows: Iterable[Product], facts: Sequence[str] = ()) -> int:
    """Streams rows to a Parquet file, whole or not at all; how many there were. `facts`: the names of their facts."""
    return write_tables(path, (table(group, facts) for group in _groups(rows)))


def _groups(rows: Iterable[Product]) -> Iterator[list[tuple[str, str, str]]]:
    rows = iter(rows)
    while group := [(row.title, row.description, row.facts) for row in islice(rows, ROWS_PER_GROUP)]:
        yield group


def table(rows: Sequence[tuple[str, ...]], facts: Sequence[str] = ()) -> pa.Table:
    """Titles, descriptions and, where `facts` names any, facts as an Arrow table.

    It travels between processes at no cost to speak of.
    """
    of = schema(facts)
    return pa.table([[row[place] for row in rows] for place in range(len(of))], schema=of)


def write_tables(path: Path, tables: Iterable[pa.Table]) -> int:
    """Streams the rows of tables of one schema as write_products does, with the same bytes however they are parted."""
    count = 0
    tables = iter(tables)
    first = next(tables, SCHEMA.empty_table())
    rest = first.schema.empty_table()
    with (
        files.new_file(path) as aside,
        pq.ParquetWriter(aside, first.schema, compression="zstd", compression_level=3, use_dictionary=False) as writer,
    ):
        for group in chain([first], tables, [None]):
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


def fact_names(path: Path) -> list[str]:
    """The names of the facts in a Parquet file that write_products wrote, in the order of their catalogue's entry."""
    named = (pq.read_schema(errors.existing(path, "dvc repro")).metadata or {}).get(_FACTS)
    return named.decode().split("\n") if named else []


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
