"""What a raw file is: its format, encoding and delimiter, seen in its first bytes or fixed by its entry."""

import codecs
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from copywriter.errors import UserError

HEAD_BYTES = 4_000_000
FORMATS = ("jsonl", "json", "csv", "parquet", "xlsx")
DELIMITERS = ",;\t|"
_ZIP, _PARQUET, _GZIP, _OLD_OFFICE = b"PK\x03\x04", b"PAR1", b"\x1f\x8b", b"\xd0\xcf\x11\xe0"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a file; `encoding` is None where bytes are no text, `delimiter` where the format is not csv."""

    format: str
    encoding: str | None = None
    delimiter: str | None = None

    def __str__(self) -> str:
        named = {"\t": "tab", ",": "comma", ";": "semicolon"}.get(self.delimiter or "", repr(self.delimiter))
        return ", ".join([self.format, *filter(None, [self.encoding]), *([named] if self.delimiter else [])])


def guess(head: bytes, given: Mapping[str, Any], file: str) -> Layout:
    """The layout that a file's first bytes show; `given` may fix `format`, `encoding` and `delimiter`.

    UserError when the bytes are none of FORMATS, with what to do.
    """
    form, encoding = given.get("format"), given.get("encoding")
    if head.startswith(_PARQUET) or form == "parquet":
        return Layout("parquet")
    if head.startswith(_ZIP):
        return Layout("xlsx")
    if head.startswith(_OLD_OFFICE):
        raise UserError(f"{file} is an old Excel workbook (.xls) or one with a password; save it as .xlsx or CSV")
    if head.startswith(_GZIP):
        raise UserError(f"{file} is gzipped twice; unzip it once and name that file")
    if encoding in (None, "utf-16", "utf-32"):  # of the wide ones Python wants the order of bytes, or a mark
        found = guess_encoding(head)
        encoding = found if encoding is None or found.startswith(encoding) else f"{encoding}-le"
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    if text.count("\0") > len(text) // 1_000:
        raise UserError(
            f"{file} is neither text nor Parquet nor .xlsx (read as {encoding}); save it as one of these, "
            "or give its `encoding:` in sources.yaml"
        )
    form = form or guess_format(text)
    if form == "jsonl" and text.lstrip().split("\n", 1)[0].strip() == "{":
        raise UserError(f"{file} is one JSON object over many lines; write its rows as an array or one object a line")
    return Layout(form, encoding, (given.get("delimiter") or guess_delimiter(text)) if form == "csv" else None)


def guess_encoding(head: bytes) -> str:
    """The encoding of text: by its byte order mark, its zero bytes, or whether it can be UTF-8; else Windows-1252."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    zeros = head[:1_000:2].count(0), head[1:1_000:2].count(0)
    if abs(zeros[0] - zeros[1]) * 4 > len(head[:1_000]):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head)
    broken = text.count("\ufffd") - head.count("\ufffd".encode())
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore")) - broken if broken else 0
    return "utf-8" if broken <= beyond_ascii else "cp1252"  # a few damaged letters, or none that fits


def guess_format(text: str) -> str:
    """jsonl, json (one array) or csv, by the first lines."""
    start = text.lstrip()
    if start.startswith("[") and start[1:].lstrip()[:1] in ("{", "]"):
        return "json"
    lines = [line for line in start.split("\n", 100)[:100] if not line.isspace()]
    return "jsonl" if not start or start.startswith("{") or any(map(_is_object, lines)) else "csv"


def _is_object(line: str) -> bool:
    try:
        return line.lstrip().startswith("{") and isinstance(orjson.loads(line), dict)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return False


def guess_delimiter(text: str) -> str:
    """The delimiter with which most of the first 100 rows have as many fields, at least two, as the first."""
    if declared(text):
        return text[4]
    lines = text[:1_000_000].splitlines(keepends=True)

    def fit(delimiter: str) -> tuple[int, int]:
        rows = []
        try:
            for row in csv.reader(io.StringIO("".join(lines[:-1] or lines)), delimiter=delimiter):
                rows.append(len(row))
                if len(rows) > 100:
                    break
        except csv.Error:
            pass
        width = rows[0] if rows else 0
        return (sum(count == width for count in rows), width) if width > 1 else (0, 0)

    return max(DELIMITERS, key=fit)


def declared(text: str) -> bool:
    """Whether a first line such as `sep=;` names the delimiter, as Excel wants it."""
    return text[:4].lower() == "sep=" and text[5:6] in ("\r", "\n")
