"""A shop's rows in every layout that can be read, as bytes; and how a test reads such bytes."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from copywriter.reading import tables

Pairs = list[tuple[str, str]]
Rows = list[tables.Row]
PAIRS: Pairs = [
    ("Caneca de cerâmica", 'Uma "caneca", 300 ml;\nvai ao forno – mas não à máquina.'),
    ("Tutu", "Three layers, soft.\r\n\tHandmade."),
    ("", "No name"),
    ("Rug", ""),
]


def write_csv(pairs: Pairs, delimiter: str, encoding: str, start: str = "") -> bytes:
    text = io.StringIO(newline="")
    text.write(start)
    csv.writer(text, delimiter=delimiter).writerows([("id", "name", "text"), *((1, *pair) for pair in pairs)])
    return text.getvalue().encode(encoding)


def write_lines(pairs: Pairs, encoding: str, ascii_only: bool = False, end: str = "\n") -> bytes:
    rows = (json.dumps({"id": 1, "name": name, "text": text}, ensure_ascii=ascii_only) for name, text in pairs)
    return "".join(row + end for row in rows).encode(encoding)


def write_array(pairs: Pairs, indent: int | None = None, encoding: str = "utf-8") -> bytes:
    rows = [{"id": 1, "name": name, "text": text} for name, text in pairs]
    return json.dumps(rows, indent=indent, ensure_ascii=False).encode(encoding)


def write_parquet(pairs: Pairs, kind: pa.DataType | None = None) -> bytes:
    stream = io.BytesIO()
    names, texts = ([pair[n] for pair in pairs] for n in (0, 1))
    kind = kind or pa.string()
    columns = {"id": pa.array([1] * len(pairs)), "name": pa.array(names, kind), "text": pa.array(texts, kind)}
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def write_workbook(pairs: Pairs) -> bytes:
    """An .xlsx file with one sheet."""
    return write_sheets({"One": [["id", "name", "text"], *(["1", *pair] for pair in pairs)]})


def write_sheets(sheets: dict[str, list[list[str]]]) -> bytes:
    """An .xlsx file with inline strings: the least that is one."""
    names = "http://schemas.openxmlformats.org"
    escape = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})

    def cell(text: str) -> str:
        return f'<c t="inlineStr"><is><t xml:space="preserve">{text.translate(escape)}</t></is></c>'

    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
    related = "".join(
        f'<Relationship Id="r{number}" Type="{names}/officeDocument/2006/relationships/worksheet" '
        f'Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, len(sheets) + 1)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{names}/package/2006/content-types"><Default Extension="xml" '
        'ContentType="application/xml"/><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{names}/package/2006/relationships"><Relationship Id="r1" Type="{names}'
        '/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{names}/spreadsheetml/2006/main" xmlns:r="{names}/officeDocument/2006/'
        f'relationships"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{names}/package/2006/relationships">{related}'
        "</Relationships>",
    }
    for number, rows in enumerate(sheets.values(), 1):
        content = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{names}/spreadsheetml/2006/main"><sheetData>{content}</sheetData></worksheet>'
        )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return stream.getvalue()


# Name, writer, what it is recognized as. Each writer is given rows that its encoding has letters for.
LAYOUTS: dict[str, tuple[Callable[[Pairs], bytes], str]] = {
    "CSV": (lambda p: write_csv(p, ",", "utf-8"), "csv, utf-8, comma"),
    "CSV with a mark": (lambda p: write_csv(p, ",", "utf-8-sig"), "csv, utf-8-sig, comma"),
    "CSV of western Windows": (lambda p: write_csv(p, ";", "cp1252"), "csv, cp1252, semicolon"),
    "Excel's sep=": (lambda p: write_csv(p, ";", "cp1252", "sep=;\r\n"), "csv, cp1252, semicolon"),
    "Excel's Unicode text": (lambda p: write_csv(p, "\t", "utf-16"), "csv, utf-16, tab"),
    "UTF-16 without a mark": (lambda p: write_csv(p, ",", "utf-16-be"), "csv, utf-16-be, comma"),
    "TSV": (lambda p: write_csv(p, "\t", "utf-8"), "csv, utf-8, tab"),
    "bars": (lambda p: write_csv(p, "|", "utf-8"), "csv, utf-8, '|'"),
    "JSON lines": (lambda p: write_lines(p, "utf-8"), "jsonl, utf-8"),
    "JSON lines with CRLF": (lambda p: write_lines(p, "utf-8-sig", end="\r\n\r\n"), "jsonl, utf-8-sig"),
    "JSON lines of ASCII": (lambda p: write_lines(p, "ascii", ascii_only=True), "jsonl, utf-8"),
    "JSON lines in UTF-16": (lambda p: write_lines(p, "utf-16-le"), "jsonl, utf-16-le"),
    "JSON lines of western Windows": (lambda p: write_lines(p, "cp1252"), "jsonl, cp1252"),
    "JSON array": (write_array, "json, utf-8"),
    "indented JSON array": (lambda p: write_array(p, 2), "json, utf-8"),
    "JSON array in UTF-16": (lambda p: write_array(p, 2, "utf-16"), "json, utf-16"),
    "Parquet": (write_parquet, "parquet"),
    "Parquet of large strings": (lambda p: write_parquet(p, pa.large_string()), "parquet"),
    "Parquet of categories": (lambda p: write_parquet(p, pa.dictionary(pa.int32(), pa.string())), "parquet"),
    "workbook": (write_workbook, "xlsx"),
}


def read(
    content: bytes, folder: Path, title: str = "name", description: str = "text", **given: Any
) -> list[tables.Row]:
    """The rows of a file as clean would see them."""
    (folder / "shop").write_bytes(content)
    manifest = {"files": {"shop": {}}, "title": title, "description": description, **given}
    return [row for chunk in tables.chunks(folder, manifest) for row in tables.rows(chunk, title, description)]


def texts(rows: Rows) -> list[tuple[str | None, str | None]]:
    assert not [row for row in rows if row.malformed]
    return [(row.title, row.description) for row in rows]


LETTERS = st.characters(codec="cp1252", exclude_categories=["Cc"])
# As in Western languages no run of letters beyond ASCII: such runs mean another script to who guesses an encoding.
TEXT = st.text(st.one_of(LETTERS, st.sampled_from(list('",;|\t\n \\{}[]'))), max_size=30).filter(
    lambda text: not re.search(r"[^\0-\x7f]{2}", text)
)


def shape(rows: Rows) -> list[str]:
    """What each row is: its title, or where it is malformed and why."""
    return [f"{row.unit} {row.number} {row.malformed}" if row.malformed else str(row.title) for row in rows]


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["title", "content", "x"]), inner),
    max_leaves=6,
)
# Objects with some of the columns of a shop.
JSON_ROW = st.fixed_dictionaries(
    {}, optional={name: JSON_VALUE | st.text(max_size=99) for name in ("title", "content", "uid")}
)
