"""Any file that a shop has comes out as the same rows, or is refused in a sentence; no row is guessed at or lost."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.reading import tables
from tests.support.shop_files import (
    LAYOUTS,
    PAIRS,
    TEXT,
    Pairs,
    read,
    shape,
    texts,
    write_array,
    write_csv,
    write_lines,
    write_parquet,
)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_recognized_and_holds_the_same_rows(tmp_path: Path, name: str) -> None:
    write, shown = LAYOUTS[name]
    assert texts(read(write(PAIRS), tmp_path)) == PAIRS
    assert str(tables.guess(tmp_path / "shop", {})) == shown


@pytest.mark.parametrize("name", [name for name in LAYOUTS if "Parquet" not in name and name != "workbook"])
def test_every_text_may_be_gzipped(tmp_path: Path, name: str) -> None:
    assert texts(read(gzip.compress(LAYOUTS[name][0](PAIRS)), tmp_path)) == PAIRS


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(TEXT, TEXT), max_size=8))
def test_whatever_the_texts_they_come_back(tmp_path_factory: pytest.TempPathFactory, name: str, pairs: Pairs) -> None:
    # Without ordinary text no encoding can be told, and with little of it a row of symbols decides.
    ordinary = [("Caneca de cerâmica à mão", "É boa, vai bem."), ("Café em grãos", "Torração média, não moído.")]
    pairs = [*ordinary, ("Lâmpada", "Iluminação própria para salões, até à noite."), *pairs]
    folder = tmp_path_factory.mktemp("property")
    assert texts(read(LAYOUTS[name][0](pairs), folder)) == pairs


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=8))
def test_any_unicode_text_comes_back_from_json(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> None:
    folder = tmp_path_factory.mktemp("property")
    assert texts(read(write_lines(pairs, "ascii", ascii_only=True), folder)) == pairs
    assert texts(read(write_array(pairs), folder)) == pairs


DIRT: dict[str, tuple[bytes, list[str]]] = {
    "too few fields": (b"name,text\na,b\nc\nd,e\n", ["a", "c", "d"]),
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
        b'[{"name": 1, "text": "b"}, {"name": {"en": "a"}, "text": "b"}, {"name": ["a", 1]}, {"text": [["b", 1]]}]',
        [f"row {number} not a text" for number in (1, 2, 3, 4)],
    ),
    "an empty array": (b" [ ] ", []),
    "an odd array": (
        b'[{"name": NaN, "text": "b"}, {"name": "\\ud800", "text": "x\xff"}]',
        ["None", "\ud800"],
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
    rows = read(b"name,text\n" + b"\x1b[31m" + b"x" * 200 + b",b,c\n", tmp_path)
    assert tables.describe(rows[0]) == r"shop line 2 (3 fields, header has 2): '\x1b[31m" + "x" * 75 + "'"


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
