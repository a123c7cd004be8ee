"""A JSON document as rows, streamed: an array, an array inside objects, an object of objects, or objects in a row."""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from copywriter.errors import UserError
from copywriter.reading import column_names, json_rows
from copywriter.reading.fields import Fields, Record, paths

KEYED = "*"  # at the end of a path: the rows are the values of the object there
EACH = "[]"  # at the start of a path: it leads on from each item of the array there
MAX_DEPTH = 5  # of objects around the rows
_GAP = re.compile(r"[\s,]*")
_PHPMYADMIN = re.compile(r'\[\s*\{\s*"type"\s*:\s*"header"')  # its tables follow, their rows in `data`
_COLON = re.compile(r"\s*:\s*")


class _BrokenError(Exception):
    pass


class _Document:
    """A text of JSON, a block in memory at a time; `at` is the place in it."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self.stream = stream
        self.decode = codecs.getincrementaldecoder(encoding)("replace").decode
        self.text, self.at, self.more = "", 0, True
        self._refill()
        self.text = self.text.lstrip("\ufeff")

    def _refill(self) -> None:
        if not self.more or len(self.text) - self.at > json_rows.MAX_LINE_BYTES:
            raise _BrokenError
        block = self.stream.read(json_rows.BLOCK_BYTES)
        self.text, self.at, self.more = self.text[self.at :] + self.decode(block, not block), 0, bool(block)

    def next(self, gap: re.Pattern[str] = _GAP) -> str:
        """The next character after a gap, or nothing at the end of the text."""
        while True:
            self.at = gap.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text) or not self.more:
                return self.text[self.at : self.at + 1]
            self._refill()

    def value(self, last: bool = False) -> object:
        """The value that begins here; _BrokenError when it is none, does not end or is too long.

        With `last` it may be the end of the text, which half a number could be too.
        """
        while True:
            try:
                found, end = json_rows.DECODER.raw_decode(self.text, self.at)
            except (ValueError, RecursionError):
                end = len(self.text) + 1  # half a value, or none
            if self.more and self.text[end : end + 1] in (".", "e", "E"):
                end = len(self.text)  # half a number
            if end < len(self.text) + (last and not self.more):
                self.at = end
                return found
            self._refill()

    def items(self) -> Iterator[object]:
        """The items of the array that begins here."""
        self.at += 1
        while self.next() != "]":
            yield self.value()
        self.at += 1

    def object_keys(self) -> Iterator[str]:
        """The keys of the object that begins here; whoever iterates takes the value after each."""
        self.at += 1
        while self.next() != "}":
            key = self.value()
            if not isinstance(key, str) or self.next() != ":":
                raise _BrokenError
            self.at += 1
            self.next()
            yield key
        self.at += 1


def read_document(stream: BinaryIO, encoding: str, rows: str | None, fields: Fields) -> Iterator[Record]:
    """The rows of JSON documents, of which a file holds one or several; `rows` is the path that rows_in found.

    UserError where a document breaks: nothing says where the next row would begin.
    """
    document, number = _Document(stream, encoding), 0
    try:
        while document.next():
            for row in _rows(document, rows.split(".") if rows else []):
                number += 1
                if isinstance(row, dict):
                    fields.look((row,))
                    yield Record(number, fields.needed_of(row))
                else:
                    yield Record(number, None, "not a JSON object", repr(row)[:80])
    except _BrokenError:
        excerpt = document.text[document.at : document.at + 80]
        raise UserError(
            f"{fields.file} is a JSON {'document' if rows else 'array'} that breaks at row {number + 1}: {excerpt!r}; "
            "correct it, or write one object a line"
        ) from None


def _rows(document: _Document, path: list[str]) -> Iterator[object]:
    start = document.next()
    if path == [KEYED] and start == "{":
        yield from (document.value() for _ in document.object_keys())
    elif path and start == "{":
        for key in document.object_keys():
            if key == path[0]:
                yield from _rows(document, path[1:])
            else:
                document.value()
    elif start == "[" and path and path[0] == EACH:
        document.at += 1
        while document.next() != "]":
            yield from _rows(document, path[1:])
        document.at += 1
    elif start == "[":
        yield from document.items()
    elif path:
        document.value()  # null or another value in place of the rows
    else:
        if start != "{":
            raise _BrokenError
        yield document.value(last=True)


def rows_in(text: str, file: str) -> str | None:
    """Where the rows of a JSON document are: a path, "" for its top, or None when the text is JSON lines.

    `text` is the beginning of the document. UserError when it is JSON, but holds no rows.
    """
    start = text.lstrip()
    if start.startswith("["):
        if re.match(r"\[\s*\{\s*'", start):
            raise UserError(f"{file} is a list in Python's notation; write it with json.dump, best one object a line")
        return f"{EACH}.data" if _PHPMYADMIN.match(start) else ""
    if not start.startswith("{") or json_rows.PYTHON_DICT.match(start):
        return None
    try:
        end = json_rows.DECODER.raw_decode(start)[1]
    except (ValueError, RecursionError):
        end = len(start)  # it is longer than what is known of it, or broken
        if any(map(json_rows.is_object, json_rows.first_lines(start))):
            return None
    one_line = "\n" not in start[:end].strip() and "\r" not in start[:end].strip()
    alone = not start[end:].strip()
    found = _Outline(start)
    best = max(found.arrays, key=lambda path: found.arrays[path], default="")
    products = bool(best) and found.arrays[best][0]
    if found.is_row and not (products and alone and not found.has_description):
        return None if one_line else ""
    if found.columns or (alone and found.lists):
        raise UserError(f"{file} is a JSON object of columns; write it with one object for each row (orient='records')")
    if best and (products or alone or not one_line):
        return best
    if found.keyed and alone:
        return KEYED
    return None if one_line else ""


def _end_of_value(text: str, at: int) -> int:
    try:
        return json_rows.DECODER.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return len(text)


class _Outline:
    """The arrays and objects at the top of a JSON object whose beginning is known."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.arrays: dict[str, tuple[bool, int]] = {}  # the arrays of objects by their paths: do they name a product,
        self.is_row = self.has_description = self.keyed = self.columns = False  # and how many characters they take
        self.lists = False  # the values of a column are in one array
        self._object(0, "", 0)

    def _object(self, at: int, prefix: str, depth: int) -> None:
        inner: list[dict[str, object]] = []
        at = _GAP.match(self.text, at + 1).end()  # type: ignore[union-attr]
        while self.text.startswith('"', at):
            try:
                key, at = json_rows.DECODER.raw_decode(self.text, at)
            except ValueError:
                break
            at = _COLON.match(self.text, at).end() if _COLON.match(self.text, at) else len(self.text)  # type: ignore[union-attr]
            end = _end_of_value(self.text, at)
            start = self.text[at : at + 1]
            if start == "[" and (item := _first_item(self.text, at)) is not None:
                self.arrays[prefix + key] = _names_product(item), end - at
            elif start == "{":
                if depth < MAX_DEPTH:
                    self._object(at, f"{prefix}{key}.", depth + 1)
                value = (
                    _first_item(self.text, at - 1) if end == len(self.text) else _first_item(f"[{self.text[at:end]}", 0)
                )
                inner += [value] if isinstance(value, dict) else []
            if not depth:
                self.is_row |= start == '"' and column_names.title_strength(key) >= 3
                self.lists |= start == "[" and column_names.title_strength(key) >= 3 and _is_long(self.text, at)
                self.lists |= start == "[" and key == "columns" and '"data"' in self.text
                self.has_description |= column_names.description_strength(key) >= 2.5
            at = _GAP.match(self.text, end).end()  # type: ignore[union-attr]
        if not depth:
            self.keyed = len(inner) > 1 and any(map(_names_product, inner))
            scalars = [
                value for value in inner if value and not any(isinstance(one, dict | list) for one in value.values())
            ]
            self.columns = len(inner) > 1 and len(scalars) == len(inner) and all("0" in value for value in inner)


def _is_long(text: str, at: int) -> bool:
    """Whether the array at a place has several items, or its end is not known."""
    try:
        return len(json_rows.DECODER.raw_decode(text, at)[0]) > 1
    except (ValueError, RecursionError):
        return True


def _first_item(text: str, at: int) -> dict[str, object] | None:
    """The first item of the array at a place, where that is an object; {} for one of which only a part is known."""
    start = re.compile(r".\s*(?=\{)", re.DOTALL).match(text, at)
    if not start:
        return None
    try:
        item = json_rows.DECODER.raw_decode(text, start.end())[0]
    except (ValueError, RecursionError):
        return {}
    return item if isinstance(item, dict) else None


def _names_product(item: dict[str, object]) -> bool:
    return any(column_names.title_strength(name) >= 3 for name in paths(item))
