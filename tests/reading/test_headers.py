"""The row that names the columns is found below title rows, labels and comments, and the sheet among several."""

import pickle
from pathlib import Path

import pytest

from copywriter.errors import UserError
from copywriter.reading import headers, tables
from tests.support.shop_files import read, texts, write_sheets

ABOVE: dict[str, tuple[str, int | None]] = {
    "nothing": ("", None),
    "a title": ("Catalogue of the shop\n\n", 3),
    "a title in a wide row": ("Catalogue;;\n;;\n", 3),
    "a title and a date": ("Catalogue;\nExported;2024-06-01\n", 3),
    "comments": ("# Required | The name;# Required | The text;# Optional\n", 2),
    "labels": ("Product Name;Product Description;Price\n", 2),
    "labels under a template's line": ("TemplateType=custom;Version=2024.1\nProduct Name;Long text;Your price\n", 3),
    "a line that names the row": ("settings=attributeRow=3&dataRow=4;x;y\nLabel a;Label b;Label c\n", 3),
}


@pytest.mark.parametrize("name", ABOVE)
@pytest.mark.parametrize("delimiter", ";\t")
def test_rows_above_the_header_are_skipped(tmp_path: Path, name: str, delimiter: str) -> None:
    above, header_row = ABOVE[name]
    content = above + "item_name;product_description;price\nMug;A mug, red.;4\nJug;A jug, blue.;5\n"
    rows = read(content.replace(";", delimiter).encode(), tmp_path, "item_name", "product_description")
    assert texts(rows) == [("Mug", "A mug, red."), ("Jug", "A jug, blue.")]
    assert tables.guess(tmp_path / "shop", {}).header_row == header_row


def test_a_first_column_without_a_name_is_no_title_row(tmp_path: Path) -> None:
    assert texts(read(b",text\nMug,A mug.\nJug,A jug.\n", tmp_path, "column (1)")) == [
        ("Mug", "A mug."),
        ("Jug", "A jug."),
    ]


def test_a_data_row_is_no_second_header() -> None:
    assert headers.find([["name", "text"], ["title", "A word."], ["name", "A thing."]]) == 0


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_entry_fixes_the_header_row(tmp_path: Path, form: str) -> None:
    rows = [["x", "y"], ["name", "text"], ["a", "b"], ["c", "d"]]
    content = write_sheets({"One": rows}) if form == "xlsx" else "\n".join(map(",".join, rows)).encode()
    assert texts(read(content, tmp_path, "a", "b", header_row=3)) == [("c", "d")]


INSTRUCTIONS = [["How to fill in this file"], ["Write one product a row."], ["Send it back."]]
PRODUCTS = [["Products"], [""], ["name", "text"], ["Mug", "A mug."], ["", ""], ["Jug", "A jug."]]


def test_the_sheet_with_the_products_is_read(tmp_path: Path) -> None:
    content = write_sheets({"Instructions": INSTRUCTIONS, "Catalogue": PRODUCTS})
    assert [row[2:4] for row in read(content, tmp_path)] == [("Mug", "A mug."), ("Jug", "A jug.")]
    layout = tables.guess(tmp_path / "shop", {})
    assert (layout.sheet, layout.header_row) == ("Catalogue", 3)
    assert str(layout) == "xlsx, sheet 'Catalogue', header in row 3"
    assert pickle.loads(pickle.dumps(layout)) == layout


def test_a_wide_sheet_of_definitions_is_not_the_one(tmp_path: Path) -> None:
    definitions = [["Field", "Label", "Definition", "Example"], *[["item_name", "Name", "A short name.", "Mug"]] * 20]
    content = write_sheets({"Data Definitions": definitions, "Template": PRODUCTS[2:]})
    assert [row.title for row in read(content, tmp_path)] == ["Mug", "Jug"]


def test_the_entry_fixes_the_sheet(tmp_path: Path) -> None:
    content = write_sheets({"Old": PRODUCTS[2:4], "New": PRODUCTS[2:]})
    assert [len(read(content, tmp_path, sheet=sheet)) for sheet in ("Old", "New")] == [1, 2]
    with pytest.raises(UserError, match="shop has no sheet 'Next'; its sheets are 'Old', 'New'"):
        read(content, tmp_path, sheet="Next")


def test_a_workbook_that_begins_with_empty_rows_is_read(tmp_path: Path) -> None:
    content = write_sheets({"One": [[""], [""], ["", "name", "text"], ["", "Mug", "A mug."]]})
    assert [(row.title, row.description) for row in read(content, tmp_path)] == [("Mug", "A mug.")]
