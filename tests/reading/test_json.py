"""JSON in every form that exporters write: documents around the rows, lists as texts, Python's notation."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from copywriter.errors import UserError
from copywriter.reading import json_rows, tables
from tests.support.shop_files import Pairs, read, texts

ROWS = [{"name": "Mug", "text": "A mug."}, {"name": "Jug", "text": "A jug."}]
PAIRS: Pairs = [("Mug", "A mug."), ("Jug", "A jug.")]
ONE, INDENTED = json.dumps(ROWS), json.dumps(ROWS, indent=1)
DOCUMENTS: dict[str, tuple[str, str]] = {
    "an array in an object": ('{"products": ROWS}', "json, utf-8, rows in products"),
    "after other members": (
        '{"shop": {"name": "Shop", "tags": ["a"]}, "pages": 1.5, "next": null, "products": ROWS, "end": true}',
        "json, utf-8, rows in products",
    ),
    "deep in objects": (
        '{"data": {"meta": {"n": 2}, "items": {"list": ROWS}}}',
        "json, utf-8, rows in data.items.list",
    ),
    "a page a line": (
        '{"products": [{"name": "Mug", "text": "A mug."}]}\n{"products": [{"name": "Jug", "text": "A jug."}]}\n',
        "json, utf-8, rows in products",
    ),
    "a shop with a name": ('{"name": "Shop", "products": ROWS}', "json, utf-8, rows in products"),
    "objects over many lines": (
        '{\n"name": "Mug",\n"text": "A mug."\n}\n{\n"name": "Jug",\n"text": "A jug."\n}',
        "json, utf-8",
    ),
    "objects by keys": (
        '{"m1": {"name": "Mug", "text": "A mug."}, "m2": {"name": "Jug", "text": "A jug."}}',
        "json, utf-8, rows in *",
    ),
    "arrays one after the other": (
        '[{"name": "Mug", "text": "A mug."}]\n[{"name": "Jug", "text": "A jug."}]',
        "json, utf-8",
    ),
    "lines with lists of objects": (
        '{"name": "Mug", "text": "A mug.", "variants": [{"title": "Red"}]}\n'
        '{"name": "Jug", "text": "A jug.", "variants": [{"title": "Blue"}]}\n',
        "jsonl, utf-8",
    ),
    "dicts that Python prints": (
        "{'name': 'Mug', 'price': nan, 'new': True, 'text': 'A mug.'}\n"
        "{'name': 'Jug', 'old': None, 'text': \"A jug.\"}\n",
        "jsonl, utf-8",
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("block", [7, 4_000_000])
def test_rows_are_found_in_every_document(
    tmp_path: Path, name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", block)
    content, layout = DOCUMENTS[name]
    for rows in (ONE, INDENTED):
        assert texts(read(content.replace("ROWS", rows).encode(), tmp_path)) == PAIRS
        assert str(tables.guess(tmp_path / "shop", {})) == layout


def test_what_is_no_object_among_the_rows_is_counted(tmp_path: Path) -> None:
    rows = read(b'{"products": [{"name": "Mug", "text": "A mug."}, null, 3]}', tmp_path)
    assert [row.malformed for row in rows] == [None, "not a JSON object", "not a JSON object"]


@pytest.mark.parametrize("end", ["", "}", "]", ']}{"products": ['])
def test_a_document_that_breaks_is_refused(tmp_path: Path, end: str) -> None:
    content = '{"products": [{"name": "Mug", "text": "A mug."}, {"name": "Jug", "text": "A jug."}' + end
    with pytest.raises(UserError, match=r"is a JSON document that breaks at row [23]"):
        read(content.encode(), tmp_path)


LISTS: list[tuple[object, str | None]] = [
    (["A mug.", " Holds tea. "], "A mug. Holds tea."),
    ([], ""),
    (["", None, "A mug."], "A mug."),
    ("A mug.", "A mug."),
    (None, None),
]


@pytest.mark.parametrize("form", ["lines", "array", "parquet", "python"])
def test_a_list_of_texts_is_joined(tmp_path: Path, form: str) -> None:
    rows = [{"name": "Mug", "text": text} for text, _ in LISTS if form != "parquet" or not isinstance(text, str)]
    expected = [("Mug", joined) for text, joined in LISTS if form != "parquet" or not isinstance(text, str)]
    stream = io.BytesIO()
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), stream)
    content = {
        "lines": "\n".join(map(json.dumps, rows)),
        "array": json.dumps(rows),
        "python": "\n".join(map(str, rows)),
    }
    assert texts(read(stream.getvalue() or content[form].encode(), tmp_path)) == expected


def test_bytes_in_parquet_are_text(tmp_path: Path) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"name": ["Mug", "Jug"], "text": [b"Caf\xc3\xa9.", b"\xff"]}), stream)
    rows = read(stream.getvalue(), tmp_path)
    assert [(row.description, row.malformed) for row in rows] == [("Café.", None), (None, "not a text")]


@pytest.mark.parametrize("line", ["{'a': __import__('os').getcwd()}", "{'a': 1", "{'a': " + "[" * 9_000, "{'a': 9**9}"])
def test_python_that_is_no_literal_is_malformed_and_not_run(line: str) -> None:
    assert json_rows.parse(line.encode()) is None
