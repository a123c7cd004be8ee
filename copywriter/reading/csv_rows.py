"""CSV as rows under a header: short rows are filled; broken quotes and extra text make a row malformed."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple, TextIO, get_args

from copywriter.reading import headers
from copywriter.reading.fields import Fields, Record

MAX_CHARACTERS = 50_000_000  # of a line, and of a field
LINES_TO_RECOVER = 200  # after broken quotes the end of the record is looked for in so many lines
Quoting = Literal["double", "backslash", "spaced", "none"]
QUOTINGS: tuple[Quoting, ...] = get_args(Quoting)
_UNDECODED = re.compile("[\udc80-\udcff]")
_QUOTE, _DELIMITER = "\ufdd0", "\ufdd1"  # in no text: substitutes for escaped characters while csv parses


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are parted.

    `quoting`: with double, `""` is a quote inside quotes; with backslash, `\\"`; with spaced, spaces may come before a
    quoted cell; with none, quotes are letters.
    """

    delimiter: str = ","
    quoting: Quoting = "double"


class RawRow(NamedTuple):
    """The cells of a row, or None with the reason, and the line on which it starts."""

    number: int
    cells: list[str] | None
    malformed: str | None = None
    excerpt: str = ""


class _Lines:
    """The lines of a text; those after the first of a row that turned out to be broken come once more."""

    def __init__(self, stream: TextIO, dialect: Dialect) -> None:
        self.stream = stream
        self.escaped = (
            re.compile(rf'\\([\\"{re.escape(dialect.delimiter)}])') if dialect.quoting == "backslash" else None
        )
        self.substitutes = {'"': _QUOTE, dialect.delimiter: _DELIMITER}
        self.waiting = deque[str]()
        self.row: list[str] = []
        self.number = 1
        self.invalid: str | None = None  # why the row is malformed, whatever its cells

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.waiting.popleft() if self.waiting else self.stream.readline(MAX_CHARACTERS)
        if not line:
            raise StopIteration
        self.row.append(line)
        if not line.isascii() and _UNDECODED.search(line):
            self.invalid = self.invalid or "wrong encoding"
        if len(line) == MAX_CHARACTERS:
            self.invalid = "too long"
            while (rest := self.stream.readline(MAX_CHARACTERS)) and not rest.endswith(("\n", "\r")):
                pass
        return self.escape(line)

    def escape(self, line: str) -> str:
        """The line with substitutes for what a backslash escapes, where the dialect has such escapes."""
        if not self.escaped or "\\" not in line:
            return line
        return self.escaped.sub(lambda match: self.substitutes.get(match[1], match[0]), line)

    def start_row(self) -> None:
        self.number += len(self.row)
        self.row.clear()
        self.invalid = None

    def end_row_after(self, count: int) -> None:
        """Ends the row after its first `count` lines: the others are read again."""
        self.waiting.extendleft(reversed(self.row[count:]))
        del self.row[count:]


class Reader:
    """The rows of a text. `width` is the number of the header's cells once it is known."""

    def __init__(self, stream: TextIO, dialect: Dialect) -> None:
        csv.field_size_limit(MAX_CHARACTERS - 1)
        self.dialect, self.width = dialect, 0
        self.lines = _Lines(stream, dialect)
        self._reader = self._parser(self.lines)

    def _parser(self, lines: Iterator[str]) -> Iterator[list[str]]:
        if self.dialect.quoting == "none":
            return csv.reader(lines, delimiter=self.dialect.delimiter, quoting=csv.QUOTE_NONE, quotechar=None)
        spaced = self.dialect.quoting == "spaced"
        return csv.reader(lines, delimiter=self.dialect.delimiter, strict=True, skipinitialspace=spaced)

    def __iter__(self) -> Iterator[RawRow]:
        """The rows; a blank line is a row without cells."""
        lines = self.lines
        while True:
            lines.start_row()
            cells: list[str] = []
            reason = None
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                reason = "too long" if "limit" in str(error) else "broken quotes"
            if lines.invalid == "too long" or reason == "too long":
                reason = "too long"
                lines.end_row_after(1)
            elif reason:
                lines.end_row_after(self._broken_lines())
            elif self.width and len(cells) > self.width and len(lines.row) > 1 and any(cells[self.width :]):
                lines.end_row_after(self._before_whole_row(1) or len(lines.row))
            if reason := reason or lines.invalid:
                yield RawRow(lines.number, None, reason, excerpt(lines.row[0]))
            else:
                yield RawRow(lines.number, self._restored(cells))

    def _restored(self, cells: list[str]) -> list[str]:
        if self.dialect.quoting != "backslash":
            return cells
        return [cell.replace(_QUOTE, '"').replace(_DELIMITER, self.dialect.delimiter) for cell in cells]

    def _broken_lines(self) -> int:
        """How many lines a record with broken quotes has: up to the next whole row, or to its own closing quote."""
        lines, delimiter = self.lines, self.dialect.delimiter
        closing = re.compile(rf'"(?={re.escape(delimiter)}|\Z)')
        quoted, cells = False, 0
        for number in range(LINES_TO_RECOVER):
            if number == len(lines.row) and next(lines, None) is None:
                return 1
            if number and self._is_whole(lines.row[number]):
                return number
            line, at = lines.escape(lines.row[number]).rstrip("\r\n"), 0
            while at <= len(line):
                if quoted or line.startswith('"', at):
                    end = closing.search(line, at + (not quoted))
                    quoted = end is None
                    if not end:
                        break
                    at = end.end() + 1
                else:
                    place = line.find(delimiter, at)
                    at = place + 1 if place >= 0 else len(line) + 1
                cells += 1
            if not quoted:
                return number + 1 if cells <= max(self.width, 1) else 1
        return 1

    def _before_whole_row(self, start: int) -> int:
        """How many of the record's lines come before the first that is a whole row by itself; 0 without such a line."""
        rows = range(start, min(len(self.lines.row), LINES_TO_RECOVER))
        return next((number for number in rows if self._is_whole(self.lines.row[number])), 0)

    def _is_whole(self, line: str) -> bool:
        line = self.lines.escape(line)
        if line.count('"') % 2:  # it opens or closes quotes
            return False
        try:
            cells = next(self._parser(iter([line])), [])
        except csv.Error:
            return False
        return self.width > 1 and len(cells) == self.width


def excerpt(text: str) -> str:
    """The first 80 characters of a text; bytes that its encoding does not have are replaced."""
    return text[:80].strip().encode("utf-8", "replace").decode()


def text_of(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """A stream's text. Bytes that the encoding does not have become lone surrogates, but in wide encodings U+FFFD."""
    errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
    return io.TextIOWrapper(stream, encoding, errors, newline="")


def read_csv(
    stream: BinaryIO, encoding: str, dialect: Dialect, header_row: int | None, fields: Fields
) -> Iterator[Record]:
    """The rows under the header, which is the first row or, where `header_row` is given, the one on that line.

    Missing cells at a row's end are empty, empty cells beyond the header are ignored, others make it malformed.
    """
    reader = Reader(text_of(stream, encoding), dialect)
    names: list[str] = []
    places: list[tuple[str, int]] = []
    for number, cells, reason, start in reader:
        if not names:
            above = number < header_row if header_row else declares_delimiter("".join(reader.lines.row))
            if cells and not above:
                names = headers.names(cells)
                reader.width = len(names)
                fields.known(names)
                places = [(name, names.index(name)) for name in fields.needed or names]
        elif cells is None:
            yield Record(number, None, reason, start)
        elif len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            detail = f"{len(cells)} fields, header has {len(names)}"
            yield Record(number, None, "wrong number of fields", excerpt(reader.lines.row[0]), detail)
        elif cells:
            missing = len(names) - len(cells)
            cells = cells + [""] * missing if missing > 0 else cells
            yield Record(number, {name: cells[place] for name, place in places})


def declares_delimiter(text: str) -> bool:
    """Whether a first line such as `sep=;` names the delimiter, as Excel writes it."""
    return text[:4].lower() == "sep=" and text[5:6] in ("\r", "\n")
