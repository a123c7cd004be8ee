"""The benchmark of exports: a row for each side, and the same likelihoods where the weights are the same."""

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import exports
from copywriter import paths
from copywriter.export import gguf_files, merged
from stages import evaluate, train_qlora
from tests.conftest import ROOT
from tests.generation.test_generate import prepare


def test_each_export_has_its_row_beside_the_adapters(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (room / "sources.yaml").write_bytes((ROOT / "sources.yaml").read_bytes())
    p: Any = prepare(room, epochs=3, learning_rate=0.02, decoding__max_new_tokens=12)
    train_qlora.run(p)
    evaluate.run("tuned", p)
    merged.write(paths.ADAPTER, Path("merged"), p)
    gguf_files.write(paths.ADAPTER, Path("gguf"), p)
    monkeypatch.setattr(sys, "argv", ["exports", "merged", "gguf", "--titles", "4"])
    capsys.readouterr()
    exports.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = {
        name.strip(): [cell.strip() for cell in cells] for name, *cells in (line[1:-1].split("|") for line in lines)
    }
    sides = [name for name in rows if name.startswith(("adapter", "merged", "F16", "Q8_0"))]
    assert len(sides) == 10
    nll = {name: float(rows[name][4]) for name in sides}
    assert all(value == pytest.approx(nll["adapter"], rel=0.01) for value in nll.values())
    assert nll["F16, greedy"] != nll["Q8_0, greedy"]
