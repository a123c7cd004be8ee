"""One process writes a training state: a lock file with a heartbeat, for drives that do not support flock.

filelock's SoftFileLease (4.2.11) was tried in its place and lost, although it agrees where both processes run on one
host, and lets one of six takers have a stale lock. (1) Only its heartbeat thread notices a takeover, after two beats;
a process that wakes up could write a checkpoint before that, where `check` reads the file. (2) It knows its file by
the inode number, so on a drive that renumbers files, as mounted cloud storage may, it reports a lock lost that nobody
took. (3) A lock file left empty by a process killed while creating it was still refused after 10 s, here it takes 1 s.
(4) A silent holder on another host costs the full 60 s each time, here 13 s if its last beat is older than that, and a
live one is refused only after the 60 s, here after one beat.
"""

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
_BEAT = 5.0  # seconds between two heartbeats: the holder touches the file
_SILENCE = 60.0  # seconds without a heartbeat after which another host may take over the lock


class Writer:
    """Holds the lock of a folder until `release`, or until another process takes it over."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock; UserError while another process holds it."""
        self._file = folder / _FILE
        self._mine = json.dumps({**process.identity(os.getpid()), "token": uuid.uuid4().hex})
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(3):  # another process may take it between two attempts
                if self._create():
                    break
                _take_away(self._file)
            else:
                raise UserError(f"{self._file} was taken by another process just now; run again when it has ended")
        self._stop = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def check(self) -> None:
        """Raises UserError when another process took over because this one sent no heartbeat for too long."""
        try:
            held = self._file.read_text() == self._mine
        except OSError:
            held = False
        if not held:
            raise UserError(f"another process took over {self._file.parent}; this one stops without writing to it")

    def release(self) -> None:
        """Removes the lock file, unless it is another process's by now."""
        self._stop.set()
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
        while not self._stop.wait(_BEAT):
            try:
                self.check()
                os.utime(self._file)
            except (UserError, OSError):  # the next write calls `check`
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
    """Removes a lock whose holder has ended; UserError when it is alive.

    The file is renamed first, so that of two processes that find it stale only one succeeds; a lock that was created in
    between is put back.
    """
    try:
        left = file.read_text()
        if not left.strip():  # another process is about to fill it, or was killed before it did
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
    except OSError:  # another process was quicker; or the drive has no links, and that process stops at its check
        return
    finally:
        away.unlink(missing_ok=True)


def _refuse_if_alive(file: Path, holder: dict[str, Any]) -> None:
    pid, host = holder.get("pid"), holder.get("host")
    if not isinstance(pid, int):
        return
    cure = "the run resumes from its last checkpoint"
    if process.is_here(holder):
        if process.lives(holder):
            raise UserError(
                f"process {pid} is still training this experiment; wait for it, or stop it with 'kill {pid}' and run "
                f"again: {cure}"
            )
        return
    if _beats(file):  # on another host its process cannot be looked up
        raise UserError(
            f"process {pid} on {host} is still training this experiment and writing to {file.parent}; wait for it, or "
            f"stop it there and run again: {cure}"
        )
    print(f"train_qlora: process {pid} on {host} has ended; this one takes over its state", file=sys.stderr)


def _beats(file: Path) -> bool:
    """Whether the holder sends heartbeats: reads the file's time until a beat, or until it is silent too long."""
    first = _touched(file)
    if time.time() - first < _SILENCE:
        print(f"train_qlora: waiting up to {_SILENCE:.0f} s for a heartbeat of the holder of {file}", file=sys.stderr)
    watched = time.monotonic()
    while True:
        time.sleep(_BEAT / 5)
        if _touched(file) != first:
            return True
        # Clocks differ between machines, so the file's age counts only together with the silence measured here.
        if time.monotonic() - watched > 2.5 * _BEAT and time.time() - first > _SILENCE:
            return False
        if time.monotonic() - watched > _SILENCE:
            return False


def _touched(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
