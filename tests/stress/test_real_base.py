"""The checks of a base model, on the tiny one in float32: they pass as the code is, and fail where it is broken."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from copywriter import files, params, paths, records
from copywriter.export import merged, source
from copywriter.modeling import loading
from copywriter.modeling.cuda_graph import Batch
from copywriter.retrieval import neighbours
from copywriter.retrieval.neighbours import Neighbours
from copywriter.training import row_validation
from copywriter.training.step import Step
from tests.stress import base_checks, kill, real_base
from tests.support import excerpt, process, tiny

ROWS = 40
SETTINGS = ["--rows", "24", "--processes", "3", "--set", "learning_rate=0.01", "save_steps=2"]


@pytest.fixture
def folder(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose prompts show a neighbour: that of row n is n + 1, then n + 2."""
    changes = {"max_length": 128, "max_prompt_length": 64, "retrieval.neighbours": 1, "retrieval.max_length": 40}
    room = tiny.room(tmp_path / "room", tiny_base, changes, ROWS)
    rows = (np.arange(ROWS)[:, None] + np.array([1, 2])) % ROWS
    neighbours.write(room / neighbours.file(paths.TRAIN), Neighbours(rows, np.tile([0.9, 0.8], (ROWS, 1))))
    monkeypatch.chdir(room)
    return room


def test_all_checks_pass_with_a_sound_base_and_leave_the_folder_as_it_is(folder: Path) -> None:
    before = files.folder_hashes(folder)
    command = [sys.executable, "-m", "tests.stress.real_base", *SETTINGS]
    done = subprocess.run(command, env=process.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    head, _, *table = done.stdout.splitlines()
    assert head == "tiny, 24 rows, 4bit, on this CPU:"
    assert [line.split(" | ")[-1] for line in table[2:]] == ["not run |", *["passed |"] * 4]
    assert "needs CUDA" in table[2]
    assert re.search(r"SHA-256 in 3 processes: \w{16} 3 times", table[3])
    assert "in fp32" in table[4]
    assert "resumed from checkpoint-" in table[6]
    assert files.folder_hashes(folder) == before


def failure(check: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The check's row of a run that must fail it."""
    with pytest.raises(SystemExit) as ended:
        real_base.main(["--checks", check, *SETTINGS])
    assert ended.value.code == f"tests.stress.real_base: failed: {check}"  # a message: exit code 1
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.endswith("| FAILED |")]
    return row


def test_an_export_without_the_adapter_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def base_alone(adapter: Path, p: params.Params) -> Any:
        return loading.load_dense(paths.BASE, p.quantization, torch.float32, torch.device("cpu"))

    monkeypatch.setattr(source, "load", base_alone)
    assert re.search(r"NLL of 6 rows (\S+) nats a token apart \(base \1\)", failure("merged", capsys))


def test_an_export_with_another_chat_template_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = merged.write

    def with_another(adapter: Path, out: Path, p: params.Params) -> str:
        summary = write(adapter, out, p)
        (out / "chat_template.jinja").write_text(tiny.CHAT.replace("assistant", "shop"))
        return summary

    monkeypatch.setattr(merged, "write", with_another)
    assert "other tokens" in failure("merged", capsys)


def test_packed_rows_that_see_each_other_fail(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Step._placed

    def without_rows(self: Step, batch: Batch) -> Batch:
        placed = place(self, batch)
        return placed | {"position_ids": torch.arange(placed["input_ids"].shape[1]).expand_as(placed["input_ids"])}

    monkeypatch.setattr(row_validation, "check_isolation", lambda measure, batch: None)
    monkeypatch.setattr(Step, "_placed", without_rows)
    assert "in fp32" in failure("packed", capsys)


def test_an_eager_training_that_differs_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(real_base, "EAGER", real_base.EAGER | {"learning_rate": 0.009})
    assert "two eager trainings" in failure("captured", capsys)


def test_gradients_that_differ_between_processes_fail(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = """
import os
from copywriter import params
from tests.stress import gradient
given = params.load()
params.load = lambda: given.model_copy(update={"seed": os.getpid()})
gradient.main()
"""
    monkeypatch.setattr(base_checks, "GRADIENT", [sys.executable, "-c", code])
    assert failure("repeated", capsys).count("times") > 1


def test_a_resumed_training_that_differs_or_did_not_resume_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = "resumes from runs/train/0/checkpoint-8\n"

    def strike(type_it: object, room: Path, log_file: Path, point: kill.Point) -> str:
        for made in ("models/adapter", "metrics", "runs"):  # the uninterrupted run's own results
            shutil.copytree(made, room / made)
        with (room / paths.ADAPTER / loading.WEIGHTS).open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"x")
        history = (room / paths.TRAIN_HISTORY).read_text().splitlines()
        (room / paths.TRAIN_HISTORY).write_text("\n".join([*history[:2], history[2] + "1", *history[3:]]))
        log_file.write_text(log)
        return ""

    monkeypatch.setattr(kill, "strike", strike)
    failed = failure("killed", capsys)
    assert f"adapter/{loading.WEIGHTS}, train_history.csv DIFFERENT, train_history.csv from step 2 on" in failed
    log = ""
    assert "did not resume" in failure("killed", capsys)


def test_a_folder_without_data_or_with_too_few_rows_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        real_base.main(["--rows", "7"])
    with pytest.raises(SystemExit, match=r"there are 40 rows, 45 are needed"):
        real_base.main(["--rows", "36"])
    paths.TRAIN.unlink()
    with pytest.raises(SystemExit, match=r"data/train\.parquet is missing"):
        real_base.main(SETTINGS)


def test_the_excerpt_has_the_longest_rows_and_their_neighbours(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    products = records.read_products(paths.TRAIN)
    nearest = [[(row + 1) % ROWS, (row + 2) % ROWS] for row in range(ROWS)]
    train, held_out = excerpt.choose(products, nearest, 12, 8)
    assert (len(train), len(held_out)) == (12, 8)
    assert not set(train) & set(held_out)
    longest = sorted(products, key=lambda row: -len(row.description))[:2]
    assert [products[row] for row in held_out[:2]] == longest
    firsts = [nearest[row][0] for row in held_out if nearest[row][0] not in held_out]
    assert train[: len(set(firsts))] == list(dict.fromkeys(firsts))
    excerpt.write(tmp_path / "part", params.load(), 12, 8)
    found = records.read_products(tmp_path / "part" / paths.TRAIN)
    assert found == [products[row] for row in train]
    monkeypatch.chdir(tmp_path / "part")
    shown = neighbours.read(paths.VALIDATION, 8)
    for row, some in zip(held_out, shown, strict=True):
        assert [found[number] for number, _ in some] == [products[one] for one in nearest[row] if one in train]
    assert any(shown)
