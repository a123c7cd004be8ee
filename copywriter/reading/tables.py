"""A catalogue's raw files as rows: cut into chunks by one process, parsed by as many as there are."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from isal import igzip, igzip_lib

from copywriter import errors
from copywriter.errors import UserError
from copywriter.reading import csv_rows, json_documents, json_rows, parquet_rows, workbooks, xml_feeds
from copywriter.reading import layout as layouts
from copywriter.reading.csv_rows import Dialect
from copywriter.reading.fields import Fields, Record, text_of, value
from copywriter.reading.layout import Layout

ROWS_PER_CHUNK = 1_000  # of a format that is parsed while it is read
# Why a row is none.
MALFORMED = ("not a JSON object", "not a text", "too long", "wrong number of fields", "broken quotes", "wrong encoding")
_TEXT = (str, type(None))
_DAMAGED = (EOFError, gzip.BadGzipFile, igzip_lib.IsalError)


class Row(NamedTuple):
    """A row as found. A text is None where its field is missing or null; `malformed` is one of MALFORMED, or None."""

    file: str
    number: int
    title: str | None = None
    description: str | None = None
    malformed: str | None = None
    excerpt: str = ""  # how a malformed row begins
    unit: str = "line"  # what `number` counts
    detail: str = ""  # more on why it is malformed
    facts: tuple[object, ...] = ()  # as the file holds them


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of one file, in its order: rows parsed already, or whole unparsed lines from line `first` on."""

    file: str
    first: int = 1
    lines: bytes = b""
    parsed: tuple[Record, ...] = ()
    unit: str = "line"


def chunks(raw: Path, manifest: Mapping[str, Any]) -> Iterator[Chunk]:
    """The chunks of the files that `manifest` names, sorted by name; only one is held in memory.

    UserError when a file is missing or damaged, or its first rows have none of the fields that the manifest names.
    """
    for name in sorted(manifest["files"]):
        file = errors.existing(raw / name, "dvc repro --force fetch")
        facts = tuple(column for _, column in manifest.get("facts", ()))
        yield from file_chunks(file, manifest, (manifest["title"], manifest["description"]), facts)


def file_chunks(
    file: Path,
    given: Mapping[str, Any],
    needed: tuple[str, ...] = (),
    facts: tuple[str, ...] = (),
    layout: Layout | None = None,
) -> Iterator[Chunk]:
    """The chunks of one file, with the needed fields and facts or, without any, with all; `given` may fix its layout.

    `needed` are in every row, `facts` perhaps in few.
    """
    try:
        found = layout or guess(file, given)
        fields = Fields(f"{file.name} ({found})", needed, facts)
        if found.format == "parquet":
            yield from record_chunks(file.name, "row", parquet_rows.read_parquet(file, fields), fields)
            return
        if found.format == "xlsx":
            yield from record_chunks(file.name, "row", workbooks.read_workbook(file, found, fields), fields)
            return
        encoding = found.encoding or "utf-8"
        with opened(file) as stream:
            if found.format == "jsonl":
                for first, lines in json_rows.line_blocks(json_rows.utf8_blocks(stream, encoding), fields):
                    yield Chunk(file.name, first, lines)
            elif found.format == "json":
                records = json_documents.read_document(stream, encoding, found.rows, fields)
                yield from record_chunks(file.name, "row", records, fields)
            elif found.format == "xml":
                records = xml_feeds.read_feed(stream, encoding, found.rows or "item", fields)
                yield from record_chunks(file.name, "line", records, fields)
            else:
                dialect = Dialect(found.delimiter or ",", found.quoting)
                records = csv_rows.read_csv(stream, encoding, dialect, found.header_row, fields)
                yield from record_chunks(file.name, "line", records, fields)
    except UnicodeError as error:
        raise UserError(f"{file.name} is not in its encoding ({error}); correct `encoding:` in sources.yaml") from None
    except _DAMAGED as error:  # type: ignore[misc]
        raise UserError(_damaged(file, error)) from None


def _damaged(file: Path, error: Exception) -> str:
    return f"{file} is damaged ({error}); get it again, a file of data/raw with 'dvc repro --force fetch'"


def record_chunks(file: str, unit: str, found: Iterator[Record], fields: Fields) -> Iterator[Chunk]:
    """Rows that are parsed already, ROWS_PER_CHUNK at a time."""
    while group := tuple(islice(found, ROWS_PER_CHUNK)):
        yield Chunk(file, parsed=group, unit=unit)
    fields.require()


def rows(chunk: Chunk, title: str, description: str, facts: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a chunk; the arguments name the fields, also by a path such as `product.name`."""
    nested = "." in title + description
    for number, row, malformed, excerpt, detail in records(chunk):
        if row is None:
            yield Row(chunk.file, number, None, None, malformed, excerpt, chunk.unit, detail)
            continue
        texts = (value(row, title), value(row, description)) if nested else (row.get(title), row.get(description))
        if isinstance(texts[0], _TEXT) and isinstance(texts[1], _TEXT):
            found = Row(chunk.file, number, texts[0], texts[1])
            yield _with_facts(found, row, facts) if facts else found
            continue
        try:
            found = Row(chunk.file, number, text_of(texts[0]), text_of(texts[1]))
            yield _with_facts(found, row, facts) if facts else found
        except TypeError:
            odd = next(text for text in texts if not isinstance(text, _TEXT))
            yield Row(chunk.file, number, None, None, "not a text", str(odd)[:80], chunk.unit)


def _with_facts(found: Row, row: Mapping[str, object], names: Sequence[str]) -> Row:
    return found._replace(facts=tuple([value(row, name) for name in names]))


def records(chunk: Chunk) -> Iterator[Record]:
    """The rows of a chunk with all their fields."""
    yield from chunk.parsed
    if chunk.lines:
        yield from json_rows.read_lines(chunk.lines, chunk.first)


def describe(row: Row) -> str:
    """Where a malformed row is and its first 80 characters, those that do not print escaped."""
    detail = f" ({row.detail})" if row.detail else ""
    return f"{row.file} {row.unit} {row.number}{detail}: {row.excerpt!r}"


def guess(file: Path, given: Mapping[str, Any]) -> Layout:
    """The layout of a file, seen in its bytes or fixed by `given`."""
    with opened(file) as stream:
        try:
            head = stream.read(layouts.HEAD_BYTES)
        except _DAMAGED as error:  # type: ignore[misc]
            raise UserError(_damaged(file, error)) from None
        found = layouts.guess(head, given, file.name)
        if found.encoding is None and isinstance(stream, igzip.IGzipFile):
            raise UserError(f"{file.name} is a gzipped {found.format} file; unzip it and name that file")
    return workbooks.guess(file, found) if found.format == "xlsx" else found


def opened(file: Path) -> BinaryIO:
    """A file's bytes, unzipped where it is gzipped."""
    with file.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, igzip.IGzipFile(file)) if zipped else file.open("rb")  # type: ignore[no-untyped-call]
