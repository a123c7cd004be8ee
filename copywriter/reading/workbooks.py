"""Excel workbooks as rows: the sheet with the products, and the row of it that names the columns."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copywriter.errors import UserError
from copywriter.reading import column_names, headers
from copywriter.reading.fields import Fields, Record
from copywriter.reading.layout import Layout

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

MAX_BYTES = 1_000_000_000  # unpacked: a workbook is read as a whole
_ABOUT = re.compile(
    r"instru|read ?me|definition|example|valid values|drop ?down|help|notes|cover|anleitung|hinweis|beispiel"
    r"|ejemplo|exemplo|esempio|exemple|istruzioni|инструкц|пример|інструкц|приклад|説明|说明|示例",
    re.IGNORECASE,
)


@contextmanager
def _opened(file: Path) -> Iterator["CalamineWorkbook"]:
    import python_calamine

    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_BYTES:
            raise UserError(f"{file} unpacks to {unpacked:,} bytes, too many to read as a whole; save it as CSV")
        with python_calamine.CalamineWorkbook.from_path(file) as workbook:
            yield workbook
    except (zipfile.BadZipFile, NotImplementedError, UnicodeError, python_calamine.CalamineError) as error:
        raise UserError(f"{file} is no whole .xlsx workbook ({error}); save it again, or as CSV") from None


def sheets(file: Path) -> list[str]:
    """The names of a workbook's visible sheets."""
    with _opened(file) as workbook:
        return _visible(workbook)


def _visible(workbook: "CalamineWorkbook") -> list[str]:
    from python_calamine import SheetVisibleEnum

    return [
        one.name for one in workbook.sheets_metadata if one.visible == SheetVisibleEnum.Visible
    ] or workbook.sheet_names


def guess(file: Path, given: Layout) -> Layout:
    """The sheet with the products, and its header where that is not the first row that is filled; both may be given.

    It is the first sheet whose header names titles and descriptions, else the one with the most filled cells at its
    top; sheets that explain others come last.
    """
    with _opened(file) as workbook:
        names = _visible(workbook)
        if given.sheet and given.sheet not in workbook.sheet_names:
            there = ", ".join(map(repr, workbook.sheet_names))
            raise UserError(f"{file.name} has no sheet {given.sheet!r}; its sheets are {there}")
        tops = {name: _top(workbook, name) for name in ([given.sheet] if given.sheet else names)}
    if not tops:
        raise UserError(f"{file.name} has no sheet; save it again, or as CSV")
    sheet = max(tops, key=lambda name: _worth(name, tops[name]))
    header_row = given.header_row
    if not header_row:
        at = headers.find(tops[sheet])
        header_row = at + 1 if at != _first_filled(tops[sheet]) else None
    return replace(given, sheet=sheet if given.sheet or len(names) > 1 else None, header_row=header_row)


def _top(workbook: "CalamineWorkbook", sheet: str) -> list[list[str]]:
    rows = islice(_rows(workbook, sheet), headers.ROWS_LOOKED_AT)
    return [[str(cell) for cell in row] for row in rows]


def _rows(workbook: "CalamineWorkbook", sheet: str) -> Iterator[list[Any]]:
    """The rows of a sheet from its first row and column on, also where those are empty."""
    return iter(workbook.get_sheet_by_name(sheet).iter_rows())


def _first_filled(rows: list[list[str]]) -> int:
    return next((number for number, row in enumerate(rows) if any(cell.strip() for cell in row)), 0)


def _worth(name: str, top: list[list[str]]) -> tuple[bool, bool, int]:
    at = headers.find(top)
    table = [sum(bool(cell.strip()) for cell in row) for row in top[at:]]
    cells = sum(count for count in table if count > 1)
    return bool(top) and column_names.names_both(top[at]) and cells > 2, not _ABOUT.search(name), cells


def read_workbook(file: Path, layout: Layout, fields: Fields) -> Iterator[Record]:
    """The rows of a sheet under its header; a row's number is the one that Excel shows. A number is no text."""
    with _opened(file) as workbook:
        rows = enumerate(_rows(workbook, layout.sheet or (_visible(workbook) or [""])[0]), 1)
        names: list[str] = []
        for number, cells in rows:
            if names:
                if any(cell != "" for cell in cells):
                    yield Record(number, fields.needed_of(dict(zip(names, cells, strict=True))))
            elif number >= (layout.header_row or 1) and any(str(cell).strip() for cell in cells):
                names = headers.names([str(cell) for cell in cells])
                fields.known(names)
