"""Several processes train as one: the same rows in each step, the same result, one writer, one error message."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from copywriter import paths
from copywriter.checkpoints import checkpoint_files, fingerprint
from copywriter.checkpoints.lock import one_writer
from copywriter.errors import UserError
from copywriter.modeling import loading
from copywriter.training import data_order, launch
from stages import train_qlora
from tests.conftest import room_in
from tests.support.training import STAGE, environment, mark_of, outcome, prepare

WITNESS = "tests.support.instrumented_train"
Parts = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))  # micro-batch, accumulation, processes


@given(parts=Parts, sequences=st.integers(1, 60), seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_a_step_sees_the_same_sequences_in_any_number_of_processes(
    parts: tuple[int, int, int], sequences: int, seed: int, epoch: int
) -> None:
    micro, accumulated, processes = parts
    batch = micro * accumulated * processes

    def steps(size: int, count: int) -> list[list[int]]:
        orders = [data_order.EpochOrder(sequences, batch, size, seed, rank, count) for rank in range(count)]
        for one in orders:
            one.set_epoch(epoch)
        dealt = [list(one) for one in orders]
        assert {len(one) for one in dealt} == {len(orders[0])}
        turns = len(orders[0]) // orders[0].steps
        return [
            sorted(number for one in dealt for part in one[step * turns : (step + 1) * turns] for number in part)
            for step in range(orders[0].steps)
        ]

    shared = steps(micro, processes)
    assert shared == steps(batch, 1)
    assert sorted(number for step in shared for number in step) == list(range(sequences))


@given(share=st.integers(1, 64), processes=st.integers(1, 8), most=st.integers(1, 64))
def test_every_process_gets_an_equal_share_of_a_batch(share: int, processes: int, most: int) -> None:
    size = data_order.micro_batch(share * processes, most, processes)
    assert share % size == 0
    assert size <= most
    assert size == most or most > share or share % most


def test_a_batch_without_equal_shares_is_refused() -> None:
    with pytest.raises(UserError, match="batch_size 8 cannot be shared equally by 3 processes"):
        data_order.micro_batch(8, 8, 3)


def test_processes_are_as_many_as_gpus_or_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch.wanted() == 1
    monkeypatch.setenv("COPYWRITER_PROCESSES", "3")
    assert launch.wanted() == 3
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="2 GPUs are visible"):
        launch.wanted()
    monkeypatch.setenv("COPYWRITER_PROCESSES", "two")
    with pytest.raises(UserError, match="a whole number"):
        launch.wanted()
    monkeypatch.delenv("COPYWRITER_PROCESSES")
    assert launch.wanted() == 2


def run(room: Path, command: list[str] = STAGE, **more: str) -> subprocess.CompletedProcess[str]:
    """A finished command in `room`, the stage in two processes unless another is given."""
    given = {"OMP_NUM_THREADS": "1", **environment(room), "COPYWRITER_PROCESSES": "2", **more}
    return subprocess.run(command, cwd=room, env=given, capture_output=True, text=True, timeout=300)


def losses(path: Path, column: str) -> list[float]:
    return [float(row[column]) for row in csv.DictReader(path.open())]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[tuple[str, str, str]]:
    """What two processes with dropout leave that nothing interrupts."""
    with pytest.MonkeyPatch.context() as patch:
        room = room_in(tmp_path_factory.mktemp("finished"), tiny_base, patch)
        prepare(room, lora__dropout=0.1)
        done = run(room)
        assert done.returncode == 0, done.stderr
        assert "train_qlora: 2 processes on the CPU\n" in done.stderr
        assert "micro_batch_size is 4 instead of 8" in done.stderr
        assert done.stderr.count(" s, peak ") == 1  # one process speaks
        assert json.loads((paths.ADAPTER / loading.RECEIPT).read_text())["plan"]["processes"] == 2
        assert len(list((room / "runs").glob("train/*/tensorboard/events*"))) == 1
        yield outcome()


def test_two_processes_that_accumulate_agree_with_one(room: Path) -> None:
    prepare(room, lora__dropout=0.0, micro_batch_size=2)
    done = run(room)
    assert done.returncode == 0, done.stderr
    found = [losses(paths.TRAIN_HISTORY, "loss"), losses(paths.VALIDATION_HISTORY, "eval_loss")]
    adapter = load_file(paths.ADAPTER / "adapter_model.safetensors")
    train_qlora.run(prepare(room, lora__dropout=0.0))
    assert found[0] == pytest.approx(losses(paths.TRAIN_HISTORY, "loss"), rel=1e-5)
    assert found[1] == pytest.approx(losses(paths.VALIDATION_HISTORY, "eval_loss"), rel=1e-5)
    for name, alone in load_file(paths.ADAPTER / "adapter_model.safetensors").items():
        torch.testing.assert_close(adapter[name], alone, rtol=2**-7, atol=1e-4)  # one step of bf16


def test_two_processes_one_of_them_killed_resume_to_the_same_bits(room: Path, finished: tuple[str, str, str]) -> None:
    prepare(room, lora__dropout=0.1)
    given = {"OMP_NUM_THREADS": "1", **environment(room), "COPYWRITER_PROCESSES": "2"}
    process = subprocess.Popen(STAGE, cwd=room, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not list((room / "runs").glob("train/*/checkpoint-4/whole.json")):  # polls: there is no event to wait for
        assert process.poll() is None, process.communicate()[1]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    other = next(pid for pid in children if b"\0RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes())
    os.kill(int(other), signal.SIGKILL)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "train_qlora: process 1 was ended by SIGKILL" in stderr
    assert "Traceback" not in stderr
    assert not paths.ADAPTER.exists()
    done = run(room)
    assert done.returncode == 0, done.stderr
    assert outcome() == finished
    (checkpoint,) = (room / "runs").glob("train/*/checkpoint-8-of-*")
    random = load_file(checkpoint / "state.safetensors")["random"]
    assert len(random) == 2
    assert not torch.equal(random[0], random[1])  # each process draws a dropout of its own


def test_two_processes_stopped_by_a_signal_save_one_step_and_resume(room: Path, finished: tuple[str, str, str]) -> None:
    prepare(room, lora__dropout=0.1, save_steps=50)
    given = {"OMP_NUM_THREADS": "1", **environment(room), "SLOW": "1"}
    start = f'from copywriter.training import launch; launch.start("train_qlora", "{WITNESS}", [], 2)'
    process = subprocess.Popen(
        [sys.executable, "-c", start], cwd=room, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while not (room / "runs/in-step-2-0").exists():  # polls: there is no event to wait for
        assert process.poll() is None, process.communicate()[1]
    process.send_signal(signal.SIGTERM)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert "train_qlora: stopped; run it again to resume from the last checkpoint" in stderr
    (folder,) = (room / "runs/train").iterdir()
    assert max(one.step for one in checkpoint_files.checkpoints(folder)) in (3, 4, 5)
    done = run(room)
    assert done.returncode == 0, done.stderr
    assert "resumes from" in done.stderr
    assert outcome() == finished


def test_two_hosts_train_the_rows_of_one_and_bits_of_two_processes(room: Path, finished: tuple[str, str, str]) -> None:
    prepare(room, lora__dropout=0.1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"OMP_NUM_THREADS": "1", **environment(room)}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    hosts = [
        subprocess.Popen(
            [*torchrun, f"--node-rank={number}", "--master-addr=127.0.0.1", f"--master-port={port}", "-m", WITNESS],
            cwd=room,
            env=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (0, 1)
    ]
    messages = [host.communicate(timeout=300)[1] for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], messages
    assert outcome() == finished
    both: dict[str, list[str]] = defaultdict(list)
    for rank in (0, 1):
        for step, rows in json.loads((room / f"runs/seen-{rank}.json").read_text()).items():
            both[step] += rows
    alone = run(room, [sys.executable, "-m", WITNESS], COPYWRITER_PROCESSES="1")
    assert alone.returncode == 0, alone.stderr
    seen = json.loads((room / "runs/seen-0.json").read_text())
    assert {step: sorted(rows) for step, rows in both.items()} == {step: sorted(rows) for step, rows in seen.items()}


def test_an_error_in_one_process_stops_all_and_is_printed_once(room: Path) -> None:
    prepare(room)
    start = f"""
from copywriter import stage
from copywriter.training import launch
try:
    launch.start("train_qlora", "{WITNESS}", [], 2)
except stage.UserError as error:
    raise SystemExit(str(error))
"""
    done = run(room, [sys.executable, "-c", start], FAILING="1")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert "process 1 failed:" in done.stderr
    assert "ZeroDivisionError: raised by instrumented_train" in done.stderr
    assert not list((room / "runs").glob("train/*/writer.json"))


def test_two_processes_respect_a_writer_and_refuse_in_one_sentence(room: Path) -> None:
    p = prepare(room)
    mark = mark_of(p, loading.base_identity(paths.BASE), 2)
    with one_writer(paths.RUNS / "train" / fingerprint.state_name(mark, torch.device("cpu"))):
        done = run(room)
    assert done.returncode == 1
    assert done.stderr.count(f"process {os.getpid()} is still training this experiment") == 1
    assert "Traceback" not in done.stderr
