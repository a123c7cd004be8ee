"""A table of titles in, the same table with texts out."""

import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from copywriter.errors import UserError
from copywriter.generation import answers
from copywriter.generation.inference import Request
from copywriter.page.answering import Models, checked
from copywriter.reading import columns, encodings, tables
from copywriter.reading.column_names import title_strength
from copywriter.reading.columns import Column
from copywriter.reading.fields import Record

MAX_BYTES = 2_000_000
MAX_ROWS = 500
ROWS_AT_ONCE = 8  # between two groups another title may be answered
SUFFIXES = (".csv", ".tsv", ".txt")
ADDED = ("written", "unsupported", "error")  # columns


@dataclass(frozen=True, slots=True)
class TitleTable:
    """The rows of an uploaded file. `names`: of its columns; a line that is no row has its reason instead of fields."""

    file: str
    names: Sequence[str]
    title: str  # the column with the titles
    rows: Sequence[Record]

    @property
    def added(self) -> list[str]:
        """The names of the new columns; a number follows a name that the table has already."""
        return [name if name not in self.names else f"{name} (2)" for name in ADDED]

    @property
    def bad(self) -> list[Record]:
        """The lines that are no rows."""
        return [row for row in self.rows if row.fields is None]


def read(file: Path, name: str) -> TitleTable:
    """A table with a column of titles, or a .txt file with a title a line, `name` as the user called it.

    UserError when it is too large, is no table, has no rows, or no column is clearly the title.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"{name} is no table that the page reads; give .csv or .tsv, or .txt with a title a line")
    if (size := file.stat().st_size) > MAX_BYTES:
        raise UserError(f"{name} has {size / 1e6:.1f} MB; the page takes at most {MAX_BYTES / 1e6:.0f} MB")
    if file.suffix.lower() == ".txt":
        content = file.read_bytes()
        lines = content.decode(encodings.guess(content), "replace").lstrip("\ufeff").splitlines()
        records = [Record(number, {"title": line}) for number, line in enumerate(lines, 1) if line.strip()]
    else:
        layout = tables.guess(file, {"format": "csv"})
        records = [record for chunk in tables.file_chunks(file, {}, layout=layout) for record in tables.records(chunk)]
    if not records:
        raise UserError(f"{name} has no rows; give a line of column names and a line for each product")
    if len(records) > MAX_ROWS:
        raise UserError(
            f"{name} has {len(records):,} rows; the page takes at most {MAX_ROWS}, and "
            "'python -m copywriter.ask --file' any number"
        )
    names = list(dict.fromkeys(column for record in records for column in record.fields or ()))
    return TitleTable(name, names, _title_column(names, records, name), records)


def _title_column(names: Sequence[str], records: Sequence[Record], file: str) -> str:
    named = [name for name in names if title_strength(name) >= 3]
    if named:
        return named[0]
    found = {name: Column() for name in names}
    for record in records:
        for name, value in (record.fields or {}).items():
            if isinstance(value, str) and value.strip():
                found[name].add(value)
    choice, _ = columns.choose(found)
    if choice.name is None or len(names) == 1:  # a lone column without a name for titles may have no header at all
        listed = ", ".join(repr(name[:40]) for name in names[:8]) or "none"
        raise UserError(
            f"no column of {file} is clearly the title (its columns: {listed}); name one 'title', or save a title a "
            "line as .txt"
        )
    return choice.name


@dataclass(slots=True)
class Progress:
    """How far a table is. `lines`: the new table's rows so far."""

    done: int
    total: int
    failed: int = 0
    seconds: float = 0.0
    lines: list[dict[str, str]] = field(default_factory=list)


def write(models: Models, table: TitleTable, best: bool, names: Sequence[str] | None) -> Iterator[Progress]:
    """The table with a text for each row, ROWS_AT_ONCE rows at a time; a row without one has the reason as `error`."""
    model = next(iter(models.values()))
    text, unsupported, error = table.added
    progress = Progress(0, len(table.rows))
    started = time.perf_counter()
    for start in range(0, len(table.rows), ROWS_AT_ONCE):
        yield progress
        group = [_requested(models, table, row, names) for row in table.rows[start : start + ROWS_AT_ONCE]]
        written = answers.write(model, [one for one in group if isinstance(one, Request)], best)
        lines = []
        for row, one in zip(table.rows[start:], group, strict=False):
            line = {name: _text(value) for name, value in (row.fields or {}).items()}
            if isinstance(one, Request):
                answer = next(written)
                numbers = answers.unsupported_numbers(model, one, answer)
                line |= {text: answer.text.text, unsupported: ", ".join(numbers)}
            else:
                line |= {error: f"line {row.number}: {one}"}
            lines.append(line)
        progress = Progress(
            start + len(group),
            len(table.rows),
            progress.failed + sum(isinstance(one, str) for one in group),
            time.perf_counter() - started,
            [*progress.lines, *lines],
        )
    yield progress


def _requested(models: Models, table: TitleTable, row: Record, names: Sequence[str] | None) -> Request | str:
    """The request of a row, or why it has none."""
    if row.fields is None:
        return reason(row)
    known = {name.casefold(): name for name in names or ()}
    facts = "\n".join(
        f"{known[column.casefold()]}={' '.join(_text(value).split())}"
        for column, value in row.fields.items()
        if column.casefold() in known and _text(value).strip()
    )
    first = dict([next(iter(models.items()))])
    try:
        return checked(first, _text(row.fields.get(table.title)), facts, None, names)
    except UserError as error:
        return str(error)


def reason(row: Record) -> str:
    """Why a line is no row."""
    return f"{row.malformed} ({row.detail})" if row.detail else str(row.malformed)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def as_csv(table: TitleTable, lines: Sequence[Mapping[str, str]]) -> str:
    """The lines as CSV with the table's columns in their order, then the text, its unsupported numbers, the reason."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*table.names, *table.added], restval="")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()
