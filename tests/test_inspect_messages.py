"""What inspect says about a file: each cause in its own sentence, and an entry only where rows would be kept."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from copywriter import inspect, paths, sources
from stages import fetch
from tests.support.exporters import EXPORTS
from tests.support.shop_files import write_sheets

ROWS = [(f"{color} mug", f"A {color.lower()} mug for tea. It is made of clay.") for color in ("Red", "Blue", "Grey")]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    Path("catalogues").mkdir()


class Said:
    """What the command printed on each stream, and its exit status."""

    def __init__(self, *arguments: str, content: str | bytes, name: str = "shop.csv") -> None:
        file = Path("catalogues") / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        words = [sys.executable, "-c", "from copywriter import inspect; inspect.main()", str(file), *arguments]
        root = Path(inspect.__file__).parent.parent
        done = subprocess.run(words, env={"PYTHONPATH": str(root)}, capture_output=True, text=True)
        self.out, self.error, self.status = done.stdout, done.stderr, done.returncode

    def entry(self) -> sources.File:
        (entry,) = yaml.safe_load(self.out.rpartition("sources.yaml:\n")[2]).values()
        return sources.File.model_validate(entry)


def table(header: str, *rows: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in (header, *(";".join(row) for row in rows)))


CAUSES: dict[str, tuple[str, str]] = {
    "a header alone": ("name;text\n", "shop.csv has no rows under its header"),
    "blank rows": ("name;text\n;\n;\n", "all 2 rows of shop.csv are empty"),
    "one column": ("name\nMug\nJug\n", "shop.csv has only one column, 'name', .* is there another --delimiter?"),
    "another delimiter": ("name^text\nMug^A mug.\n", "only one column, 'name.text'"),
    "no header": (
        table("Red cup;A red cup for tea.;4.00", *[(a, b, "5.00") for a, b in ROWS]),
        "shop.csv has no header: its first row is 'Red cup', 'A red cup for tea.', '4.00'; add a row",
    ),
    "broken quotes": ('name;text\n"a"b;"c"d\n"e"f;"g"h;"\n"i";"j"k\n', "none of the 2 rows .* broken quotes"),
    "numbers": ("name;text\n1;2\n3;4\n", "it has no column of titles and it has no column of descriptions"),
    "a vendor": (
        table("Title;Vendor;SKU", *[(f"{a} {n}", "Shop Ltd", f"S{n}") for n, (a, _) in enumerate(ROWS)]),
        "it has no column of descriptions .*; the columns hold codes, one value, short texts",
    ),
    "two descriptions": (
        table("name;first;second", *[(a, b, b.replace("tea", "milk")) for a, b in ROWS]),
        "which column is the description is not certain; give --description COLUMN",
    ),
    "no title": (table("text;n", *[(b, str(n)) for n, (_, b) in enumerate(ROWS)]), "no column of titles; give --title"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_each_cause_has_its_sentence_and_no_entry(name: str) -> None:
    content, message = CAUSES[name]
    said = Said(content=content)
    assert said.status == 1
    assert said.error.count("\n") == 1
    assert re.search(message, said.error), said.error
    assert "licence" not in said.out


def test_candidates_are_shown_with_a_sample_each() -> None:
    said = Said(content=CAUSES["two descriptions"][0])
    assert "title: name\n" in said.out
    assert "candidates for the description:\n" in said.out
    assert "  first: 3 (100.0%) filled, running text\n    A blue mug for tea." in said.out
    assert "  second: 3 (100.0%) filled, running text\n    A blue mug for milk." in said.out


def test_a_given_column_decides() -> None:
    said = Said("--description", "second", content=CAUSES["two descriptions"][0])
    assert (said.status, said.entry().description) == (0, "second")


def test_little_that_would_be_kept_prints_no_entry() -> None:
    said = Said("--description", "SKU", content=table("name;SKU;text", *[(a, "", b) for a, b in ROWS], ("x", "1", "y")))
    assert (said.status, "licence" in said.out) == (0, True)  # one of four
    said = Said("--description", "SKU", content=table("name;SKU;text", *[(a, ".", b) for a, b in ROWS]))
    assert said.status == 1
    assert "keep 0 of 3 rows of shop.csv, so no entry is printed; 3 are dropped for 'no description'" in said.error
    assert "licence" not in said.out


def test_shopifys_variants_are_explained() -> None:
    said = Said(content=EXPORTS["Shopify"].content)
    assert "rows without a title are variants and images of the product above" in said.out
    assert (said.status, said.entry().description) == (0, "Body (HTML)")


def test_few_rows_are_shown_once_each_and_empty_columns_listed() -> None:
    said = Said(content=table("name;nothing;text;", *[(a, "", b, "") for a, b in ROWS]))
    assert [said.out.count(f"\n  {title}\n") for title, _ in ROWS] == [1, 1, 1]
    assert "empty columns: nothing, column (4)" in said.out


def test_personal_data_is_a_warning() -> None:
    private = [
        ("Cup", "Ask ann@shop.example or call +351 912 345 678."),
        ("Pot", "Tel. 21 555 01 23 for more."),
    ]
    plain = [("Jug", "EAN 4006381333931, 200 x 300 x 400 mm, model 2024-06-01."), ("Box", "Made @home in 1999 - 2004.")]
    said = Said(content=table("name;text", *ROWS, *private, *plain))
    assert "warning: 1 rows to keep hold e-mail addresses, perhaps personal data" in said.out
    assert "warning: 2 rows to keep hold phone numbers" in said.out
    assert "warning" not in Said(content=table("name;text", *ROWS, *plain)).out


@pytest.mark.parametrize("column", ["description", "description.0", "description.1"])
def test_an_item_of_a_list_can_be_named(column: str) -> None:
    rows = [json.dumps({"title": title, "description": [text, f"{text} More."]}) for title, text in ROWS]
    said = Said("--description", column, content="\n".join(rows), name="shop.jsonl")
    assert (said.status, said.entry().description) == (0, column)
    (line,) = [line.split() for line in said.out.splitlines() if line.startswith(f"{column} ")]
    assert line[1] == "0%"  # of the rows are empty


def test_what_was_found_is_in_the_entry_and_fetch_takes_it() -> None:
    sheets = {"Instructions": [["Read this."]], "Mugs": [["My shop"], [""], ["name", "text"], *map(list, ROWS)]}
    said = Said(content=write_sheets(sheets), name="shop.xlsx")
    assert "its sheets are 'Instructions', 'Mugs'; --sheet reads another one" in said.out
    assert (said.entry().sheet, said.entry().header_row) == ("Mugs", 3)
    fetch.fetch("shop", said.entry(), Path("raw"))
    manifest = json.loads(Path("raw/manifest.json").read_text())
    assert (manifest["sheet"], manifest["header_row"]) == ("Mugs", 3)
    said = Said(content='name\ttext\n"Best" mug\tA mug for tea.\nJug\tA jug for milk.\n')
    assert said.entry().quoting == "none"


@pytest.mark.parametrize("words", [["--header-row", "2"], ["--quoting", "none", "--delimiter", ";"]])
def test_options_go_into_the_entry(words: list[str]) -> None:
    said = Said(*words, content=table("name;text", ("name", "text"), *ROWS))
    assert {words[0][2:].replace("-", "_"), "title"} <= said.entry().model_dump(exclude_none=True).keys()


BRANDS = ["Acme", "Bolt & Co", "off", "Cora"]
MANY = [(f"{a} {n}", f"{b} It has number {n}.", BRANDS[n % 4], str(n), n % 3) for n in range(40) for a, b in ROWS[:1]]
SHOP = table("name;text;Marke;SKU;colour [x]", *[(*row[:4], ("red", "dark blue", "")[row[4]]) for row in MANY])


def test_facts_are_proposed_with_a_sample_in_an_entry_that_works() -> None:
    said = Said(content=SHOP)
    assert "\n  Marke: Acme\n  colour=colour [x]: red\n" in said.out
    assert "    facts: [Marke, 'colour=colour [x]']" in said.out
    fetch.fetch("shop", said.entry(), Path("raw"))
    assert json.loads(Path("raw/manifest.json").read_text())["facts"] == [
        ["Marke", "Marke"],
        ["colour", "colour [x]"],
    ]


def test_facts_can_be_named_or_left_out() -> None:
    said = Said("--facts", "SKU", "brand=Marke", content=SHOP)
    assert said.entry().fact_columns == [("SKU", "SKU"), ("brand", "Marke")]
    assert "facts" not in Said("--facts", content=SHOP).out
    said = Said("--facts", "brand=marke", content=SHOP)
    assert said.status == 1
    assert (
        "no row has a value under 'marke'; the columns are 'name', 'text', 'Marke', 'SKU', 'colour [x]'" in said.error
    )
    assert "write NAME=COLUMN to give one" in Said("--facts", "Marke", "marke=SKU", content=SHOP).error


def test_a_file_without_facts_has_the_entry_as_before() -> None:
    assert "facts" not in Said(content=table("name;text;SKU", *[(a, b, str(n)) for n, (a, b) in enumerate(ROWS)])).out


def test_a_pinned_entry_keeps_its_facts_and_a_wrong_one_is_named() -> None:
    page = Path("sources.yaml")
    page.write_text((Path(inspect.__file__).parent.parent / "sources.yaml").read_text())
    assert "shop: added to sources.yaml" in Said("--facts", "brand=Marke", "--pin", content=SHOP).out
    assert "shop: renewed in sources.yaml" in Said("--pin", content=SHOP + "Mug 99;A new mug.;Acme;99;red\n").out
    assert sources.load(page).datasets["shop"].fact_columns == [("brand", "Marke")]
    said = Said(content=SHOP).out
    assert "the entry shop of sources.yaml gives title, description, facts; options replace them" in said
    assert "facts: [brand=Marke]" in said
    assert "facts" not in Said("--facts", content=SHOP).out.partition("options replace them")[2]
    assert "has facts: brand=Marke, not none" in Said("--facts", "--pin", content=SHOP).error
    page.write_text(page.read_text().replace("brand=Marke", "brand=Mark"))
    assert (
        "no row has a value under 'Mark'; the columns are 'name', 'text', 'Marke'" in Said("--pin", content=SHOP).error
    )
