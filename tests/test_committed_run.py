"""The committed run: README's table equals metrics/*.json, and the remote `adapters` contains exactly its files."""

import hashlib
import json
import re
import subprocess
import sys
from itertools import takewhile
from typing import Any

import pytest
import yaml

from copywriter import paths
from copywriter.evaluation import scores as named
from copywriter.evaluation.verdict import number
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
REMOTE = ROOT / "adapters" / "files" / "md5"
HEADER = "practice catalogue, 4-bit, 3 epochs"
ROWS = {"base": "base", "tuned": "tuned", "nearest": "nearest-neighbour baseline"}
KEYS = {title: key for key, title in named.NAMES.items()}
COLUMNS = [KEYS[title] for title in re.findall(rf"^\| {HEADER} \| (.+) \|$", README, re.M)[0].split(" | ")]


def scores(side: str) -> Any:
    return json.loads((ROOT / paths.scores(side)).read_text(encoding="utf-8"))


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def commits() -> list[str]:
    """The two commits that README compares."""
    (found,) = re.findall(r"dvc metrics diff (\w{7}) (\w{7}) --targets metrics/tuned.json", README)
    for one in found:
        if subprocess.run(["git", "cat-file", "-e", f"{one}^{{commit}}"], cwd=ROOT, capture_output=True).returncode:
            pytest.skip("a clone without history")
    return list(found)


def table(header: str) -> dict[str, list[str]]:
    """README's table whose first heading is `header`: a row's name -> its other cells, without emphasis."""
    lines = README.splitlines()
    (first,) = (number for number, line in enumerate(lines) if line.startswith(f"| {header} |"))
    rows = takewhile(lambda line: line.startswith("|"), lines[first + 2 :])
    cells = [[cell.strip(" *") for cell in row.strip("|").split("|")] for row in rows]
    return {name: others for name, *others in cells}


def test_readmes_table_equals_the_metrics_files() -> None:
    found = table(HEADER)
    assert list(found) == list(ROWS.values())
    for side, name in ROWS.items():
        measured = scores(side)
        assert found[name] == [number(key, measured[key]) if key in measured else "" for key in COLUMNS], side


def test_the_two_commits_hold_base_and_tuned() -> None:
    base, tuned = commits()
    assert yaml.safe_load(git("show", f"{base}:params.yaml")) == yaml.safe_load(git("show", f"{tuned}:params.yaml")) | {
        "epochs": 0
    }
    assert git("show", f"{base}:metrics/tuned.json") == git("show", f"{tuned}:metrics/base.json")
    # The scores of that commit are those of today; a metric that was added since has no value there.
    then, now = (
        json.loads(git("show", f"{tuned}:metrics/tuned.json")),
        json.loads((ROOT / "metrics/tuned.json").read_text()),
    )
    assert then == {key: now.get(key) for key in then}


def test_dvc_metrics_diff_prints_both() -> None:
    base, tuned = commits()
    command = ["metrics", "diff", base, tuned, "--targets", "metrics/tuned.json", "--json"]
    done = subprocess.run([sys.executable, "-m", "dvc", *command], cwd=ROOT, capture_output=True, text=True, check=True)
    change = json.loads(done.stdout)["metrics/tuned.json"]
    for one in COLUMNS:
        assert (change[one]["old"], change[one]["new"]) == (scores("base")[one], scores("tuned")[one])


def test_the_demo_remote_holds_the_adapter_and_nothing_else() -> None:
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    outs = {out["path"]: out["md5"] for entry in lock.values() for out in entry["outs"]}
    folder = json.loads((REMOTE / outs["models/adapter"][:2] / outs["models/adapter"][2:]).read_text())
    wanted = {outs["models/adapter"], *(file["md5"] for file in folder)}
    objects = {file: file.parent.name + file.name for file in REMOTE.rglob("*") if file.is_file()}
    assert set(objects.values()) == wanted
    for file, name in objects.items():
        assert hashlib.md5(file.read_bytes()).hexdigest() == name.removesuffix(".dir")
