"""One process writes a training state: a lock file whose holder shows that it lives, for drives without flock."""

import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from copywriter.checkpoints import process
from copywriter.checkpoints.checkpoint_files import explained
from copywriter.errors import UserError

_FILE = "writer.json"
_BEAT = 5.0  # seconds between two touches of the file by its holder
_SILENCE = 60.0  # seconds without one after which the holder on another machine counts as gone


class Writer:
    """The right to write to a folder, as long as `check` says so."""

    def __init__(self, folder: Path) -> None:
        """Takes the right; UserError while another process has it."""
        self._file = folder / _FILE
        self._mine = json.dumps({**process.identity(os.getpid()), "token": uuid.uuid4().hex})
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(3):  # another may be as quick
                if self._create():
                    break
                _take_away(self._file)
            else:
                raise UserError(f"{self._file} was taken by another process just now; run again when it has ended")
        self._over = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def check(self) -> None:
        """Raises UserError when another process has taken over: this one was silent for too long, stopped or asleep."""
        try:
            held = self._file.read_text() == self._mine
        except OSError:
            held = False
        if not held:
            raise UserError(f"another process took {self._file.parent} over; this one stops and leaves it alone")

    def release(self) -> None:
        """Gives the right back."""
        self._over.set()
        self._beating.join()
        if self._file.exists() and self._file.read_text() == self._mine:
            self._file.unlink()

    def _create(self) -> bool:
        try:
            descriptor = os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w") as stream:
            stream.write(self._mine)
        return True

    def _beat(self) -> None:
        while not self._over.wait(_BEAT):
            try:
                self.check()
                os.utime(self._file)
            except (UserError, OSError):  # who writes next finds out
                continue


@contextmanager
def one_writer(folder: Path) -> Iterator[Writer]:
    """Holds `folder` for this process; UserError when another live process holds it."""
    writer = Writer(folder)
    try:
        yield writer
    finally:
        writer.release()


def _take_away(file: Path) -> None:
    """Removes a lock whose holder is gone; UserError when it lives.

    The file is renamed first: of two processes that both find it stale one gets it, and a lock that was made in between
    is put back.
    """
    try:
        left = file.read_text()
        if not left.strip():  # just made, and filled in a moment; or killed in between
            time.sleep(1)
            left = file.read_text()
        holder = json.loads(left)
    except FileNotFoundError:
        return
    except ValueError:
        holder = {}
    _refuse_if_alive(file, holder if isinstance(holder, dict) else {})
    away = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
    try:
        file.rename(away)
        if away.read_text() != left:
            os.link(away, file)
    except OSError:  # another was quicker; or no links on this drive, and that process stops before it writes
        return
    finally:
        away.unlink(missing_ok=True)


def _refuse_if_alive(file: Path, holder: dict[str, Any]) -> None:
    pid, host = holder.get("pid"), holder.get("host")
    if not isinstance(pid, int):
        return
    cure = "the run goes on from its last checkpoint"
    if process.is_here(holder):
        if process.lives(holder):
            raise UserError(
                f"process {pid} still trains this experiment; wait for it, or stop it with 'kill {pid}' and run again: "
                f"{cure}"
            )
        return
    if _beats(file):  # elsewhere, where a process cannot be looked up
        raise UserError(
            f"process {pid} on {host} still trains this experiment and writes to {file.parent}; wait for it, or stop "
            f"it there and run again: {cure}"
        )
    print(f"train_qlora: process {pid} on {host} is gone; its state is taken over", file=sys.stderr)


def _beats(file: Path) -> bool:
    """Whether the holder touches the file: by two readings at least, and by an age that no live holder reaches."""
    first = _touched(file)
    if time.time() - first < _SILENCE:
        print(f"train_qlora: looking for {_SILENCE:.0f} s whether the holder of {file} lives", file=sys.stderr)
    watched = time.monotonic()
    while True:
        time.sleep(_BEAT / 5)
        if _touched(file) != first:
            return True
        # Clocks differ between machines: the file's age counts only together with the silence seen here.
        if time.monotonic() - watched > 2.5 * _BEAT and time.time() - first > _SILENCE:
            return False
        if time.monotonic() - watched > _SILENCE:
            return False


def _touched(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
