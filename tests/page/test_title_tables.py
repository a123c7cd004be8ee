"""Tables of titles: what is read of them, what is refused, and the table that comes out."""

import csv
import io
from pathlib import Path

import pytest

from copywriter.errors import UserError
from copywriter.page import title_tables
from copywriter.page.answering import fact_lines
from copywriter.page.title_tables import TitleTable
from copywriter.reading.fields import Record


def read(folder: Path, name: str, text: str, encoding: str = "utf-8") -> TitleTable:
    (folder / name).write_bytes(text.encode(encoding))
    return title_tables.read(folder / name, name)


@pytest.mark.parametrize(
    ("name", "text", "titles"),
    [
        ("a.csv", "sku,Title\n1,Mug\n2,\"Cup, blue\"\n", ["Mug", "Cup, blue"]),
        ("a.tsv", "Nome do produto\tSKU\nCopo\t1\n", ["Copo"]),
        ("a.csv", "Artikel;Farbe\nBecher;blau\n", ["Becher"]),
        ("a.txt", "\ufeffMug\n\nCup, blue\n  \nBalde de aço", ["Mug", "Cup, blue", "Balde de aço"]),
        ("a.txt", '{"title": "Mug"}\n', ['{"title": "Mug"}']),  # a line is a title, whatever it looks like
        ("a.csv", "code,item text\nA1,Steel bucket large\nB2,Pink cup small\nC3,Oak chair\n",
         ["Steel bucket large", "Pink cup small", "Oak chair"]),
    ],
)  # fmt: skip
def test_the_column_of_titles_is_found(tmp_path: Path, name: str, text: str, titles: list[str]) -> None:
    table = read(tmp_path, name, text)
    assert [(row.fields or {})[table.title] for row in table.rows] == titles
    assert not table.bad


def test_other_encodings_are_read(tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-16", "utf-8-sig"):
        assert (read(tmp_path, "a.csv", "title\nBalde de aço\n", encoding).rows[0].fields) == {"title": "Balde de aço"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "a.csv has no rows"),
        ("a.csv", "title\n", "a.csv has no rows"),
        ("a.txt", "\n \n", "a.txt has no rows"),
        ("a.csv", "Mug\nCup\nBucket\n", "no column of a.csv is clearly the title (its columns: 'Mug')"),
        ("a.xlsx", "x", "a.xlsx is no table that the page reads; give .csv or .tsv"),
        ("a.csv", "title\n" + "Mug\n" * 501, "a.csv has 501 rows; the page takes at most 500"),
        ("a.csv", "title\n" + "x" * 2_000_000, "a.csv has 2.0 MB; the page takes at most 2 MB"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        read(tmp_path, name, text)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_the_users_columns_are_kept_beside_the_new_ones() -> None:
    rows = [Record(2, {"title": "Mug", "written": "before"}), Record(3, None, "broken quotes")]
    table = TitleTable("a.csv", ["title", "written"], "title", rows)
    assert table.added == ["written (2)", "unsupported", "error"]
    text = title_tables.as_csv(table, [{"title": "Mug", "written": "before", "written (2)": 'A "mug",\nblue.'}, {}])
    assert list(csv.reader(io.StringIO(text))) == [
        ["title", "written", "written (2)", "unsupported", "error"],
        ["Mug", "before", 'A "mug",\nblue.', "", ""],
        ["", "", "", "", ""],
    ]


def test_facts_are_lines_of_name_and_value() -> None:
    assert fact_lines("brand=Acme\n\n size = 5=6 \ncolour=") == {"brand": "Acme", "size": "5=6", "colour": ""}
    for text in ("red", "=red", "a=1\nA=2", "x" * 4_001):
        with pytest.raises(UserError):
            fact_lines(text)
