"""What a raw file is: its format, encoding and dialect, seen in its first bytes or fixed by its entry."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from copywriter.errors import UserError
from copywriter.reading import dialects, encodings, json_documents, json_rows, xml_feeds
from copywriter.reading.csv_rows import Quoting

HEAD_BYTES = 4_000_000
FORMATS = ("jsonl", "json", "csv", "parquet", "xlsx", "xml")
_PARQUET, _OLD_OFFICE = b"PAR1", b"\xd0\xcf\x11\xe0"
# First bytes of files that are not read, and what they are.
_REFUSED = (
    (b"\x1f\x8b", "gzipped twice; unzip it once and name that file"),
    (b"%PDF", "a PDF document; export the products as CSV, JSON or XML"),
    (b"Rar!", "a RAR archive; unpack it and name the file with the products"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it and name the file with the products"),
    (b"BZh", "compressed with bzip2; unpack it and name that file"),
    (b"\xfd7zXZ", "compressed with xz; unpack it and name that file"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it and name that file"),
    (b"SQLite format 3", "an SQLite database; export its table of products as CSV"),
    (b"\x89PNG", "a PNG picture; name the file with the products"),
    (b"\xff\xd8\xff", "a JPEG picture; name the file with the products"),
    (b"GIF8", "a GIF picture; name the file with the products"),
    (b"RIFF", "a picture, a sound or a video; name the file with the products"),
    (b"PK\x05\x06", "a zip archive without files; export the products again"),
    (b"Obj\x01", "an Avro file; write it as Parquet or JSON lines"),
    (b"ORC", "an ORC file; write it as Parquet or JSON lines"),
    (b"ARROW1", "an Arrow file; write it as Parquet"),
    (b"{\\rtf", "an RTF document; export the products as CSV, JSON or XML"),
)
# Possessive and atomic: a text of many comments is read once.
_COMMENTS = r"(?:\s|//[^\n\r]*+|--[^\n]*+\n|(?>/\*.*?\*/;?))*+"
_REFUSED_TEXTS = (
    (
        re.compile(rf"{_COMMENTS}(?:CREATE TABLE|INSERT INTO|DROP TABLE) ", re.DOTALL),
        "a dump of an SQL database; export its table of products as CSV",
    ),
    (
        re.compile(rf"\s*(?=//|/\*){_COMMENTS}[\[{{]", re.DOTALL),
        "JSON with comments, which JSON does not have; remove them",
    ),
    (
        re.compile(
            rf"{_COMMENTS}(?:(?:var|let|const)\s|export default\b|(?:module|window|self)\.)[\w$.\s]*=?\s*[\[{{]", re.S
        ),
        "JavaScript; save only its array or object, with the brackets, as JSON",
    ),
    (
        re.compile(r"\s*\[\s*(?:\[|\"[^\"\n]*\"\s*[,\]])"),
        "JSON whose rows are arrays, so their values have no names; write one object for each row",
    ),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a file; what does not apply to its format is None, as is a header that is the first row."""

    format: str
    encoding: str | None = None
    delimiter: str | None = None
    quoting: Quoting = "double"
    header_row: int | None = None  # a line of a CSV file or a row of a sheet, counted from 1
    sheet: str | None = None
    rows: str | None = None  # where in a JSON document they are, or which XML element they are

    def __str__(self) -> str:
        named = {"\t": "tab", ",": "comma", ";": "semicolon"}.get(self.delimiter or "", repr(self.delimiter))
        parts = [self.format, self.encoding, named if self.delimiter else None]
        parts += [f"quoting {self.quoting}" if self.quoting != "double" else None]
        parts += [f"sheet {self.sheet!r}" if self.sheet else None]
        parts += [f"header in {'line' if self.delimiter else 'row'} {self.header_row}" if self.header_row else None]
        parts += [f"rows in {self.rows}" if self.rows else None]
        return ", ".join(filter(None, parts))


def guess(head: bytes, given: Mapping[str, Any], file: str) -> Layout:
    """The layout that a file's first bytes show; `given` may fix what an entry of sources.yaml can fix.

    UserError when the bytes are none of FORMATS, with what they are and what to do. Of a workbook only the format.
    """
    form, encoding = given.get("format"), given.get("encoding")
    if head.startswith(_PARQUET) or form == "parquet":
        return Layout("parquet")
    if head.startswith(b"PK\x03\x04"):
        return Layout("xlsx", header_row=given.get("header_row"), sheet=given.get("sheet"))
    if head.startswith(_OLD_OFFICE):
        raise UserError(f"{file} is an old Excel workbook (.xls) or one with a password; save it as .xlsx or CSV")
    for start, what in _REFUSED:
        if head.startswith(start):
            raise UserError(f"{file} is {what}")
    if form in (None, "xml") and (declared := xml_feeds.declared_encoding(head)) and not encoding:
        encoding = declared
    if encoding in (None, "utf-16", "utf-32"):  # of the wide ones Python wants the order of bytes, or a mark
        found = encodings.guess(head)
        encoding = found if encoding is None or found.startswith(encoding) else f"{encoding}-le"
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    if text.count("\0") > max(len(text) // 1_000, 2):
        raise UserError(
            f"{file} is neither text nor Parquet nor .xlsx (read as {encoding}); save it as one of these, "
            "or give its `encoding:` in sources.yaml"
        )
    return _of_text(text, Layout(form or guess_format(text), encoding), given, file)


def _of_text(text: str, found: Layout, given: Mapping[str, Any], file: str) -> Layout:
    if found.format == "xml":
        return replace(found, rows=xml_feeds.row_element(text, file))
    if found.format in ("json", "jsonl"):
        rows = json_documents.rows_in(text, file)
        if rows is not None or found.format == "json":
            return replace(found, format="json", rows=rows or None)
        return found
    if not given.get("format"):
        for start, what in _REFUSED_TEXTS:
            if start.match(text[:5_000]):
                raise UserError(f"{file} is {what}")
    dialect, header_row = dialects.guess(text, given.get("delimiter"), given.get("quoting"), given.get("header_row"))
    return replace(found, delimiter=dialect.delimiter, quoting=dialect.quoting, header_row=header_row)


def guess_format(text: str) -> str:
    """xml, json (one document), jsonl or csv, by the first lines."""
    start = text.lstrip()
    if start.startswith("<"):
        return "xml"
    if start.startswith("[") and start[1:].lstrip()[:1] in ("{", "]"):
        return "json"
    lines = json_rows.first_lines(start)
    return "jsonl" if not start or start.startswith("{") or any(map(json_rows.is_object, lines)) else "csv"
