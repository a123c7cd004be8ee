"""Any bytes and any rows in a CSV file, an XML feed or a JSON document: every row is read, counted or refused."""

import csv
import io
import json
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.errors import UserError
from copywriter.reading import json_rows, tables
from tests.support.shop_files import JSON_ROW, JSON_VALUE


def read_all(content: bytes, folder: Path) -> list[tables.Row]:
    """The rows of a file's bytes, none lost between chunks."""
    (folder / "shop").write_bytes(content)
    given = {"files": {"shop": {}}, "title": "title", "description": "content"}
    return [row for chunk in tables.chunks(folder, given) for row in tables.rows(chunk, "title", "content")]


# No backslash: whether it escapes the delimiter after it is a guess by all rows.
cell = st.text(st.sampled_from('ab",;|\t éß.'), max_size=8)
ragged_row = st.lists(cell, min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(ragged_row, max_size=12), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_ragged_rows_are_all_read_or_counted(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], quoting: Literal[0, 1]
) -> None:
    text = io.StringIO(newline="")
    # Enough good rows that what the file is stays certain, whatever the others hold.
    good = [["Mug", "A mug.", "1"]] * 40
    csv.writer(text, quoting=quoting).writerows([["title", "content", "price"], *good, *rows, *good])
    found = read_all(text.getvalue().encode(), tmp_path_factory.mktemp("ragged"))
    assert len(found) == 80 + len(rows)
    for row, written in zip(found[40:-40], rows, strict=True):
        assert row.malformed == ("wrong number of fields" if any(map(str.strip, written[3:])) else None)
        assert row.malformed or [row.title, row.description] == [*written, "", ""][:2]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
def test_any_bytes_in_a_csv_are_rows_malformed_or_refused(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], quotes: bool
) -> None:
    start = b"title,content\n" + (b'"Mug","A ""red"" mug."\n' if quotes else b"Mug,A mug.\n") * 20
    try:
        found = read_all(start + b"\n".join(lines), tmp_path_factory.mktemp("bytes"))
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert len(found) >= 20
        assert {row.malformed for row in found} <= {None, *tables.MALFORMED}


ITEM = b"<item><title>Mug</title><content>A &amp; <![CDATA[<b>mug</b>]]></content></item>"
xml_dirt = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([b"<", b"&", b"&nbsp;", b"&#0;", b"]]>", b"<![CDATA[", b"<!--", b"</rss>", b"<?x", b"\0", b"\xff"]),
    st.sampled_from([b'<!DOCTYPE a [<!ENTITY b "c">]>', b"<item/>", b"<item><title><p>x</p>y</title></item>", b"\x0b"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(xml_dirt, st.integers(0, 300)), max_size=4))
def test_any_bytes_in_a_feed_are_rows_or_refused(
    tmp_path_factory: pytest.TempPathFactory, dirt: list[tuple[bytes, int]]
) -> None:
    content = b"<?xml version='1.0'?><rss><channel>" + ITEM * 3 + b"</channel></rss>"
    for new, place in dirt:
        content = content[:place] + new + content[place:]
    try:
        found = read_all(content, tmp_path_factory.mktemp("feed"))
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert {row.malformed for row in found} <= {None, *tables.MALFORMED}
        assert dirt or [(row.title, row.description) for row in found] == [("Mug", "A & <b>mug</b>")] * 3


@settings(max_examples=200, deadline=None)
@given(
    st.lists(JSON_ROW | JSON_VALUE, max_size=6), st.sampled_from(["products", "data.items", ""]), st.integers(1, 200)
)
def test_rows_of_any_document_are_counted(
    tmp_path_factory: pytest.TempPathFactory, rows: list[object], path: str, size: int
) -> None:
    held: object = [{"title": "First", "content": "A good row."}, *rows]
    for name in reversed(path.split(".") if path else []):
        held = {"count": len(rows), name: held, "next": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "BLOCK_BYTES", size)
        found = read_all(json.dumps(held).encode(), tmp_path_factory.mktemp("document"))
    assert len(found) == 1 + len(rows)
