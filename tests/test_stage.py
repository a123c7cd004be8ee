"""A stage's clock: it counts what the user waits for, from the process's start."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from copywriter import stage
from tests.conftest import ROOT

IMPORTING = 0.4  # seconds, in place of a library's import
TICK = 0.02  # the kernel rounds a start down to a hundredth of a second, and the timing is rounded too
HIDDEN = "Path.read_text = lambda *given: (_ for _ in ()).throw(FileNotFoundError())"  # as where there is no /proc


def timed(folder: Path, before: str) -> tuple[float, float, str]:
    """Seconds that a stage noted of itself and that its starter waited, and what it said."""
    script = f"import time; time.sleep({IMPORTING}); from copywriter import stage; from pathlib import Path\n"
    script += f"{before}\nstage.run('slow', lambda: 'worked')"
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "COPYWRITER_RUNS": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    waited = time.perf_counter() - begun
    noted = json.loads((folder / "timings.json").read_text())["slow"]["seconds"]
    return noted, waited, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports when a process began")
def test_the_clock_starts_with_the_process_not_after_its_imports(tmp_path: Path) -> None:
    noted, waited, said = timed(tmp_path, before="")
    assert IMPORTING <= noted <= waited + TICK
    assert re.search(r"slow: worked \([\d.]+ s, peak", said)


def test_where_the_start_is_hidden_it_counts_from_the_import(tmp_path: Path) -> None:
    noted, waited, said = timed(tmp_path, before=HIDDEN)
    assert 0 <= noted <= waited - IMPORTING
    assert re.search(r"slow: worked \([\d.]+ s after imports, peak", said)


def test_two_readings_differ_by_the_time_between_them() -> None:
    before, first = time.perf_counter(), stage.running()[0]
    time.sleep(0.05)
    second, after = stage.running()[0], time.perf_counter()
    assert 0.05 <= second - first <= after - before
