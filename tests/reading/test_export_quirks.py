"""Quirks of exporters that no other test writes: the rows that an owner expects, or a sentence with the cure."""

import gzip
import json
import time
import zipfile
from pathlib import Path

import pytest

from copywriter.errors import UserError
from copywriter.fetching import archives
from copywriter.reading import columns, layout, profile, tables

FRENCH = "Name;Description\rCafé;Une tasse à café, très jolie.\rThé;Un thé vert, léger.\r"
FRENCH_ROWS = [("Café", "Une tasse à café, très jolie."), ("Thé", "Un thé vert, léger.")]
MUGS = [("Red mug", "A red mug, for tea."), ("Blue mug", "A blue mug.")]
ITEMS = [{"id": str(number), "name": a, "description": b} for number, (a, b) in enumerate(MUGS)]
HEADER = {"type": "header", "comment": "Export to JSON plugin for PHPMyAdmin"}

READ: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    "Excel on a Mac": (FRENCH.encode("mac-roman"), FRENCH_ROWS),
    "Excel's MS-DOS text": (FRENCH.replace("\r", "\r\n").encode("cp850"), FRENCH_ROWS),
    "MS-DOS in Poland": (
        "Nazwa;Opis\r\nKubek;Piękny kubek, można myć w zmywarce.\r\nMiska;Miska na zupę, duża.\r\n".encode("cp852"),
        [("Kubek", "Piękny kubek, można myć w zmywarce."), ("Miska", "Miska na zupę, duża.")],
    ),
    "MS-DOS in Russia": (
        "Название;Описание\r\nКружка;Красная кружка для чая.\r\nМиска;Миска для супа.\r\n".encode("cp866"),
        [("Кружка", "Красная кружка для чая."), ("Миска", "Миска для супа.")],
    ),
    "Thai Windows": (
        "ชื่อสินค้า,รายละเอียดสินค้า\nแก้วแดง,แก้วเซรามิกสีแดงสำหรับดื่มชา ขนาดใหญ่\n".encode("tis-620"),
        [("แก้วแดง", "แก้วเซรามิกสีแดงสำหรับดื่มชา ขนาดใหญ่")],
    ),
    "Windows": (FRENCH.encode("cp1252"), FRENCH_ROWS),
    "spaces before quotes": (b'Name, Description\nRed mug, "A red mug, for tea."\nBlue mug, "A blue mug."\n', MUGS),
    "spaces and no need of quotes": (b'Name, Description\nRed mug, A "red" mug.\n', [("Red mug", ' A "red" mug.')]),
    "phpMyAdmin's JSON": (
        json.dumps([HEADER, {"type": "database"}, {"type": "table", "data": ITEMS}], indent=1).encode(),
        MUGS,
    ),
    "lists in lists": (
        b'{"title":"Red mug","description":[["A red mug,"],[null,["for tea."]]]}\n'
        b'{"title":"Blue mug","description":["A blue mug.",""]}\n',
        MUGS,
    ),
    "lists that a program printed": (
        b"title,description\nRed mug,\"['A red mug.', 'Holds tea.']\"\nCup,\"['A cup.']\"\n",
        [("Red mug", "['A red mug.', 'Holds tea.']"), ("Cup", "['A cup.']")],
    ),
    "one row of lists": (
        b'{"title":["Mug, red"],"description":["A red mug,","for tea."]}',
        [("Mug, red", "A red mug, for tea.")],
    ),
    "NaN for a missing text": (
        b'[{"title":"Red mug","description":"A red mug, for tea."},{"title":"Blue mug","description":NaN}]',
        [MUGS[0], ("Blue mug", "")],
    ),
    "names in one word": (
        b'[{"productName":"Red mug","productDescription":"A red mug, for tea."},'
        b'{"productName":"Blue mug","productDescription":"A blue mug."}]',
        MUGS,
    ),
    "HTML's entities without a DTD": (
        b"<rss><channel><item><title>Red&nbsp;mug</title><description>A mug.</description></item></channel></rss>",
        [("Red\xa0mug", "A mug.")],
    ),
    "an offer without a name": (
        b"<yml_catalog><shop><offers><offer><typePrefix>Mug</typePrefix><vendor>Clay</vendor><model>7</model>"
        b"<description>A red mug.</description></offer></offers></shop></yml_catalog>",
        [("Mug Clay 7", "A red mug.")],
    ),
    "a few NUL characters": (b"Name,Description\nRed mug,A red\0 mug.\n", [("Red mug", "A red\0 mug.")]),
    "two gzipped parts": (
        gzip.compress(b"Name,Description\nRed mug,A red mug.\n") + gzip.compress(b"Cup,A cup.\n"),
        [("Red mug", "A red mug."), ("Cup", "A cup.")],
    ),
}
REFUSED: dict[str, tuple[bytes, str]] = {
    "columns as arrays": (b'{"title": ["Red mug", "Cup"], "description": ["A mug.", "A cup."]}', "object of columns"),
    "pandas' split": (b'{"columns": ["title"], "index": [0], "data": [["Red mug"]]}', "object of columns"),
    "rows as arrays": (b'[["title", "description"], ["Red mug", "A red mug."]]', "rows are arrays"),
    "lines of arrays": (b'["Red mug", "A red mug."]\n["Cup", "A cup."]\n', "rows are arrays"),
    "comments": (b'/* 1 */ // 2\n[{"title": "Red mug", "description": "A red mug."}]', "JSON with comments"),
    "JavaScript": (b'var products = [{"title": "Red mug"}];', "JavaScript"),
    "a GIF picture": (b"GIF89a\1\0\1\0", "a GIF picture"),
    "a WebP picture": (b"RIFF$\0\0\0WEBPVP8 ", "a picture"),
    "an empty archive": (b"PK\5\6" + bytes(18), "zip archive without files"),
    "half a gzipped file": (gzip.compress(json.dumps(ITEMS * 100).encode())[:-30], "is damaged"),
}


@pytest.mark.parametrize("name", READ)
def test_an_exporters_quirk_costs_no_row(tmp_path: Path, name: str) -> None:
    content, expected = READ[name]
    (tmp_path / "shop").write_bytes(content)
    sample = profile.draw(tmp_path / "shop", {})
    title, description = columns.choose(profile.columns(sample)[1])
    assert title.name and description.name
    rows = [row for chunk in sample.chunks for row in tables.rows(chunk, title.name, description.name)]
    assert [(row.title or "", row.description or "") for row in rows] == expected
    assert {row.malformed for row in rows} == {None}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_named(tmp_path: Path, name: str) -> None:
    content, message = REFUSED[name]
    (tmp_path / "shop").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        tables.guess(tmp_path / "shop", {})
    assert "\n" not in str(caught.value)


def test_a_spreadsheet_of_libreoffice_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "shop.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", "<x/>")
    with pytest.raises(UserError, match=r"OpenDocument file .*; save it as \.xlsx or CSV"):
        archives.take_member(tmp_path / "shop.ods", None, tmp_path)


def test_a_servers_message_is_no_product(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text('{"error": "Unauthorized", "message": "Please log in."}')
    found = profile.columns(profile.draw(tmp_path / "shop", {}))[1]
    assert [choice.name for choice in columns.choose(found)] == [None, None]
    assert [choice.name for choice in columns.choose(found, "error", "message")] == ["error", "message"]


def test_many_comments_are_read_once() -> None:
    start = time.process_time()
    assert layout.guess(b"/* a */ -- b\n" * 2_000 + b"name,text\nMug,A mug.\n", {}, "shop").format == "csv"
    assert time.process_time() - start < 10


def test_blank_rows_below_a_table_are_no_sign_of_wrong_columns(tmp_path: Path) -> None:
    (tmp_path / "shop").write_bytes(b"Name,Description\nRed mug,A mug for tea.\nCup,A cup.\n" + b",\n" * 2_000)
    verdict = profile.judge(profile.draw(tmp_path / "shop", {}), "Name", "Description")
    assert (verdict.kept, verdict.dropped["no title"], verdict.is_little) == (2, 2_000, False)


def test_lists_nested_on_purpose_are_no_text(tmp_path: Path) -> None:
    deep = "[" * 900 + '"a"' + "]" * 900
    (tmp_path / "shop").write_text(f'{{"title": "Red mug", "description": {deep}}}\n{{"title": "Cup"}}\n')
    sample = profile.draw(tmp_path / "shop", {})
    assert profile.columns(sample)[1]["description"].others == 1
    first, second = (row for chunk in sample.chunks for row in tables.rows(chunk, "title", "description"))
    assert (first.malformed, second.malformed) == ("not a text", None)
