"""The benchmark of the data stages: both sides run, what they made is counted, and what a command takes is measured."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import data, make_catalogue
from copywriter.records import Product
from tests.conftest import ROOT
from tests.support import measure

ALLOCATE = "import sys, time; held = b'x' * int(sys.argv[1]); time.sleep(0.6)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ALLOCATE!r}, sys.argv[1]]); print('done')"


def test_both_sides_run_on_the_same_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.data", "--rows", "600", "--folder", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line]
    speed, stages, ours, theirs = (line for line in lines if line[0] == "600")
    assert len(speed) == 7
    assert len(stages) == 1 + len(data.STAGES)
    for side in (ours, theirs):
        clean, train, validation, test = (int(cell) for cell in side[2:6])
        assert clean == train + validation + test > 300
    assert sorted(file.name for file in tmp_path.iterdir()) == ["catalogue-600-42.json.gz"]


def test_from_fetch_to_retrieve_every_clean_row_is_used(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.data", "--retrieve", "--rows", "300", "600", "--folder", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line]
    assert lines[0] == ["rows", *data.RETRIEVE, "whole", "s per million rows"]
    clean, train = (int(cell) for cell in next(line for line in reversed(lines) if line[0] == "600")[1:3])
    assert clean > 300
    assert train == clean - 2 * round(clean * 0.1)
    assert "From 300 to 600 rows time grows as rows^" in done.stdout
    assert {file.name for file in tmp_path.iterdir()} == {f"catalogue-{rows}-42-tail.json.gz" for rows in (300, 600)}


def test_a_stage_out_of_memory_ends_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "run", lambda *_: measure.Run(3.0, 1, "", "out of memory"))
    with pytest.raises(SystemExit, match="fetch: out of memory after 3 s"):
        data.run_stages(data.RETRIEVE, tmp_path)


def test_the_second_try_reads_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "catalogue.json.gz"
    make_catalogue.write(file, 300, 1, 1)
    whole, tries = data.notebooks(file, tmp_path, mojibake=False), []

    def fails_first(command: list[str], folder: Path, variables: dict[str, str]) -> measure.Run:
        tries.append(command)
        return measure.Run(1.0, 1, "", "out of memory") if len(tries) == 1 else run(command, folder, variables)

    run = measure.run
    monkeypatch.setattr(measure, "run", fails_first)
    pieces = data.notebooks(file, tmp_path, mojibake=True)
    assert "out of memory after 1 s" in pieces.remark
    assert "--rows-at-once" in tries[1]
    assert (pieces.kept, pieces.rows) == (whole.kept, whole.rows)


@pytest.mark.parametrize(
    ("title", "description", "leaks"),
    [
        ("A Red Cup", "Another text.", 1),
        ("a red cup!", "Another text.", 1),  # the same words
        ("Another cup", "Holds  water", 1),
        ("A Red", "Cup holds water.", 0),
    ],
)
def test_a_test_row_leaks_by_its_title_or_its_description(title: str, description: str, leaks: int) -> None:
    assert data.leaked([Product("A Red Cup", "Holds water.")], [Product(title, description)]) == leaks


@pytest.mark.parametrize("script", [ALLOCATE, PARENT])
def test_the_peak_is_that_of_all_processes(script: str, tmp_path: Path) -> None:
    small, large = (measure.run(["-c", script, str(count)], tmp_path, {}) for count in (1, 200_000_000))
    assert 180_000_000 < large.peak_bytes - small.peak_bytes < 220_000_000
    assert large.seconds >= 0.6


def test_a_failed_command_raises_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such field"):
        measure.run(["-c", "raise ValueError('no such field')"], tmp_path, {})


def test_a_command_that_takes_all_memory_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=100_000_000))
    ended = measure.run(["-c", f"{ALLOCATE}; print('not reached')", "200000000"], tmp_path, {})
    assert "out of memory" in ended.failed
    assert "not reached" not in ended.printed
