"""The rows that flow between the stages, and the only reader and writer of the files that hold them."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from copywriter import canonical, stage

ROWS_PER_GROUP = 16_384  # fixed: row groups decide the bytes of a Parquet file


@dataclass(frozen=True, slots=True)
class Product:
    """One row of a catalogue, cleaned: both texts are non-empty."""

    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model wrote for one test title, beside what the catalogue says."""

    title: str
    question: str
    reference: str
    written: str
    stopped: bool  # the model ended the text itself, within max_new_tokens


SCHEMA = pa.schema(
    [pa.field("title", pa.string(), nullable=False), pa.field("description", pa.string(), nullable=False)]
)


def write_products(path: Path, rows: Iterable[Product]) -> int:
    """Streams rows to a Parquet file, whole or not at all; how many there were."""
    rows = iter(rows)
    count = 0
    with (
        canonical.new_file(path) as aside,
        pq.ParquetWriter(aside, SCHEMA, compression="zstd", compression_level=3, use_dictionary=False) as writer,
    ):
        while group := list(islice(rows, ROWS_PER_GROUP)):
            columns = [[row.title for row in group], [row.description for row in group]]
            writer.write_table(pa.table(columns, schema=SCHEMA), row_group_size=ROWS_PER_GROUP)
            count += len(group)
    return count


def iterate_products(path: Path) -> Iterator[Product]:
    """The rows of a Parquet file that write_products wrote, in its order, a row group in memory at a time."""
    with pq.ParquetFile(stage.existing(path, "dvc repro")) as file:
        for batch in file.iter_batches(ROWS_PER_GROUP):
            columns = batch.to_pydict()
            yield from map(Product, columns["title"], columns["description"])


def read_products(path: Path) -> list[Product]:
    """All rows of a Parquet file that write_products wrote."""
    return list(iterate_products(path))


def write_predictions(path: Path, rows: Iterable[Prediction]) -> int:
    """Writes predictions as JSON lines, whole or not at all; how many there were."""
    count = 0
    with canonical.new_file(path) as aside, aside.open("w", encoding="utf-8") as stream:
        for row in rows:
            count += 1
            stream.write(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n")
    return count


def read_predictions(path: Path) -> list[Prediction]:
    """All predictions of a file that write_predictions wrote."""
    with stage.existing(path, "dvc repro").open(encoding="utf-8") as stream:
        return [Prediction(**json.loads(line)) for line in stream]
