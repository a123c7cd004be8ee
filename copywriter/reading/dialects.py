"""How a delimited text is written: its delimiter, its quoting and the line of its header, by its first rows."""

import io
from itertools import islice
from typing import NamedTuple

from copywriter.reading import column_names, headers
from copywriter.reading.csv_rows import Dialect, Quoting, Reader, declares_delimiter

DELIMITERS = ",;\t|"
ROWS = 200  # looked at for the delimiter and the header
ROWS_FOR_QUOTES = 2_000
CHARACTERS = 1_000_000


class Table(NamedTuple):
    """The dialect of a text, and the line of its header where that is not the first row."""

    dialect: Dialect
    header_row: int | None


def guess(
    text: str, delimiter: str | None = None, quoting: Quoting | None = None, header_row: int | None = None
) -> Table:
    """How a text is written, by its first rows; what is given is not guessed."""
    whole = text[:CHARACTERS]
    if len(text) > CHARACTERS or not text.endswith(("\n", "\r")):
        end = max(whole.rfind("\n"), whole.rfind("\r")) + 1
        whole = whole[:end] if len(text) > CHARACTERS and end else whole
    first = whole.lstrip("\ufeff")
    delimiter = delimiter or (first[4] if declares_delimiter(first) else _delimiter(first, quoting))
    dialect = Dialect(delimiter, quoting or _quoting(first, delimiter))
    return Table(dialect, header_row or _header_row(first, dialect))


def _rows(text: str, dialect: Dialect, count: int = ROWS) -> list[tuple[int, list[str]]]:
    """The first rows with the lines on which they start; those with broken quotes are left out."""
    reader = Reader(io.StringIO(text, newline=""), dialect)
    rows = [(row.number, row.cells) for row in islice(reader, count) if row.cells is not None]
    return rows[1:] if declares_delimiter(text) else rows


def _header_row(text: str, dialect: Dialect) -> int | None:
    rows = _rows(text, dialect)
    at = headers.find([cells for _, cells in rows])
    first = next((number for number, (_, cells) in enumerate(rows) if cells), at)
    return rows[at][0] if at != first else None


def _delimiter(text: str, quoting: Quoting | None) -> str:
    """The delimiter under which most rows have two cells or more, and no more than their header."""
    ways: list[Quoting] = [quoting] if quoting else ["double", "none"]
    return max(DELIMITERS, key=lambda one: max(_fit(text, Dialect(one, way)) for way in ways))


def _fit(text: str, dialect: Dialect) -> tuple[float, int]:
    rows = [cells for _, cells in _rows(text, dialect) if cells]
    at = headers.find(rows)
    width = _width(rows[at]) if rows else 0
    if width < 2:
        return 0, 0
    widths = [width if len(row) == len(rows[at]) else _width(row) for row in rows[at + 1 :] if _width(row)]
    good = sum(1.0 if found == width else 0.9 if 1 < found < width else 0 for found in widths)
    # Rows above the header are rare, and under the wrong delimiter the header itself looks like one.
    certain = at == 0 or column_names.names_both(rows[at])
    return round((1 if certain else 0.8) * good / len(widths), 2) if widths else 0.5, width


def _width(row: list[str]) -> int:
    """How many cells a row has without the empty ones at its end."""
    return next((number for number in range(len(row), 0, -1) if row[number - 1].strip()), 0)


def _quoting(text: str, delimiter: str) -> Quoting:
    """double, unless rows have broken quotes that another way of quoting explains."""
    double, backslash = Dialect(delimiter), Dialect(delimiter, "backslash")
    if '"' not in text:  # a file without quotes may escape its delimiter
        escapes = f"\\{delimiter}" in text and _wide(text, double) and not _wide(text, backslash)
        return "backslash" if escapes else "double"
    broken, _ = _quotes(text, double)
    spaced = Dialect(delimiter, "spaced")
    if f'{delimiter} "' in text and _wide(text, double) + broken > 2 * (_wide(text, spaced) + _quotes(text, spaced)[0]):
        return "spaced"
    if not broken:
        return "double"
    if '\\"' in text and 2 * _quotes(text, backslash)[0] <= broken:
        return "backslash"
    _, quoted = _quotes(text, Dialect(delimiter, "none"))
    # Texts without quotes cannot hold their delimiter, so a comma is less likely to be one than a tab.
    unquoted = broken > quoted if delimiter in "\t|" else broken > 1 and not quoted
    return "none" if unquoted else "double"


def _wide(text: str, dialect: Dialect) -> int:
    """How many of the first rows have more cells than their header."""
    rows = [cells for _, cells in _rows(text, dialect)]
    at = headers.find(rows)
    return sum(_width(cells) > len(rows[at]) for cells in rows[at + 1 :]) if rows else 0


def _quotes(text: str, dialect: Dialect) -> tuple[int, int]:
    """How many of the first rows have broken quotes, and how many have a cell that begins and ends with a quote."""
    reader = Reader(io.StringIO(text, newline=""), dialect)
    broken = quoted = 0
    for row in islice(reader, ROWS_FOR_QUOTES):
        if row.cells is None:
            broken += row.malformed == "broken quotes"
        else:
            reader.width = reader.width or len(row.cells)
            quoted += any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in row.cells)
    return broken, quoted
