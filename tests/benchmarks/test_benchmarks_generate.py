"""The generation benchmark: all sides write the same number of tokens, and the table has a row for each."""

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import generate


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What `python -m benchmarks.generate` prints."""
    monkeypatch.setattr(sys, "argv", ["generate", *words])
    generate.main()
    return capsys.readouterr().out


def test_all_sides_write_the_same_tokens_and_a_failure_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_process = generate.measure_in_process

    def here(side: str, options: argparse.Namespace, weights: Path) -> dict[str, Any]:
        if side == "ours":  # one process: each would import torch again
            return in_process(side, options, weights)
        return generate.measure(side, options.shape, weights, options.prompts, options.tiny)

    monkeypatch.setattr(generate, "measure_in_process", here)
    sides = [side for side in generate.WAYS if side != "continuous"]  # a minute on a CPU
    command = ["--tiny", "--prompts", "10", "--sides", *sides, "--out", str(tmp_path)]
    printed = run(monkeypatch, capsys, *command)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if "|" in line]
    rows = lines[2:]
    assert len(rows) == len(sides)
    assert len({row[2] for row in rows}) == 1  # new tokens
    assert rows[-1][5] == "1.0 x"
    late = [*command[:3], "--sides", "ours", "--out", str(tmp_path), "--limit", "0.1"]
    assert "failed: not done within 0 s" in run(monkeypatch, capsys, *late)
