"""The benchmark of writing: every side writes the same rows up to the same ends, and stands in the table."""

import subprocess
import sys
from pathlib import Path

from benchmarks.generate import WAYS
from tests.conftest import ROOT


def test_every_side_writes_the_same_tokens_and_one_that_fails_says_why(tmp_path: Path) -> None:
    sides = [side for side in WAYS if side != "continuous"]  # a minute on a CPU
    command = ["--tiny", "--prompts", "10", "--sides", *sides, "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.generate", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line]
    rows = lines[2:]
    assert len(rows) == len(sides)
    assert len({row[2] for row in rows}) == 1  # new tokens: a side that wrote others would have failed
    assert rows[-1][5] == "1.0 x"
    late = [*command[:3], "--sides", "ours", "--out", str(tmp_path), "--limit", "0.1"]
    failed = subprocess.run(
        [sys.executable, "-m", "benchmarks.generate", *late], cwd=ROOT, capture_output=True, text=True
    )
    assert "failed: not done within 0 s" in failed.stdout
