"""The benchmark of training on a toy shape: every side trains the same rows, and the table says all it promises."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks import sides, synthetic, train
from benchmarks.sides import BATCH, MAX_LENGTH, MAX_PROMPT, SEED, SIDES, Job
from tests.support import shapes
from tests.support.toy_job import toy_job

PUBLISHED = {
    "llama-3.2-1b": 1_235_814_400,
    "tinyllama-1.1b": 1_100_048_384,
    "smollm2-135m": 134_515_008,
    "gemma-3-1b": 999_885_952,
}
TRIED = ["notebook", "trl-packing-4bit", "ours-4bit"]


def test_all_sides_train_the_same_tokens_and_are_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_this_process(module: str, given: Job, log: Path, limit: float, *more: Any) -> dict[str, Any]:
        importlib.import_module(module).run(given)
        return dict(json.loads(given.result.read_text()))

    monkeypatch.setattr(train, "run_job", in_this_process)  # a process each would import torch four times
    given = ["--tiny", "--shapes", "smollm2-135m", "--rows", "18", "--steps", "3", "--warmup", "1"]
    train.main([*given, "--sides", *TRIED, "--out", str(tmp_path)])
    run = json.loads((tmp_path / "results.json").read_text())
    facts = run["shapes"]["smollm2-135m"]
    assert facts["tokens"] == sum(len(row.input_ids) for row in synthetic.draw(18, 500, SEED))
    assert [result["side"] for result in run["results"]] == TRIED
    for result in run["results"]:
        assert result["epoch_tokens"] == facts["tokens"], result["side"]
        assert result["steps"] == 3
        assert result["tokens"] == pytest.approx(result["rate"] * result["seconds"])
        assert sum(result["parts_ms"].values()) > 0
        assert {"data", "optimizer", "between"} < set(result["parts_ms"])
        assert (tmp_path / f"smollm2-135m-{result['side']}-kernels.txt").read_text().count("\n") == 13
    notebook, trl, ours = run["results"]
    assert notebook["padding"] > 0.5
    assert trl["padding"] == 0.0
    assert 0 < ours["padding"] < 1
    assert ours["tokens"] / (1 - ours["padding"]) == pytest.approx(3 * BATCH * 528)  # MAX_LENGTH in whole sixteens
    lines = capsys.readouterr().out.strip().splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert tuple(table[0]) == train.COLUMNS
    assert [row[1] for row in table[2:]] == TRIED
    assert all(len(row) == len(train.COLUMNS) for row in table)
    assert lines[-1].startswith("|")
    written = (tmp_path / "table.md").read_text().strip().splitlines()
    assert lines[-len(written) :] == written


def test_rows_have_the_stated_lengths_and_one_end_each() -> None:
    drawn = synthetic.draw(20_000, 500, SEED)
    prompts = np.array([row.prompt_length for row in drawn])
    responses = np.array([len(row.input_ids) for row in drawn]) - prompts
    assert prompts.mean() == pytest.approx(32, abs=0.5)
    assert responses.mean() == pytest.approx(110, abs=2)
    assert prompts.max() <= MAX_PROMPT
    assert (prompts + responses).max() <= MAX_LENGTH
    assert all(row.input_ids.index(synthetic.END) == len(row.input_ids) - 1 for row in drawn[:500])
    assert synthetic.draw(3, 500, SEED) == synthetic.draw(3, 500, SEED)


@pytest.mark.parametrize("pad", [synthetic.END, synthetic.PAD])
def test_tokens_are_counted_without_padding(pad: int) -> None:
    batch = torch.tensor([[5, 6, 0, 7, 0, pad, pad], [8, 9, 9, 9, 9, 9, 0], [pad] * 7])
    assert synthetic.count_tokens(batch).tolist() == [12, 21]


def test_tokens_are_counted_with_a_tokenizers_own_special_tokens() -> None:
    batch = torch.tensor([[0, 1, 7, 2, 7, 9, 9], [5, 0, 0, 1, 7, 7, 7]])  # here 0 and 1 are words
    assert synthetic.count_tokens(batch, 7, 9).tolist() == [5 + 5, 14]


@pytest.mark.parametrize("shape", list(PUBLISHED))
def test_shapes_have_the_published_number_of_parameters(shape: str) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**shapes.figures(shape, False)))  # type: ignore[no-untyped-call]
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[shape]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise MemoryError('all 139 GiB are taken')\n", "exit code 1: MemoryError: all 139 GiB are taken"),
        ("import time; print('waiting', flush=True); time.sleep(60)\n", "exceeded 3 s: waiting"),
        ("pass\n", "exit code 0: no output"),
    ],
)
def test_a_failed_side_has_its_error_as_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, expected: str
) -> None:
    (tmp_path / "broken_side.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert sides.run_job("broken_side", toy_job(tmp_path, "notebook"), tmp_path / "log", 3)["failed"] == expected


def test_failures_are_in_the_table_and_the_largest_batch_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"parameters": 2**30, "flops": 1e15, "memory_gib": 100.0, "device": "a card", "versions": {}}
    facts |= {"data": "Random weights", "length": MAX_LENGTH}
    tried = []

    def pretend(module: str, given: Job, log: Path, limit: float, packages: Path | None = None) -> dict[str, Any]:
        if not given.side:
            given.weights.mkdir()
            return facts
        tried.append((given.side, given.micro))
        if given.side == "notebook":
            return {"failed": "exit code 1: ValueError: a|b"}
        if given.micro > 32:
            return {"failed": "exit code 1: torch.OutOfMemoryError: out of memory"}
        measured = {"rate": 1000.0 * given.micro, "step_ms": 4.0, "padding": 0.1, "setup_s": 9.0}
        return measured | {"allocated_gib": 8.0, "reserved_gib": 10.0, "parts_ms": {"data": 1.0, "between": 3.0}}

    monkeypatch.setattr(train, "run_job", pretend)
    train.main(["--sides", "notebook", "ours-dense", "ours-dense-large", "--out", str(tmp_path)])
    # 2 GiB of weights and 1 GiB a sequence: 64 fit under the guard, as predicted; in truth 32 do.
    assert tried == [("notebook", 8), ("ours-dense", 8), ("ours-dense-large", 64), ("ours-dense-large", 32)]
    text = (tmp_path / "table.md").read_text()
    assert "| failed: exit code 1: ValueError: a/b |" in text
    assert "| ours-dense-large (batch 32) | 32,000 |" in text
    assert set(SIDES) >= {result["side"] for result in json.loads((tmp_path / "results.json").read_text())["results"]}
