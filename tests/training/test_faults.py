"""Faults of a run: signals, a full or read-only disk, no memory, a NaN loss."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from copywriter import paths
from copywriter.checkpoints import checkpoint_files
from copywriter.errors import UserError
from copywriter.training.interrupts import Interrupted, Interrupts
from copywriter.training.step import Step
from stages import train_qlora
from tests.stress import crash_target
from tests.support.training import environment, outcome, prepare

VICTIM = [sys.executable, "-m", "tests.stress.crash_target"]


def struck(room: Path, event: str, number: int, how: str) -> subprocess.CompletedProcess[str]:
    """The stage, struck by `how` at the event."""
    (room / crash_target.PLAN).write_text(json.dumps({"event": event, "number": number, "how": how}))
    return again(room)


def again(room: Path) -> subprocess.CompletedProcess[str]:
    given = environment(room) | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(VICTIM, cwd=room, env=given, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(
    ("event", "number", "how", "message"),
    [
        ("gradient", 5, "terminate", "stopped by SIGTERM; run it again to resume; the state after step 2 is saved"),
        ("step", 8, "interrupt", "stopped by SIGINT; run it again to resume; the state after step 3 is saved"),
        ("evaluation", 6, "terminate", "stopped by SIGTERM; run it again to resume; the state after step 3 is saved"),
        ("file", 2, "interrupt", "stopped by SIGINT; run it again to resume; the state after step 2 is saved"),
        ("base loaded", 1, "terminate", "stopped by SIGTERM; run it again to resume"),
        ("step", 7, "out of memory", "the GPU's memory ran out: other programs use it"),
    ],
)
def test_a_stopped_run_resumes_to_the_same_bits(room: Path, event: str, number: int, how: str, message: str) -> None:
    # Two micro-batches a step; logged every third step, so that a stop falls between two lines of the history.
    often = {"advanced__log_steps": 3, "advanced__eval_steps": 3}
    train_qlora.run(prepare(room, lora__dropout=0.1, micro_batch_size=4, save_steps=50, **often))
    expected = outcome()
    (room / "runs").rename(room / "before")
    done = struck(room, event, number, how)
    assert done.returncode == 1
    assert f"train_qlora: {message}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((room / "runs").glob("train/*/writer.json"))
    done = again(room)
    assert done.returncode == 0, done.stderr
    assert outcome() == expected


def test_a_signal_saves_from_the_middle_of_a_long_step_within_10_s(room: Path) -> None:
    prepare(room, save_steps=50)
    # A step that takes longer than any cluster waits: the signal must break it off.
    slow = (
        "import time\nfrom copywriter.training.step import Step\nfrom stages import train_qlora\n"
        "before, calls = Step.gradients, []\n"
        "def gradients(self, *given):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 3:\n"
        "        print('slow', flush=True)\n"
        "        for _ in range(6000): time.sleep(0.01)\n"
        "    return before(self, *given)\n"
        "Step.gradients = gradients\ntrain_qlora.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", slow],
        cwd=room,
        env=environment(room),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    while "slow" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    stderr = process.communicate(timeout=10)[1]  # what a cluster gives
    assert process.returncode == 1
    assert "the state after step 2 is saved" in stderr


def test_signals_wait_where_the_state_is_between_two_steps() -> None:
    with Interrupts() as interrupts:
        with interrupts.postponed():
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(Interrupted, match="stopped by SIGTERM"), interrupts.postponed(False):
                pass
            with pytest.raises(Interrupted, match="stopped by SIGTERM"):
                interrupts.check()
        assert interrupts.asked == "SIGTERM"
    with Interrupts(), pytest.raises(Interrupted, match="stopped by SIGINT"):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_nan_loss_stops_the_run_and_names_rows_and_last_checkpoint(
    room: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    p = prepare(room, advanced__log_steps=4, save_steps=3, advanced__eval_steps=50, micro_batch_size=4, packing=False)
    gradients = Step.gradients
    seen: list[list[int]] = []

    def poisoned(self: Step, batch: dict[str, torch.Tensor], tokens: Any) -> torch.Tensor:
        part = gradients(self, batch, tokens)
        seen.append(sorted(int(n) for n in batch["input_ids"].sum(1)))
        return part * value if len(seen) == 9 else part  # in the first half of step 5

    monkeypatch.setattr(Step, "gradients", poisoned)
    with pytest.raises(UserError, match="the loss is NaN or infinite from step 5 on; lower learning_rate") as raised:
        train_qlora.run(p)
    assert "checkpoint-3" in str(raised.value)
    named = [int(n) for n in re.findall(r"\d+", str(raised.value).partition("its rows")[2].partition(" of data")[0])]
    assert len(named) == 8
    (folder,) = (paths.RUNS / "train").iterdir()
    assert {one.step for one in checkpoint_files.checkpoints(folder)} == {3}
    assert not paths.ADAPTER.exists()
    # The rows are those that the step saw: their tokens add up to what was in its batches.
    from copywriter.training import experiment

    of = experiment.prepare(p)
    whole = sorted(sum(of.train[row].input_ids) for row in named)
    assert whole == sorted(seen[8] + seen[9])


def test_a_disk_full_during_a_checkpoint_leaves_the_one_before(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = prepare(room, lora__dropout=0.1)
    train_qlora.run(p)
    expected = outcome()
    (room / "runs").rename(room / "before")
    write_file, written = checkpoint_files.write_file, []

    def full(file: Path, content: bytes) -> None:
        written.append(file)
        if len(written) == 6:
            file.write_bytes(content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        write_file(file, content)

    monkeypatch.setattr(checkpoint_files, "write_file", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); free some space"):
        train_qlora.run(p)
    (folder,) = (paths.RUNS / "train").iterdir()
    assert [one.step for one in checkpoint_files.checkpoints(folder)] == [2]
    assert not list(folder.glob(".checkpoint*"))
    monkeypatch.setattr(checkpoint_files, "write_file", write_file)
    train_qlora.run(p)
    assert outcome() == expected


def test_a_runs_folder_that_is_not_writable_stops_before_training(room: Path) -> None:
    p = prepare(room)
    paths.RUNS.write_text("a file where a folder should be")  # also root may not write here
    with pytest.raises(UserError, match=rf"{paths.RUNS}.* or set COPYWRITER_RUNS to a folder that is"):
        train_qlora.run(p)
