"""Any file that a shop has comes out as the same rows, or is refused in a sentence; no row is guessed at or lost."""

import csv
import gzip
import io
import json
import pickle
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.reading import csv_rows, json_rows, layout, tables
from copywriter.stage import UserError

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
    """An .xlsx file with inline strings: the least that is one."""
    names = "http://schemas.openxmlformats.org"
    escape = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})

    def cell(text: str) -> str:
        return f'<c t="inlineStr"><is><t xml:space="preserve">{text.translate(escape)}</t></is></c>'

    rows = "".join(
        f"<row>{''.join(map(cell, row))}</row>" for row in [("id", "name", "text"), *(("1", *p) for p in pairs)]
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{names}/package/2006/content-types"><Default Extension="xml" '
        'ContentType="application/xml"/><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{names}/package/2006/relationships"><Relationship Id="r1" Type="{names}'
        '/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{names}/spreadsheetml/2006/main" xmlns:r="{names}/officeDocument/2006/'
        'relationships"><sheets><sheet name="One" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{names}/package/2006/relationships"><Relationship '
        f'Id="r1" Type="{names}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{names}/spreadsheetml/2006/main"><sheetData>{rows}</sheetData>'
        "</worksheet>",
    }
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


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_recognized_and_holds_the_same_rows(tmp_path: Path, name: str) -> None:
    write, shown = LAYOUTS[name]
    assert texts(read(write(PAIRS), tmp_path)) == PAIRS
    assert str(tables.guess(tmp_path / "shop", {})) == shown


@pytest.mark.parametrize("name", [name for name in LAYOUTS if "Parquet" not in name and name != "workbook"])
def test_every_text_may_be_gzipped(tmp_path: Path, name: str) -> None:
    assert texts(read(gzip.compress(LAYOUTS[name][0](PAIRS)), tmp_path)) == PAIRS


LETTERS = st.characters(codec="cp1252", exclude_categories=["Cc"])
TEXT = st.text(st.one_of(LETTERS, st.sampled_from(list('",;|\t\n \\{}[]'))), max_size=30)


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(TEXT, TEXT), max_size=8))
def test_whatever_the_texts_they_come_back(tmp_path_factory: pytest.TempPathFactory, name: str, pairs: Pairs) -> None:
    pairs = [("Caneca de cerâmica à mão", "É boa, vai bem."), *pairs]  # without any, no encoding can be told
    folder = tmp_path_factory.mktemp("property")
    assert texts(read(LAYOUTS[name][0](pairs), folder)) == pairs


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=8))
def test_any_unicode_text_comes_back_from_json(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> None:
    folder = tmp_path_factory.mktemp("property")
    assert texts(read(write_lines(pairs, "ascii", ascii_only=True), folder)) == pairs
    assert texts(read(write_array(pairs), folder)) == pairs


def shape(rows: Rows) -> list[str]:
    """What each row is: its title, or where it is malformed and why."""
    return [f"{row.unit} {row.number} {row.malformed}" if row.malformed else str(row.title) for row in rows]


DIRT: dict[str, tuple[bytes, list[str]]] = {
    "too few fields": (b"name,text\na,b\nc\nd,e\n", ["a", "line 3 wrong number of fields", "d"]),
    "too many fields": (b"name,text\na,b\nc,d,e\nf,g\n", ["a", "line 3 wrong number of fields", "f"]),
    "blank lines": (b"name,text\r\n\r\na,b\r\n\r\n", ["a"]),
    "old Mac's line ends": (b'name,text\ra,b\rc,"d\re"\r', ["a", "c"]),
    "a quote inside a field": (b'name,text\n5" pipe,b\n', ['5" pipe']),
    "text after a quote": (b'name,text\n"a"b,c\nd,e\n', ["line 2 broken quotes", "d"]),
    "a quote that nothing closes": (b'name,text\na,b\n"c,d\ne,f\ng,h\n', ["a", "line 3 broken quotes", "e", "g"]),
    "one that a later row closes": (
        b'name,text\n"c,d\ne,f\n"g",h\ni,"j\nk"\n',
        ["line 2 broken quotes", "e", "g", "i"],
    ),
    "two that close one another": (b'name,text\na,"b\nc,d\ne,f"\ng,h\n', ["a", "g"]),  # a text of three lines: valid
    "a quote at the end": (b'name,text\na,b\nc,"', ["a", "line 3 broken quotes"]),
    "a row in another encoding": (
        "name,text\né,á\nó,ú\n".encode() + "ï,x\n".encode("cp1252") + b"a,b\n",
        ["é", "ó", "line 4 wrong encoding", "a"],
    ),
    "numbers are texts in CSV": (b"name,text\n1984,12.50\n", ["1984"]),
    "zeros": (b"name,text\na\0,b\n" + b"c,dd\n" * 500, ["a\0"] + ["c"] * 500),
    "a row that is none in an array": (
        b'[{"name": "a"}, 3, "x", [1], null, {"name": "b", "text": "t"}]',
        ["a"] + [f"row {number} not a JSON object" for number in (2, 3, 4, 5)] + ["b"],
    ),
    "no text in an array": (
        b'[{"name": 1, "text": "b"}, {"name": ["a"], "text": "b"}]',
        ["row 1 not a text", "row 2 not a text"],
    ),
    "an empty array": (b" [ ] ", []),
    "an odd array": (
        b'[{"name": NaN, "text": "b"}, {"name": "\\ud800", "text": "x\xff"}]',
        ["row 1 not a text", "\ud800"],
    ),
    "an empty file": (b"", []),
    "blank": (b" \n\t\r\n", []),
    "a mark alone": (b"\xef\xbb\xbf", []),
    "a header alone": (b"name,text\n", []),
}


@pytest.mark.parametrize("name", DIRT)
def test_dirt_is_counted_where_it_stands(tmp_path: Path, name: str) -> None:
    content, expected = DIRT[name]
    rows = read(content, tmp_path)
    assert shape(rows) == expected
    assert {row.malformed for row in rows} <= {None, *tables.MALFORMED}


def test_a_malformed_row_is_described_with_its_first_characters(tmp_path: Path) -> None:
    rows = read(b"name,text\n" + b"\x1b[31m" + b"x" * 200 + b"\n", tmp_path)
    assert tables.describe(rows[0]) == r"shop line 2: '\x1b[31m" + "x" * 75 + "'"


FIXED: dict[str, tuple[bytes, dict[str, str], Pairs]] = {
    "a delimiter": (b"name:text\na,b:c\n", {"delimiter": ":"}, [("a,b", "c")]),
    "an encoding": ("name,text\nЧашка,Из глины\n".encode("cp1251"), {"encoding": "cp1251"}, [("Чашка", "Из глины")]),
    "an encoding of JSON": (write_lines([("杯", "陶")], "shift_jis"), {"encoding": "shift_jis"}, [("杯", "陶")]),
    "UTF-16 without its mark": (write_csv([("a", "b")], ",", "utf-16-be"), {"encoding": "utf-16"}, [("a", "b")]),
    "a format": (b'{"name"\ttext\nd\te\n', {"format": "csv"}, [("d", "e")]),
}


@pytest.mark.parametrize("name", FIXED)
def test_what_the_entry_fixes_is_not_guessed(tmp_path: Path, name: str) -> None:
    content, given, pairs = FIXED[name]
    title = '{"name"' if name == "a format" else "name"
    assert texts(read(content, tmp_path, title, **given)) == pairs


NESTED = [
    {"product": {"name": "a", "texts": [{"en": "b"}, {"en": "c"}]}},
    {"product": {"name": "d", "texts": []}},
    {"product": "e"},
    {"product.name": "f", "product": {"name": "g"}},
]


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_fields_have_paths(tmp_path: Path, form: str) -> None:
    expected: list[tuple[str | None, str | None]]
    if form == "parquet":
        stream = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(NESTED[:2]), stream)
        content, expected = stream.getvalue(), [("a", "c"), ("d", None)]
    else:
        content = json.dumps(NESTED).encode() if form == "json" else "\n".join(map(json.dumps, NESTED)).encode()
        expected = [("a", "c"), ("d", None), (None, None), ("f", None)]
    assert texts(read(content, tmp_path, "product.name", "product.texts.1.en")) == expected


def test_only_the_columns_needed_are_read_from_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    iterate = pq.ParquetFile.iter_batches

    def iter_batches(self: Any, size: int, columns: list[str]) -> Any:
        asked.append(columns)
        return iterate(self, size, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    read(write_parquet(PAIRS), tmp_path)
    assert asked == [["name", "text"]]


REFUSED: dict[str, tuple[bytes, str]] = {
    "another header": (
        b"title;text\na;b\n",
        r"shop \(csv, utf-8, semicolon\) has no field 'name'; its fields are: 'title', 'text'",
    ),
    "no header": (
        b"Tutu,Pink.\nRug,Red.\n",
        "has no field 'name' and no field 'text'; its fields are: 'Tutu', 'Pink.'",
    ),
    "other keys": (
        b'{"product": {"title": "a"}}',
        "no field 'text'; its fields are: 'product', 'product.title'; name the right",
    ),
    "other keys in an array": (b'[{"a": 1}]', "its fields are: 'a'"),
    "other columns": (
        write_parquet(PAIRS).replace(b"text", b"TEXT"),
        "no field 'text'; its fields are: 'id', 'name', 'TEXT'",
    ),
    "prose": (b"Nothing here is a table.\n", "its fields are: 'Nothing here is a table.'"),
    "a cut array": (
        write_array(PAIRS)[:-30],
        r"shop \(json, utf-8\) is a JSON array that breaks at row 4: .*one object a line",
    ),
    "an array without its end": (write_array(PAIRS)[:-1], "breaks at row 4"),
    "an array that goes on": (write_array(PAIRS) + b"[]", "breaks at row 5: '\\]\\[\\]'"),
    "a deep array": (b'[{"name": ' + b"[" * 100_000, "breaks at row 1"),
    "one object": (b'{\n  "products": []\n}', "one JSON object over many lines"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20 + bytes(100), "neither text nor Parquet nor .xlsx"),
    "an old workbook": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "old Excel workbook .* save it as .xlsx or CSV",
    ),
    "half a workbook": (write_workbook(PAIRS)[:-100], "no whole .xlsx workbook"),
    "a zip archive that is no workbook": (b"PK\x03\x04" + bytes(100), "no whole .xlsx workbook"),
    "half a Parquet file": (write_parquet(PAIRS)[:-20], "damaged or no Parquet file"),
    "a gzipped Parquet file": (gzip.compress(write_parquet(PAIRS)), "is a gzipped parquet file; unzip it"),
    "gzipped twice": (gzip.compress(gzip.compress(b"x")), "gzipped twice"),
    "half a gzipped file": (
        gzip.compress(random.Random(0).randbytes(9_000))[:-200],
        "is damaged .* 'dvc repro --force fetch'",
    ),
    "bytes after a gzipped file": (gzip.compress(b"name,text\n") + b"more", "is damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    content, message = REFUSED[name]
    with pytest.raises(UserError, match=message) as caught:
        read(content, tmp_path)
    assert "\n" not in str(caught.value)


ENTRIES: list[dict[str, str]] = [
    *({"format": form} for form in layout.FORMATS),
    *({"encoding": encoding} for encoding in ("utf-8", "utf-16", "utf-32", "cp1252", "utf-7", "idna")),
    *({"delimiter": delimiter} for delimiter in "x \\,"),
]


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    chance = random.Random(3)
    whole = [write(PAIRS * 3) for write, _ in LAYOUTS.values()]
    ended = {"read": 0, "refused": 0}
    for number in range(3_000):
        content = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 4)):
            start = chance.randrange(len(content))
            gone = chance.choice((0, 0, 1, 20, len(content)))
            new = chance.choice((b"", b'"', b"\n", b"\0", b"{", b"]", b"\xff\xfe", chance.randbytes(8)))
            content[start : start + gone] = new or b" "
        try:
            rows = read(bytes(content), tmp_path, **chance.choice(ENTRIES) if number % 3 == 0 else {})
            assert {row.malformed for row in rows} <= {None, *tables.MALFORMED}
            ended["read"] += 1
        except UserError as error:
            assert "\n" not in str(error)
            ended["refused"] += 1
    assert min(ended.values()) > 500


def test_a_missing_field_is_known_after_a_thousand_rows(tmp_path: Path) -> None:
    (tmp_path / "shop").write_bytes(b'{"name": "a"}\n' * 1_000 + b'{"name": "a", "text": "b"}\n' * 2_000_000)
    seen = tables.chunks(tmp_path, {"files": {"shop": {}}, "title": "name", "description": "text"})
    with pytest.raises(UserError, match="no field 'text'"):
        next(seen)


def test_a_field_that_comes_late_is_no_mistake(tmp_path: Path) -> None:
    assert len(read(b'{"name": "a"}\n' * 999 + b'{"name": "a", "text": "b"}', tmp_path)) == 1_000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8), st.integers(1, 60))
def test_blocks_end_anywhere(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs, size: int) -> None:
    folder = tmp_path_factory.mktemp("property")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "BLOCK_BYTES", size)
        patch.setattr(tables, "ROWS_PER_CHUNK", 2)
        for write in (
            write_array,
            write_parquet,
            lambda p: write_lines(p, "utf-8"),
            lambda p: write_lines(p, "utf-16"),
        ):
            rows = read(write(pairs), folder)
            assert texts(rows) == pairs
            assert [row.number for row in rows] == list(range(1, len(pairs) + 1))


def test_chunks_travel_to_other_processes(tmp_path: Path) -> None:
    for name, (write, _) in LAYOUTS.items():
        (tmp_path / "shop").write_bytes(write(PAIRS))
        for chunk in tables.chunks(tmp_path, {"files": {"shop": {}}, "title": "name", "description": "text"}):
            assert pickle.loads(pickle.dumps(chunk)) == chunk, name


def test_a_line_too_long_is_malformed_and_the_next_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "MAX_LINE_BYTES", 1_000)
    monkeypatch.setattr(csv_rows, "MAX_CHARACTERS", 1_000)
    full = b'{"name": "full", "text": "' + b"x" * 971 + b'"}'
    assert len(full) == 999
    for size in (100, 1_000, 4_000_000):
        monkeypatch.setattr(json_rows, "BLOCK_BYTES", size)
        rows = read(b"\n".join([full, b"x" * 5_000, b'{"name": "b"}', full + b" "]), tmp_path)
        assert shape(rows) == ["full", "line 2 too long", "b", "line 4 too long"]
    rows = read(
        b"name,text\na,b\n" + b"c," * 900 + b"\nd,e\nf," + b"x" * 3_000 + b'\ng,"' + b"x\n" * 600 + b'"\nh,i\n',
        tmp_path,
    )
    assert shape(rows)[:5] == ["a", "line 3 too long", "d", "line 5 too long", "line 6 too long"]
    assert shape(rows)[-1] == "h"


@pytest.mark.parametrize("form", ["jsonl", "csv", "json"])
def test_memory_is_bounded_whatever_one_line_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(json_rows, "MAX_LINE_BYTES", 1_000_000)
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 1_000_000)
    monkeypatch.setattr(csv_rows, "MAX_CHARACTERS", 1_000_000)
    monkeypatch.setattr(layout, "HEAD_BYTES", 1_000_000)
    start = {"jsonl": b'{"name": "a", "text": "b"}\n{"name": "', "csv": b'name,text\na,"', "json": b'[{"name": "'}[form]
    (tmp_path / "shop").write_bytes(gzip.compress(start + b"x" * 60_000_000))
    found: list[str | None] = []
    tracemalloc.start()
    try:
        for chunk in tables.chunks(tmp_path, {"files": {"shop": {}}, "title": "name", "description": "text"}):
            found += [row.malformed for row in tables.rows(chunk, "name", "text")]
    except UserError as error:
        found.append(str(error))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert found == {"jsonl": [None, "too long"], "csv": ["too long"], "json": found[:1]}[form]
    assert ("breaks at row 1" in str(found)) == (form == "json")
    assert peak < 15_000_000
