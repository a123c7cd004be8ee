"""inspect describes a file correctly, and fetch accepts the entry that inspect prints."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from copywriter import files, sources
from copywriter.reading import profile, tables
from stages import fetch
from tests.conftest import ROOT
from tests.support.inspected import CSV, ROWS, SHOP, printed
from tests.support.inspected import folder as folder


def test_a_file_is_described(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(str(SHOP), monkeypatch=monkeypatch, capsys=capsys)
    for line in [
        f"shop.csv: csv, utf-8, semicolon, {len(CSV)} bytes, 8 rows, all looked at",
        "title: name    description: text",
        "clean would keep 2 (25.0%) of the 8 rows looked at",
        "no title",
        "no description",
        "description repeats title",
        "duplicate pair",
        "duplicate title",
        "wrong number of fields: shop.csv line 9 (4 fields, header has 3): '7;Cup;a;b'",
        "by the rule entities",
    ]:
        assert line in text
    assert "Ten litres.Made of steel" in text
    entry = yaml.safe_load(text.rpartition("sources.yaml:\n")[2])["shop"]
    file = sources.File.model_validate(entry)
    assert file.sha256 == files.sha256(SHOP)
    fetch.fetch("shop", file, Path("data/raw"))
    assert (Path("data/raw") / "shop.csv").read_text() == CSV


def test_a_file_elsewhere_is_described_with_the_way_to_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    SHOP.rename("../my shop.csv")
    text = printed("../my shop.csv", monkeypatch=monkeypatch, capsys=capsys)
    subprocess.run(text.partition("or type `")[2].partition("`")[0], shell=True, check=True)
    entry = yaml.safe_load(text.rpartition("sources.yaml:\n")[2])["my-shop"]
    fetch.fetch("my-shop", sources.File.model_validate(entry), Path("data/raw"))
    assert (Path("data/raw") / "my shop.csv").read_text() == CSV


def test_counts_are_those_of_the_rows() -> None:
    sample = profile.draw(SHOP, {})
    rows, columns = profile.columns(sample)
    verdict = profile.judge(sample, "name", "text")
    assert rows == len(ROWS) + 1 == verdict.kept + verdict.dropped.total()
    assert len(columns["name"].lengths) == 6
    assert len(columns["text"].lengths) == 6
    assert columns["name"].percentile(1) == len("Blue bucket")
    assert set(verdict.dropped.values()) == {1}
    assert set(verdict.dropped) == {
        *("no title", "no description", "description repeats title"),
        *("duplicate pair", "duplicate title", "wrong number of fields"),
    }


def test_of_a_large_file_a_sample_from_all_over_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "SAMPLE_ROWS", 100)
    monkeypatch.setattr(tables, "ROWS_PER_CHUNK", 10)
    Path("large.csv").write_text("name,text\n" + "".join(f"Cup {n},A cup\n" for n in range(1_000)))
    samples = [profile.draw(Path("large.csv"), {}) for _ in range(2)]
    assert samples[0] == samples[1]
    assert (samples[0].rows, samples[0].whole, len(samples[0].chunks)) == (1_000, False, 10)
    numbers = [row.number for chunk in samples[0].chunks for row in tables.rows(chunk, "name", "text")]
    assert numbers == sorted(numbers)
    assert min(numbers) < 500 < max(numbers)


def test_a_member_of_an_archive_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile("catalogues/shop.zip", "w") as archive:
        archive.writestr("a/shop.csv", CSV)
        archive.writestr("b.txt", "")
    text = printed("catalogues/shop.zip", "--member", "a/shop.csv", monkeypatch=monkeypatch, capsys=capsys)
    assert "    member: a/shop.csv" in text
    fetch.fetch("shop", sources.File(**yaml.safe_load(text.rpartition("sources.yaml:\n")[2])["shop"]), Path("data/raw"))
    assert json.loads(Path("data/raw/manifest.json").read_text())["files"].keys() == {"shop.csv"}


def test_the_command_runs_anywhere_and_imports_no_torch() -> None:
    code = """if True:
        import runpy, sys
        sys.argv = ["inspect", "catalogues/shop.csv"]
        runpy.run_module("copywriter.inspect", run_name="__main__")
        sys.exit("torch" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "title: name" in done.stdout
