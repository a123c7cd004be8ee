"""The run that this repository holds: what README says of it, and what lies in the remote `adapters`, are its own."""

import hashlib
import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from copywriter import paths
from copywriter.evaluation import scores as named
from copywriter.evaluation.verdict import number
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
REMOTE = ROOT / "adapters" / "files" / "md5"
KEYS = {title: key for key, title in named.NAMES.items()}
CELLS = [
    [cell.strip(" *") for cell in line.strip("| \n").split("|")] for line in README.splitlines() if line[:2] == "| "
]
COLUMNS = [KEYS[title] for title in next(cells[1:] for cells in CELLS if set(cells[1:]) <= KEYS.keys())]
ROWS = {"base": "practice catalogue", "tuned": "tuned", "nearest": "the nearest training title's text"}


def scores(side: str) -> Any:
    return json.loads((ROOT / paths.scores(side)).read_text(encoding="utf-8"))


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def commits() -> list[str]:
    """The two that README compares."""
    (found,) = re.findall(r"dvc metrics diff (\w{7}) (\w{7}) --targets metrics/tuned.json", README)
    for one in found:
        if subprocess.run(["git", "cat-file", "-e", f"{one}^{{commit}}"], cwd=ROOT, capture_output=True).returncode:
            pytest.skip("a clone without history")
    return list(found)


def test_readmes_table_is_what_metrics_hold() -> None:
    (first,) = (number for number, cells in enumerate(CELLS) if cells[0].startswith(ROWS["base"]))
    for cells, (side, name) in zip(CELLS[first:], ROWS.items(), strict=False):
        assert cells[0].startswith(name)
        found = scores(side)
        expected = [number(key, found[key]) if key in found else "" for key in COLUMNS]
        assert [*cells[1:], ""][: len(COLUMNS)] == expected, side


def test_the_two_commits_hold_base_and_tuned() -> None:
    base, tuned = commits()
    assert yaml.safe_load(git("show", f"{base}:params.yaml")) == yaml.safe_load(git("show", f"{tuned}:params.yaml")) | {
        "epochs": 0
    }
    assert git("show", f"{base}:metrics/tuned.json") == git("show", f"{tuned}:metrics/base.json")
    assert git("show", f"{tuned}:metrics/tuned.json") == (ROOT / "metrics/tuned.json").read_text(encoding="utf-8")


def test_dvc_metrics_diff_prints_both() -> None:
    base, tuned = commits()
    command = ["metrics", "diff", base, tuned, "--targets", "metrics/tuned.json", "--json"]
    done = subprocess.run([sys.executable, "-m", "dvc", *command], cwd=ROOT, capture_output=True, text=True, check=True)
    change = json.loads(done.stdout)["metrics/tuned.json"]
    for one in COLUMNS:
        assert (change[one]["old"], change[one]["new"]) == (scores("base")[one], scores("tuned")[one])


def test_the_demo_remote_holds_the_adapter_and_the_texts_and_nothing_else() -> None:
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    outs = {out["path"]: out["md5"] for entry in lock.values() for out in entry["outs"]}
    wanted = {outs[path] for path in ("models/adapter", *(str(paths.predictions(one)) for one in ("base", "tuned")))}
    folder = json.loads((REMOTE / outs["models/adapter"][:2] / outs["models/adapter"][2:]).read_text())
    wanted |= {file["md5"] for file in folder}
    objects = {file: file.parent.name + file.name for file in REMOTE.rglob("*") if file.is_file()}
    assert set(objects.values()) == wanted
    for file, name in objects.items():
        assert hashlib.md5(file.read_bytes()).hexdigest() == name.removesuffix(".dir")
