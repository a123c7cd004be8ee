"""The start benchmark: DVC runs the stage to its first step, and every second belongs to one part."""

import sys
import time
from pathlib import Path

import pytest

from benchmarks import start, startup_trace
from tests.stress import kill
from tests.support import tiny


def test_seconds_of_a_nested_part_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0, 15.0, 16.0, 20.0])
    monkeypatch.setattr(startup_trace, "_STARTED", 9.0)
    found = startup_trace.Spans()
    monkeypatch.setattr(time, "time", lambda: next(clock))
    with found.within("outer"), found.within("inner"):
        pass
    found.count()
    assert found.seconds == {"everything else": 1.0 + 4.0, "outer": 2.0 + 1.0, "inner": 3.0}


def test_every_traced_function_exists() -> None:
    found = startup_trace.Spans()
    for name, places in startup_trace._TRACED.items():
        for place in places:
            owner, last = startup_trace.resolve(place)
            assert callable(getattr(owner, last)), name
    assert found.seconds == {}


def test_the_stage_runs_to_its_first_step_cold_and_warm(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room = tiny.room(tmp_path / "room", tiny_base, kill.SMALL, 60)
    monkeypatch.chdir(room)
    monkeypatch.setattr(sys, "argv", ["start"])
    runs: dict[str, dict[str, float]] = {}
    table = start.table
    monkeypatch.setattr(start, "table", lambda found: table(runs.update(found) or found))
    start.main()
    printed = capsys.readouterr().out
    cells = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in printed.splitlines()]
    seconds = {
        row[0]: [float(one) for one in row[1:]] for row in cells[3:]
    }  # below the caption and the head of the table
    for run in (0, 1):
        parts = sum(of[run] for name, of in seconds.items() if name not in ("in all", "target"))
        assert parts == pytest.approx(seconds["in all"][run], abs=0.05 * len(seconds) + 1)
    assert {"import torch", "DVC and Python's start", "target"} <= seconds.keys()
    assert all("the first batch's gradients" in found for found in runs.values())  # too short for a line of the table
    assert not (room / "runs").exists()  # the user's own state is not touched
