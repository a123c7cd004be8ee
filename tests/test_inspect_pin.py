"""Entries that inspect prints or writes work under any name, mistakes are named, and the rest of sources.yaml stays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from copywriter import files, inspect, sources
from copywriter.errors import UserError
from copywriter.reading import pins
from stages import fetch
from tests.conftest import ROOT
from tests.support.inspected import CSV, SHOP, printed
from tests.support.inspected import folder as folder

PAGE = """\
# My sources.
datasets:   # mine
  other:                      # a comment that stays
    kind: file
    path: catalogues/other.csv
    title: name
    description: text
    licence: mine

  shop:
    kind: file
    path: catalogues/shop.csv # where it lies
    sha256: "{pin}"   # pinned
    title: name
    description: text
    licence: mine

  # an example:
  #   sha256: "..."
models: {{}}
"""
OLD = "0" * 64
ENTRY_OF_ANOTHER = "  another: {kind: file, path: catalogues/x.csv, title: a, description: b, licence: mine}\n"
ENTRY = {"kind": "file", "path": str(SHOP), "title": "name", "description": "text", "licence": "mine"}


def test_a_pin_is_renewed_in_place_and_comments_stay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("sources.yaml").write_text(PAGE.format(pin=OLD))
    printed(str(SHOP), "--pin", "shop", monkeypatch=monkeypatch, capsys=capsys)
    assert Path("sources.yaml").read_text() == PAGE.format(pin=files.sha256(SHOP))
    fetch.fetch("shop", sources.load().datasets["shop"], Path("data/raw"))
    again = printed(str(SHOP), "--pin", monkeypatch=monkeypatch, capsys=capsys)
    assert "shop: unchanged in sources.yaml" in again
    Path("catalogues/other.csv").write_text(CSV)
    # Without a name it is the entry that names the file; it had no pin.
    printed("catalogues/other.csv", "--pin", monkeypatch=monkeypatch, capsys=capsys)
    assert sources.load().datasets["other"].sha256 == files.sha256(Path("catalogues/other.csv"))


@pytest.mark.parametrize("page", ["datasets:\nmodels:\n", (ROOT / "sources.yaml").read_text()])
def test_a_new_entry_is_added_and_the_rest_stays(page: str, tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(page.replace("datasets:\nmodels:\n", PAGE.format(pin=OLD)))
    before = file.read_text()
    entry = ENTRY | {"path": "új: #1.csv", "sha256": OLD, "title": "no", "description": "1.5"}
    pins.renew(file, "my-shop", entry)
    after = sources.load(file).datasets["my-shop"]
    assert isinstance(after, sources.File)
    assert (str(after.path), after.title, after.description) == ("új: #1.csv", "no", "1.5")
    assert set(before.splitlines()) <= set(file.read_text().splitlines())


@pytest.mark.parametrize("sha256", [OLD, "1" * 64])
def test_a_page_of_another_layout_is_left_alone(sha256: str) -> None:
    page = json.dumps(yaml.safe_load(PAGE.format(pin=OLD)))
    Path("sources.yaml").write_text(page)
    with pytest.raises(UserError, match="could not be edited by a program; put the entry above into it by hand"):
        pins.renew(Path("sources.yaml"), "shop", {**ENTRY, "sha256": sha256})
    assert Path("sources.yaml").read_text() == page


@pytest.mark.parametrize(
    ("file", "name"),
    [("../My Shop/Products 2026.csv.gz", "products-2026"), ("s3://b/a_b.jsonl", "a-b"), ("商品.csv", "my-shop")],
)
def test_names_for_files(file: str, name: str) -> None:
    assert pins.name_for_file(file) == name


NAMES = [
    "off",
    "no",
    "on",
    "true",
    "null",
    "2024",
    "012",
    "1e5",
    "2024-06-01",
    "0x1f",
    "NaN",
    "My.Shop",
    "Caf\xe9 2",
    "-a-",
    "y",
]


@pytest.mark.parametrize("wanted", NAMES)
def test_a_pasted_entry_works_whatever_its_name(
    wanted: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dvc.parsing.context import Context
    from dvc.utils.hydra import apply_overrides
    from dvc.utils.serialize import load_yaml

    SHOP.rename(f"catalogues/{wanted}.csv")
    text = printed(f"catalogues/{wanted}.csv", monkeypatch=monkeypatch, capsys=capsys)
    name = text.rpartition("sources.yaml:\n")[2].split(":")[0].strip()
    Path("sources.yaml").write_text("datasets:\n" + text.rpartition("sources.yaml:\n")[2] + "models: {}\n")
    assert list(sources.load().datasets) == [name]
    Path("params.yaml").write_text("dataset: other\n")
    apply_overrides(Path("params.yaml"), [f"dataset={name}"])  # what `dvc exp run -S` does
    context = Context(load_yaml("params.yaml"))
    assert yaml.safe_load(Path("params.yaml").read_text()) == {"dataset": name}
    assert context.resolve("datasets.${dataset}") == f"datasets.{name}"
    assert list(load_yaml("sources.yaml")["datasets"]) == [name]


def test_a_name_that_is_asked_for_is_mended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("sources.yaml").write_text("datasets:\nmodels: {}\n".replace("datasets:\n", "datasets:\n" + ENTRY_OF_ANOTHER))
    text = printed(str(SHOP), "--pin", "My.Shop", monkeypatch=monkeypatch, capsys=capsys)
    assert "The entry is called my-shop: names are lower-case letters" in text
    assert "my-shop" in sources.load().datasets
    assert "unchanged" in printed(str(SHOP), "--pin", "My.Shop", monkeypatch=monkeypatch, capsys=capsys)


@pytest.mark.parametrize("column", ["Long\ntext", "a: b", "yes", "012", "#1", "{{x}}", "\u200btext", "- x"])
def test_a_column_of_any_name_is_pasted(
    column: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"name": f"Cup {number}", column: f"A cup for {number} people."} for number in range(5)]
    Path("catalogues/a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = printed("catalogues/a.jsonl", "--description", column, monkeypatch=monkeypatch, capsys=capsys)
    entry = sources.File.model_validate(yaml.safe_load(text.rpartition("sources.yaml:\n")[2])["a"])
    assert entry.description == column


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.csv"], "there is no file gone.csv"),
        (["empty.csv"], "empty.csv is empty"),
        ([str(SHOP), "--title", "nome"], "no row has a text under 'nome'; the columns are 'id', 'name', 'text'"),
        ([str(SHOP), "--pin", "other"], "other of sources.yaml has path: catalogues/other.csv, not catalogues"),
        ([str(SHOP), "--pin", "shop", "--title", "id"], "shop of sources.yaml has title: name, not id, and"),
        (["../shop.csv", "--pin"], "../shop.csv is not in catalogues/, the folder whose edits DVC notices; move it"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.csv").touch()
    Path("../shop.csv").write_text(CSV)
    Path("sources.yaml").write_text(PAGE.format(pin=OLD))
    monkeypatch.setattr(sys, "argv", ["inspect", *arguments])
    with pytest.raises(SystemExit):
        inspect.main()
    assert message in capsys.readouterr().err


def test_who_reads_a_few_lines_only_gets_no_error_and_the_pin_is_written() -> None:
    Path("sources.yaml").write_text(PAGE.format(pin=OLD))
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` has done when it has seen enough
    done = subprocess.run(
        [sys.executable, "-m", "copywriter.inspect", str(SHOP), "--pin", "shop"],
        env={"PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("sources.yaml").read_text() == PAGE.format(pin=files.sha256(SHOP))
