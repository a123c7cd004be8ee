"""CSV as rows: a row with broken quotes or another number of fields is malformed, never guessed at."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from copywriter.reading.fields import Fields, Record
from copywriter.reading.layout import Layout, declared

MAX_CHARACTERS = 50_000_000  # of a line, and of a field
_UNDECODED = re.compile("[\udc80-\udcff]")


class _Lines:
    """The lines of a text; those after the first of a row that turned out to be broken come once more."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        # Bytes that the encoding does not have become lone surrogates; wide encodings have no way to keep them.
        errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        self.stream = io.TextIOWrapper(stream, encoding, errors, newline="")
        self.waiting = deque[str]()
        self.row: list[str] = []
        self.number = 1
        self.odd: str | None = None  # why the row cannot be one, whatever its cells

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.waiting.popleft() if self.waiting else self.stream.readline(MAX_CHARACTERS)
        if not line:
            raise StopIteration
        self.row.append(line)
        if not line.isascii() and _UNDECODED.search(line):
            self.odd = self.odd or "wrong encoding"
        if len(line) == MAX_CHARACTERS:
            self.odd = "too long"
            while (rest := self.stream.readline(MAX_CHARACTERS)) and not rest.endswith(("\n", "\r")):
                pass
        return line

    def start_row(self) -> None:
        self.number += len(self.row)
        self.row.clear()
        self.odd = None

    def give_back(self) -> None:
        """Takes the row for its first line alone."""
        self.waiting.extendleft(reversed(self.row[1:]))
        del self.row[1:]


def read_csv(stream: BinaryIO, layout: Layout, fields: Fields) -> Iterator[Record]:
    """The rows of a CSV file under its first line. After a quote that nothing closes the next line is a row again."""
    csv.field_size_limit(MAX_CHARACTERS - 1)
    lines = _Lines(stream, layout.encoding or "utf-8")
    reader = csv.reader(lines, delimiter=layout.delimiter or ",", strict=True)
    names: list[str] = []
    places: list[tuple[str, int]] = []
    while True:
        lines.start_row()
        cells, reason = [], None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "too long" if "limit" in str(error) else "broken quotes"
        if not names and not reason:
            if cells and not declared("".join(lines.row)):
                names = header(cells)
                fields.known(names)
                places = [(name, names.index(name)) for name in fields.needed or names]
            continue
        if not cells and not reason:
            continue
        if lines.odd == "too long":
            reason = lines.odd
        if not reason and len(cells) != len(names):
            reason = "wrong number of fields"
        if reason := reason or lines.odd:
            if reason != "wrong encoding":
                lines.give_back()
            excerpt = lines.row[0][:80].strip().encode("utf-8", "replace").decode()
            yield Record(lines.number, None, reason, excerpt)
        else:
            yield Record(lines.number, {name: cells[place] for name, place in places})


def header(cells: list[str]) -> list[str]:
    """The columns' names; those without one, and those that have another's, are told apart by their number."""
    names = [cell.lstrip("\ufeff").strip() for cell in cells]
    return [
        name if name and name not in names[:number] else f"{name or 'column'} ({number + 1})"
        for number, name in enumerate(names)
    ]
