"""A row's fields: a value under a name or a path, and whether a file has the fields that it should have."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from copywriter.errors import UserError

ROWS_TO_FIND_A_FIELD = 1_000
ROWS_TO_FIND_A_FACT = 100_000  # a file may be sorted, and a fact of shoes begin with the shoes
MAX_LISTS = 20  # in one another


class Record(NamedTuple):
    """A row as its file holds it: its fields, or None with the reason and its first 80 characters."""

    number: int  # of the line that it starts on, or of the row where a file has no lines
    fields: dict[str, object] | None
    malformed: str | None = None
    excerpt: str = ""
    detail: str = ""  # more on why it is malformed


def value(row: object, path: str) -> object:
    """What a row holds under a name or, where it has no such name, a path of names and indices joined by dots."""
    if isinstance(row, dict) and path in row:
        return row[path]
    if "." not in path:
        return None
    for name in path.split("."):
        if isinstance(row, list) and name.isdecimal() and len(name) < 6 and int(name) < len(row):
            row = row[int(name)]
        elif isinstance(row, dict):
            row = row.get(name)
        else:
            return None
    return row


def text_of(held: object) -> str | None:
    """A value as text: a list of texts is joined by spaces, bytes are UTF-8, NaN is a missing text.

    Lists in lists are taken in their order. TypeError when the value is no text.
    """
    if held is None or isinstance(held, str):
        return held
    if isinstance(held, float) and held != held:
        return None
    if isinstance(held, bytes):
        try:
            return held.decode()
        except UnicodeDecodeError:
            raise TypeError("bytes that are not UTF-8") from None
    if isinstance(held, list | tuple):
        return " ".join(item.strip() for item in items_of(held) if item and not item.isspace())
    raise TypeError(type(held).__name__)


def items_of(held: Sequence[object], depth: int = 0) -> Iterator[str]:
    """The texts of a list and of the lists in it, without null; TypeError when it holds something else."""
    for item in held:
        if isinstance(item, str):
            yield item
        elif isinstance(item, list | tuple) and depth < MAX_LISTS:
            yield from items_of(item, depth + 1)
        elif item is not None:
            raise TypeError(type(item).__name__)


def paths(row: Mapping[str, object], prefix: str = "") -> Iterable[str]:
    """The names of a row's fields, those of the objects in it as paths."""
    for name, inner in row.items():
        yield prefix + name
        if isinstance(inner, dict) and prefix.count(".") < 3:
            yield from paths(inner, f"{prefix}{name}.")


class Fields:
    """The fields of a file's first rows; UserError as soon as it is known that a needed one is in none of them."""

    def __init__(self, file: str, needed: Iterable[str], facts: Iterable[str] = ()) -> None:
        self.file, self.found, self.rows = file, dict[str, None](), 0
        self.texts, self.facts = tuple(needed), tuple(facts)
        self.needed = tuple(dict.fromkeys((*self.texts, *self.facts)))
        self.all_found = False

    def look(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Looks at rows until ROWS_TO_FIND_A_FIELD were seen, and on while a fact is in none of them."""
        if self.all_found:
            return
        rows = iter(rows)
        self._look(rows, ROWS_TO_FIND_A_FIELD, self.texts)
        self.all_found = self.rows >= ROWS_TO_FIND_A_FIELD and self.found.keys() >= set(self.facts)
        if self.rows >= ROWS_TO_FIND_A_FIELD and not self.all_found:
            self._look(rows, ROWS_TO_FIND_A_FACT, self.facts)

    def _look(self, rows: Iterator[Mapping[str, object]], until: int, needed: Iterable[str]) -> None:
        for row in islice(rows, max(0, until - self.rows)):
            self.rows += 1
            self.found |= dict.fromkeys(paths(row))
            self.found |= dict.fromkeys(name for name in self.needed if value(row, name) is not None)
        if self.rows == until:
            self._require(needed)

    def needed_of(self, row: dict[str, object]) -> dict[str, object]:
        """The needed fields of a row, under the names by which they are needed; without any needed, the row."""
        return {name: value(row, name) for name in self.needed} if self.needed else row

    def known(self, names: Iterable[str]) -> None:
        """Takes the fields from a file that names them itself."""
        self.found, self.rows, self.all_found = dict.fromkeys(names), ROWS_TO_FIND_A_FIELD, True
        self.require()

    def require(self) -> None:
        """UserError when a needed field is in none of the rows seen."""
        self._require(self.needed)

    def _require(self, needed: Iterable[str]) -> None:
        missing = [name for name in needed if name not in self.found]
        if missing and self.rows:
            there = ", ".join(map(repr, islice(self.found, 20))) or "none"
            raise UserError(
                f"{self.file} has no field {' and no field '.join(map(repr, missing))}; its fields are: {there}; "
                "name the right ones in sources.yaml"
            )
