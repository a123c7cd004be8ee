"""The folder catalogues/ through DVC itself: an edit is noticed wherever it is made, and what did not change stays."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from copywriter import files
from tests.conftest import ROOT
from tests.test_pipeline import Checkout, ran

BODY = "name;text\nRed mug;Of clay.\n"
EDITED = BODY + "Blue mug;Of tin.\n"
PIN = "python -m copywriter.inspect catalogues/shop.csv --pin shop"
UP_TO_DATE = "Data and pipelines are up to date"


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which fetch and clean have run on the file catalogues/shop.csv."""
    place = tmp_path_factory.mktemp("catalogues")
    made = Checkout(place / "copy", place / "runs")
    shop = made.folder / "catalogues/shop.csv"
    shop.write_text(BODY)
    fields = {"title": "name", "description": "text", "licence": "none"}
    entry = {"kind": "file", "path": "catalogues/shop.csv", "sha256": files.sha256(shop), **fields}
    (made.folder / "sources.yaml").write_text(yaml.safe_dump({"datasets": {"shop": entry}, "models": {}}))
    content = yaml.safe_load((made.folder / "params.yaml").read_text()) | {"dataset": "shop"}
    (made.folder / "params.yaml").write_text(yaml.safe_dump(content))
    stages = yaml.safe_load((made.folder / "dvc.yaml").read_text())["stages"]
    kept = {"stages": {name: stages[name] for name in ("fetch", "clean")}}
    (made.folder / "dvc.yaml").write_text(yaml.safe_dump(kept))
    (made.folder / "dvc.lock").unlink(missing_ok=True)
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "start")
    made.dvc("repro", "clean")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "run")
    return made


@pytest.fixture
def checkout(pinned: Checkout) -> Iterator[Checkout]:
    """The same for every test: what it changed is taken back."""
    yield pinned
    for file in (pinned.folder / "catalogues").iterdir():
        file.unlink()
    pinned.git("checkout", "-q", ".")
    pinned.dvc("checkout", "-q", "--force")
    (pinned.folder / "catalogues/shop.csv").write_text(BODY)


def test_git_takes_nothing_but_the_readme() -> None:
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "catalogues"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert listed.split() == ["catalogues/README.md"]


def test_an_unchanged_file_is_up_to_date(checkout: Checkout) -> None:
    assert UP_TO_DATE in checkout.dvc("repro", "clean")
    assert UP_TO_DATE in checkout.dvc("status", "clean")
    assert checkout.git("status", "--porcelain") == ""


@pytest.mark.parametrize("linked", [False, True])
def test_an_edit_stops_the_run_until_it_is_pinned(checkout: Checkout, linked: bool, tmp_path: Path) -> None:
    file = checkout.folder / "catalogues/shop.csv"
    if linked:
        file.rename(tmp_path / "shop.csv")
        file.symlink_to(tmp_path / "shop.csv")
        assert UP_TO_DATE in checkout.dvc("repro", "clean")
        file = tmp_path / "shop.csv"
    edited = BODY + f"Blue mug;Of tin, a link: {linked}.\n"  # else the run cache would have it the second time
    file.write_text(edited)
    assert "catalogues" in checkout.dvc("status", "fetch")
    said = checkout.fails(sys.executable, "-m", "dvc", "repro", "clean")
    assert "catalogues/shop.csv has SHA-256" in said
    assert f"bring the old one back, or type '{PIN}' if the change is meant" in said
    checkout.run(*PIN.split())
    assert ran(checkout.dvc("repro", "clean")) == ["fetch", "clean"]
    assert (checkout.folder / "data/raw/shop.csv").read_text() == edited
    assert checkout.json("metrics/clean_counts.json")["kept"] == 2


def test_an_experiment_in_its_own_folder_notices_an_edited_file(checkout: Checkout) -> None:
    first = checkout.dvc("exp", "run", "--temp", "-n", "one", "-S", "clean.max_malformed=0.5", "clean")
    assert ran(first) == ["fetch", "clean"]
    assert "path: catalogues" in checkout.experiment("one", "dvc.lock")
    (checkout.folder / "catalogues/shop.csv").write_text(EDITED)
    for _ in range(2):  # DVC must not take the second for the first
        assert PIN in checkout.fails(sys.executable, "-m", "dvc", "exp", "run", "--temp", "clean")
    assert (checkout.folder / "catalogues/shop.csv").read_text() == EDITED


def test_an_applied_experiment_is_up_to_date(checkout: Checkout) -> None:
    checkout.dvc("exp", "run", "--temp", "-n", "two", "-S", "clean.max_malformed=0.4", "clean")
    checkout.dvc("exp", "apply", "two")
    assert UP_TO_DATE in checkout.dvc("repro", "clean")


def test_another_file_beside_it_runs_fetch_alone(checkout: Checkout) -> None:
    (checkout.folder / "catalogues/other.csv").write_text(EDITED)
    assert ran(checkout.dvc("repro", "clean")) == ["fetch"]
    assert (checkout.folder / "data/raw/shop.csv").read_text() == BODY


def test_a_missing_file_is_named(checkout: Checkout) -> None:
    (checkout.folder / "catalogues/shop.csv").unlink()
    said = checkout.fails(sys.executable, "-m", "dvc", "repro", "fetch")
    assert "data set shop is at catalogues/shop.csv in sources.yaml, but there is no such file; bring it there" in said
