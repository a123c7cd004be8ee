"""Checkpoints and the lock: incomplete ones are never used, disk errors are explained, one process writes."""

import errno
import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from copywriter import params
from copywriter.checkpoints import checkpoint_files, lock
from copywriter.checkpoints.lock import one_writer
from copywriter.checkpoints.schedule import Schedule
from copywriter.errors import UserError
from tests.checkpoints.test_schedule import GIVEN
from tests.conftest import ROOT

THREE = Schedule(params.Schedule(**GIVEN), 10, 30, "1-sqrt")  # shared up to 25, kept at 5, 15, 25
FIVE = Schedule(params.Schedule(**GIVEN), 10, 50, "1-sqrt")
FILES = {"state.safetensors": b"weights and moments", "progress.json": b"{}"}


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def test_the_last_two_checkpoints_and_one_an_epoch_are_kept(tmp_path: Path) -> None:
    for step in (4, 5, 8, 12, 15, 16, 20, 24, 25):
        checkpoint_files.write(tmp_path, step, THREE, FILES)
    kept = {"checkpoint-5", "checkpoint-15", "checkpoint-25"}
    assert names(tmp_path) == kept | {"checkpoint-20", "checkpoint-24"}
    for step in (26, 28, 30):
        checkpoint_files.write(tmp_path, step, THREE, FILES)
    ending = {"checkpoint-28-of-30", "checkpoint-30-of-30"}
    assert names(tmp_path) == kept | {"checkpoint-20", "checkpoint-24"} | ending
    assert checkpoint_files.newest(tmp_path, THREE) == tmp_path / "checkpoint-30-of-30"
    assert checkpoint_files.newest(tmp_path, FIVE) == tmp_path / "checkpoint-25"
    two = Schedule(params.Schedule(**GIVEN), 10, 20, "1-sqrt")
    assert checkpoint_files.newest(tmp_path, two) == tmp_path / "checkpoint-15"


@pytest.mark.parametrize("how", ["shorter", "one bit", "missing", "no manifest", "half a manifest"])
def test_a_damaged_checkpoint_is_never_taken(tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    good = checkpoint_files.write(tmp_path, 4, THREE, FILES)
    last = checkpoint_files.write(tmp_path, 8, THREE, FILES)
    (tmp_path / ".checkpoint-12").mkdir()
    tensors, manifest = last / "state.safetensors", last / "whole.json"
    if how == "shorter":
        tensors.write_bytes(FILES["state.safetensors"][:-1])
    elif how == "one bit":
        tensors.write_bytes(b"x" + FILES["state.safetensors"][1:])
    elif how == "missing":
        tensors.unlink()
    elif how == "no manifest":
        manifest.unlink()
    else:
        manifest.write_bytes(manifest.read_bytes()[:20])
    assert checkpoint_files.newest(tmp_path, THREE) == good
    assert "checkpoint-8 is damaged and removed" in capsys.readouterr().err
    assert names(tmp_path) == {"checkpoint-4"}


def test_an_existing_checkpoint_is_not_written_again(tmp_path: Path) -> None:
    path = checkpoint_files.write(tmp_path, 4, THREE, FILES)
    before = path.stat().st_ino
    assert checkpoint_files.write(tmp_path, 4, THREE, FILES).stat().st_ino == before


def test_a_full_disk_keeps_what_was_whole_and_names_the_cure(tmp_path: Path) -> None:
    script = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.checkpoints.test_checkpoint_files import FILES, THREE, UserError, checkpoint_files
folder = Path({str(tmp_path)!r})
checkpoint_files.write(folder, 4, THREE, FILES)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    checkpoint_files.write(folder, 8, THREE, FILES | {{"state.safetensors": bytes(2000)}})
except UserError as error:
    sys.exit(str(error))
"""
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{tmp_path} cannot be written (File too large); free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert names(tmp_path) == {"checkpoint-4"}


@pytest.mark.parametrize(
    ("number", "cure"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "make it writable"), (errno.EIO, None)]
)
def test_a_disk_error_is_explained_with_its_cure(tmp_path: Path, number: int, cure: str | None) -> None:
    with pytest.raises(UserError if cure else OSError, match=cure), checkpoint_files.explained(tmp_path):
        raise OSError(number, os.strerror(number))


def left_lock(folder: Path, **changes: object) -> Path:
    """A lock file that another process left."""
    with one_writer(folder) as held:
        content = json.loads(held._mine)
    file = folder / "writer.json"
    file.write_text(json.dumps(content | changes))
    return file


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_BEAT", 0.05)
    monkeypatch.setattr(lock, "_SILENCE", 0.5)


def test_two_runs_never_write_the_same_state(tmp_path: Path) -> None:
    with (
        one_writer(tmp_path),
        pytest.raises(UserError, match=f"process {os.getpid()} is still training this experiment; wait for it, or"),
        one_writer(tmp_path),
    ):
        pass
    assert not names(tmp_path)


@pytest.mark.parametrize("left", ['{"pid": 1', "", "[]", '{"pid": "one"}'])
def test_a_lock_that_was_never_filled_is_taken_over(tmp_path: Path, left: str) -> None:
    (tmp_path / "writer.json").write_text(left)
    with one_writer(tmp_path) as held:
        held.check()
        assert json.loads((tmp_path / "writer.json").read_text())["pid"] == os.getpid()
    assert not names(tmp_path)


def test_a_lock_of_an_ended_process_is_taken_even_if_its_pid_lives(tmp_path: Path) -> None:
    for change in ({"pid": 999_999_999}, {"started": "1"}):
        left_lock(tmp_path, **change)
        with one_writer(tmp_path) as held:
            held.check()


@pytest.mark.parametrize("place", ["host", "boot", "space"])
def test_a_silent_lock_of_another_host_is_taken_over(
    tmp_path: Path, quick: None, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = left_lock(tmp_path, **{place: "elsewhere"})
    begin = time.monotonic()
    with one_writer(tmp_path) as held:
        held.check()
    assert time.monotonic() - begin >= 0.12  # read twice at least, more than two beats apart
    os.utime(left_lock(tmp_path, **{place: "elsewhere"}), (0, 0))
    with one_writer(tmp_path) as held:
        held.check()
    assert "has ended; this one takes over its state" in capsys.readouterr().err
    assert not file.exists()


@pytest.mark.parametrize("behind", [0, 3600, -3600])
def test_a_heartbeat_of_another_host_counts_whatever_its_clock(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, behind: float
) -> None:
    with one_writer(tmp_path) as held:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + behind)
        monkeypatch.setattr(socket, "gethostname", lambda: "here")
        with pytest.raises(UserError, match=f"process {os.getpid()} on .* is still training"):
            lock.Writer(tmp_path)
        held.check()


def test_a_holder_that_slept_while_it_was_taken_over_writes_no_more(tmp_path: Path) -> None:
    sleeper = lock.Writer(tmp_path)
    (tmp_path / "writer.json").unlink()
    with one_writer(tmp_path) as other:
        with pytest.raises(UserError, match=r"another process took over"):
            sleeper.check()
        sleeper.release()
        other.check()  # what it gives back is not the other's


def test_of_many_that_find_a_stale_lock_one_gets_it(tmp_path: Path) -> None:
    left_lock(tmp_path, pid=999_999_999)
    script = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from copywriter.checkpoints.lock import one_writer, UserError
folder = Path({str(tmp_path)!r})
while not (folder / "go").exists():
    pass
try:
    with one_writer(folder) as held:
        time.sleep(2)
        held.check()
        print("wrote")
except UserError:
    pass
"""
    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(6)]
    time.sleep(1.5)
    (tmp_path / "go").touch()
    assert "".join(one.communicate()[0] for one in processes) == "wrote\n"
