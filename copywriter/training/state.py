"""Training state on disk: whole or not at all, the newest two kept, written by one process at a time."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from copywriter import canonical
from copywriter.stage import UserError

_WHOLE = "whole.json"  # written last into a checkpoint, with the sizes of its files: without it the checkpoint is torn
_KEPT = 2


def mark_whole(checkpoint: Path) -> None:
    """Declares a checkpoint complete and removes all but the last two complete ones beside it."""
    canonical.write_json(checkpoint / _WHOLE, _sizes(checkpoint))
    for old in _whole_checkpoints(checkpoint.parent)[:-_KEPT]:
        shutil.rmtree(old)


def last_whole(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`; torn ones are removed."""
    whole = _whole_checkpoints(folder)
    for torn in set(folder.glob("checkpoint-*")) - set(whole):
        shutil.rmtree(torn)
    return whole[-1] if whole else None


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Holds `folder` for this process; UserError when another live process of this machine holds it.

    The lock is a file made with O_EXCL, since mounted drives do not all have flock. A lock whose process is gone is
    taken over; one of another machine cannot be checked and is refused with the file's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "writer.json"
    for _ in range(2):
        try:
            descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            _refuse_if_alive(file)
            file.unlink(missing_ok=True)
    else:
        raise UserError(f"{file} was taken by another process just now; run the command again when it has ended")
    with os.fdopen(descriptor, "w") as stream:
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "started": _start_time(os.getpid())}, stream)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _refuse_if_alive(file: Path) -> None:
    try:
        holder = json.loads(file.read_text())
        pid, host, started = int(holder["pid"]), str(holder["host"]), holder["started"]
    except (ValueError, KeyError, TypeError, OSError):
        return  # killed between making the file and filling it
    if host != socket.gethostname():
        raise UserError(
            f"{file} says that process {pid} on {host} trains this experiment; if that machine is gone, remove the file"
        )
    if _start_time(pid) == started:  # a pid is used again: only with its start time does it name a process
        raise UserError(
            f"process {pid} still trains this experiment; wait for it, or stop it with 'kill {pid}' and run again: "
            "the run goes on from its last checkpoint"
        )


def _start_time(pid: int) -> str | None:
    """When the kernel started a process, in clock ticks since boot; None when it does not run (or is a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _whole_checkpoints(folder: Path) -> list[Path]:
    found = [one for one in folder.glob("checkpoint-*") if is_whole(one)]
    return sorted(found, key=lambda one: int(one.name.split("-")[1]))


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint has all its files, in the sizes that they had when it was declared complete."""
    try:
        return bool(json.loads((checkpoint / _WHOLE).read_text()) == _sizes(checkpoint))
    except (OSError, ValueError):
        return False


def _sizes(checkpoint: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in checkpoint.iterdir() if file.is_file() and file.name != _WHOLE}
