"""The row of a table that names its columns, below title rows, labels and comments where an export has such rows."""

import re
from collections.abc import Sequence
from statistics import median

from copywriter.reading import column_names

ROWS_ABOVE = 30  # a header is looked for in so many rows
ROWS_LOOKED_AT = 100
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f\u2060"))
_ATTRIBUTE_ROW = re.compile(r"\battributeRow=(\d{1,2})\b")


def names(cells: Sequence[str]) -> list[str]:
    """The columns' names; one without a name, or with the name of a column before it, gets its number added."""
    cleaned = [" ".join(cell.translate(_INVISIBLE).split()) for cell in cells]
    return [
        name if name and name not in cleaned[:number] else f"{name or 'column'} ({number + 1})"
        for number, name in enumerate(cleaned)
    ]


def find(rows: Sequence[Sequence[str]]) -> int:
    """The place of the header in a table's first rows, blank ones counted: 0 is the first row.

    It is the row that the sheet itself points at (Amazon's templates), the last of the first consecutive rows that
    name a title and a description, else the first row that is no title and no comment above a wider table.
    """
    first_cell = next((row[0] for row in rows if row), "")
    if match := _ATTRIBUTE_ROW.search(first_cell):
        return min(int(match[1]), len(rows)) - 1
    top = rows[:ROWS_ABOVE]
    named = [number for number, row in enumerate(top) if column_names.names_both(row)]
    if named:
        at = named[0]
        while at + 1 in named:
            at += 1
        return at
    if first_cell.startswith("TemplateType=") and len(rows) > 2:
        return 2
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    start = next((number for number, count in enumerate(filled) if count), 0)
    typical = median([count for count in filled[start + 1 :] if count] or [0])
    for number in range(start, len(top)):
        if filled[number] and not _above(top[number], filled[number], typical):
            return number
    return start


def _above(row: Sequence[str], filled: int, typical: float) -> bool:
    """Whether a row is a title or a comment above the table: far narrower than the table's usual row."""
    alone = filled == 1 and bool(row[0].strip()) and typical >= 2
    return alone or filled <= typical / 3 or row[0].lstrip().startswith("#")
