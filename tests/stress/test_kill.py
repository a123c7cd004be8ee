"""The harness that kills runs: a few of its points in a run of each kind, and that it notices what differs."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from copywriter import paths
from tests.conftest import ROOT
from tests.stress import kill
from tests.support import tiny, trial


def test_points_hit_every_kind_once_and_spread_over_the_steps() -> None:
    counts = dict.fromkeys((*kill._ONCE, *kill._OFTEN), 1) | {
        "step": 101,
        "file": 12,
        "half a file": 12,
        "gradient": 101,
    }
    chosen = kill.points(counts, 40)
    assert len(chosen) == len(set(chosen)) == 40
    assert {event for event, _ in chosen} == {*kill._ONCE, *kill._OFTEN, "step"}
    steps = [number for event, number in chosen if event == "step"]
    assert steps[0] == 1
    assert steps[-1] == 101
    assert max(b - a for a, b in pairwise(steps)) <= 6


@pytest.mark.parametrize(("mode", "points"), [("4bit packed x4", "16"), (kill.DVC, "2")])
def test_a_killed_and_repeated_run_ends_in_the_same_bits(tmp_path: Path, mode: str, points: str) -> None:
    log = tmp_path / "log"
    options = ["--points", points, "--modes", mode, "--rows", "80", "--jobs", "2", "--log", str(log)]
    command = [sys.executable, "-m", "tests.stress.kill", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr + log.read_text()[-3000:]
    assert done.stdout.count(": equal") == int(points)
    assert "DIFFERENT" not in done.stdout


def test_what_differs_is_shown() -> None:
    table = {"4bit": {("file", 1): "", ("file", 2): "DIFFERENT: weights", ("end", 1): ""}, "none": {("end", 1): ""}}
    assert kill.summary(table).splitlines()[2:] == ["| 4bit | 1 of 2 DIFFERENT | 1 equal |", "| none |  | 1 equal |"]


def test_a_working_folder_refuses_a_key_that_params_lack(tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(ValueError, match=r"no schedule\.decoy"):
        tiny.room(tmp_path / "room", tiny_base, {"schedule.decoy": 1}, 8)


@pytest.mark.parametrize("quantization", ["4bit", "8bit", "none"])
def test_one_and_two_threads_give_equal_bits(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, quantization: str
) -> None:
    monkeypatch.chdir(tiny.room(tmp_path / "room", tiny_base, kill.SMALL, 40))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("COPYWRITER_RUNS", str(tmp_path / "runs"))
    found = [
        trial.train_in_process({"quantization": quantization}, 4, OMP_NUM_THREADS=threads) for threads in ("1", "2")
    ]
    assert found[0]["steps"] == 4
    for one in found:
        del one["tokens_per_second"]
    assert found[0] == found[1]
    assert not (paths.ADAPTER).exists()
