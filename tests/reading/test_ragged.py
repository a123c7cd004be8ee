"""Short and long rows, records over several lines, quotes and line ends as exporters write them."""

from pathlib import Path

import pytest

from copywriter.reading import tables
from tests.support.shop_files import Pairs, read, shape, texts

HEADER = b"Name,Description,Price,Meta: a,Meta: b\n"


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        (HEADER + b'"Red mug","A mug.\n\n<p>Holds tea.</p>",4\n"Jug","A jug.",5,x,y\nCup,A cup.\n', "Red mug|Jug|Cup"),
        (b"Name;Description;Price\nCup;A cup.;4;\nJug;A jug.;5;;;\nBowl;A bowl.;6; \n", "Cup|Jug|Bowl"),
        (b"Name,Description\nCup\nJug,A jug.\n", "Cup|Jug"),
    ],
)
def test_short_rows_are_filled_and_empty_cells_ignored(tmp_path: Path, content: bytes, pairs: str) -> None:
    rows = read(content, tmp_path, "Name", "Description")
    assert [title for title, _ in texts(rows)] == pairs.split("|")


def test_a_missing_description_is_empty(tmp_path: Path) -> None:
    assert texts(read(b"Name,Description\nCup\n", tmp_path, "Name", "Description")) == [("Cup", "")]


BROKEN: dict[str, tuple[bytes, list[str]]] = {
    "extra text": (HEADER + b"a,b,1,2,3,more\nc,d\n", ["line 2 wrong number of fields", "c"]),
    "extra text after lines in quotes": (
        HEADER + b'a,"one\n\ntwo, three\nfour",1,2,3,more\nc,d\n',
        ["line 2 wrong number of fields", "c"],
    ),
    "a quote that swallows a whole row": (
        b'Name,Description\na,"b\nc,d\ne",f,g\nh,i\n',
        ["line 2 wrong number of fields", "c", "line 4 wrong number of fields", "h"],
    ),
    "a bare quote in quotes over lines": (
        HEADER + b'a,"one\n27" wide\ntwo",1,2,3\nc,d,1,2,3\n',
        ["line 2 broken quotes", "c"],
    ),
    "a bare quote and a short row": (HEADER + b'a,"the "big" one\nholds tea",1\nc,d\n', ["line 2 broken quotes", "c"]),
    "quotes without end": (HEADER + b'a,"one\nc,d,1,2,3\ne,f,1,2,3\n', ["line 2 broken quotes", "c", "e"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_malformed_record_of_several_lines_is_one(tmp_path: Path, name: str) -> None:
    content, expected = BROKEN[name]
    assert shape(read(content, tmp_path, "Name", "Description")) == expected


def test_the_message_names_both_numbers_of_fields(tmp_path: Path) -> None:
    header, row = ",".join(f"c{number}" for number in range(152)), ",".join(["x"] * 154)
    (row_read,) = read(f"{header}\n{row}\n".encode(), tmp_path, "c0", "c1")
    assert "line 2 (154 fields, header has 152): 'x,x," in tables.describe(row_read)


QUOTING: dict[str, tuple[bytes, Pairs, str]] = {
    "stray quotes in a TSV": (
        b'name\ttext\n"Best" mug\tA mug.\n"Open jug\tA 9" jug.\nBowl\t"Deep" bowl\n',
        [('"Best" mug', "A mug."), ('"Open jug', 'A 9" jug.'), ("Bowl", '"Deep" bowl')],
        "csv, utf-8, tab, quoting none",
    ),
    "pipes with stray quotes": (
        b'name|text\n"Best" mug|A mug.\nBowl|"Deep" bowl\n',
        [('"Best" mug', "A mug."), ("Bowl", '"Deep" bowl')],
        "csv, utf-8, '|', quoting none",
    ),
    "quotes in a TSV": (
        b'name\ttext\n"Mug, red"\t"A ""red""\nmug."\nJug\tA jug.\n',
        [("Mug, red", 'A "red"\nmug.'), ("Jug", "A jug.")],
        "csv, utf-8, tab",
    ),
    "backslashes before quotes": (
        b'name,text\n"Screen","A 27\\" screen, black."\n"Jug","Says \\"hi\\", twice.\\n\\\\"\n',
        [("Screen", 'A 27" screen, black.'), ("Jug", 'Says "hi", twice.\\n\\\\')],
        "csv, utf-8, comma, quoting backslash",
    ),
    "backslashes before delimiters": (
        b"name,text\nMug,A red\\, big mug\nJug,A jug\n",
        [("Mug", "A red, big mug"), ("Jug", "A jug")],
        "csv, utf-8, comma, quoting backslash",
    ),
    "a backslash at the end of a text": (
        b'name,text\n"Disk","In C:\\"\n"Jug","A ""jug"", red."\n',
        [("Disk", "In C:\\"), ("Jug", 'A "jug", red.')],
        "csv, utf-8, comma",
    ),
    "carriage returns alone": (
        b"name;text\rMug;A mug, red.\rJug;A jug, blue.\r",
        [("Mug", "A mug, red."), ("Jug", "A jug, blue.")],
        "csv, utf-8, semicolon",
    ),
    "a tab and a mark before the header": (
        b"\n\t\xef\xbb\xbfname,text\nMug,A mug.\n",
        [("Mug", "A mug.")],
        "csv, utf-8, comma",
    ),
}


@pytest.mark.parametrize("name", QUOTING)
def test_quotes_and_line_ends_are_recognized(tmp_path: Path, name: str) -> None:
    content, pairs, layout = QUOTING[name]
    assert texts(read(content, tmp_path)) == pairs
    assert str(tables.guess(tmp_path / "shop", {})) == layout


@pytest.mark.parametrize(
    ("given", "first"),
    [({"quoting": "none"}, '"Best"'), ({"quoting": "double"}, "Best"), ({"quoting": "backslash"}, "Best")],
)
def test_the_entry_fixes_the_quoting(tmp_path: Path, given: dict[str, str], first: str) -> None:
    assert texts(read(b'name,text\n"Best",mug\n', tmp_path, **given)) == [(first, "mug")]


def test_lines_of_json_may_end_in_carriage_returns(tmp_path: Path) -> None:
    content = b'{"name": "a", "text": "b"}\r{"name": "c", "text": "d"}\r'
    assert texts(read(content, tmp_path)) == [("a", "b"), ("c", "d")]
