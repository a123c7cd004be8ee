"""What cannot be read is refused in a sentence, what is damaged costs no more than its rows, and memory is bounded."""

import gzip
import pickle
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.errors import UserError
from copywriter.reading import csv_rows, json_rows, layout, tables
from tests.support.shop_files import (
    LAYOUTS,
    PAIRS,
    TEXT,
    Pairs,
    read,
    shape,
    texts,
    write_array,
    write_lines,
    write_parquet,
    write_workbook,
)

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
    "text after an array": (write_array(PAIRS) + b" total: 4", "breaks at row 5: 'total: 4'"),
    "a deep array": (b'[{"name": ' + b"[" * 100_000, "breaks at row 1"),
    "an object without rows": (b'{\n  "products": []\n}', "has no field 'name' and no field 'text'; .*: 'products'"),
    "columns of pandas": (
        b'{"name":{"0":"a","1":"b"},"text":{"0":"c","1":"d"}}',
        "object of columns; .*orient='records'",
    ),
    "a Python list": (b"[{'name': 'a'}]", "a list in Python's notation; write it with json.dump"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20 + bytes(100), "is a PNG picture"),
    "a program": (b"\x7fELF" + bytes(range(256)) * 20 + bytes(100), "neither text nor Parquet nor .xlsx"),
    "a PDF": (b"%PDF-1.7\n" + bytes(100), "is a PDF document; export the products as CSV"),
    "an SQL dump": (b"-- dump\nCREATE TABLE products (name text);\n", "a dump of an SQL database"),
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
