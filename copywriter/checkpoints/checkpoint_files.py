"""Checkpoints on disk: written atomically, checked by their hashes, named by the runs that can resume from them."""

import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from copywriter import files
from copywriter.checkpoints.schedule import Schedule
from copywriter.errors import UserError

_WHOLE = "whole.json"  # written last, with size and SHA-256 of the other files; without it the checkpoint is incomplete
_LATEST = 2  # checkpoints kept per length of run, besides those for runs of other lengths
_NAME = re.compile(r"checkpoint-(\d+)(?:-of-(\d+))?")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_RIGHT = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


class Checkpoint(NamedTuple):
    """The state after `step` steps; `total`: steps of the only run that can resume from it, None for any longer run."""

    path: Path
    step: int
    total: int | None


def write(folder: Path, step: int, schedule: Schedule, contents: Mapping[str, bytes]) -> Path:
    """Writes the checkpoint of a step and removes older ones; UserError when the disk is full or read-only."""
    name = f"checkpoint-{step}" + ("" if step <= schedule.shared_steps else f"-of-{schedule.total}")
    path, aside = folder / name, folder / f".{name}"
    if damage(path) is None:  # a run that resumed from it was stopped before its next step
        return path
    with explained(folder):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            for file, content in contents.items():
                write_file(aside / file, content)
            sums = {file: _sum(aside / file) for file in contents}
            write_file(aside / _WHOLE, files.dumps(sums).encode())
            _sync(aside)
            if path.exists():
                shutil.rmtree(path)
            aside.rename(path)
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _sync(folder)
    _prune(folder, schedule)
    return path


def write_file(file: Path, content: bytes) -> None:
    """Writes a file and syncs it to the disk."""
    with file.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def newest(folder: Path, schedule: Schedule) -> Path | None:
    """The latest complete checkpoint that the run can resume from; damaged ones are removed with a message."""
    for torn in folder.glob(".checkpoint-*"):
        shutil.rmtree(torn)
    for one in sorted(checkpoints(folder), key=lambda one: -one.step):
        if one.total == schedule.total or (one.total is None and one.step <= schedule.shared_steps):
            damaged = damage(one.path)
            if damaged is None:
                return one.path
            print(f"train_qlora: {one.path} is damaged and removed: {damaged}", file=sys.stderr)
            shutil.rmtree(one.path)
    return None


def damage(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be used; None when its files are the bytes that were written."""
    try:
        sums = json.loads((checkpoint / _WHOLE).read_text())
        wrong = [name for name, one in sums.items() if one != _sum(checkpoint / name)]
    except (OSError, ValueError, AttributeError):
        return "it is not complete"
    return f"{', '.join(wrong)} changed after it was written" if wrong else None


def checkpoints(folder: Path) -> list[Checkpoint]:
    """All checkpoints in a folder, complete or not."""
    found = [(path, _NAME.fullmatch(path.name)) for path in folder.glob("checkpoint-*")]
    return [Checkpoint(path, int(of[1]), int(of[2]) if of[2] else None) for path, of in found if of]


def _prune(folder: Path, schedule: Schedule) -> None:
    """Keeps the newest two of each length of run, and one for every epoch after which a run could end."""
    there = sorted(checkpoints(folder), key=lambda one: one.step)
    for total in {one.total for one in there}:
        passing = [one for one in there if one.total == total and (total or not schedule.ends_an_epoch(one.step))]
        for old in passing[:-_LATEST]:
            shutil.rmtree(old.path)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turns the error of a full or read-only disk into a UserError with the folder and the cure."""
    try:
        yield
    except OSError as error:
        why = f"{folder} cannot be written ({error.strerror})"
        if error.errno in _NO_ROOM:
            raise UserError(
                f"{why}; free some space, or move the folder and name its new place in COPYWRITER_RUNS, and run again: "
                "training resumes from its last checkpoint"
            ) from None
        if error.errno in _NO_RIGHT:
            raise UserError(f"{why}; make it writable, or set COPYWRITER_RUNS to a folder that is") from None
        raise


def _sum(file: Path) -> list[int | str]:
    return [file.stat().st_size, files.sha256(file)]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the directory's entries
    finally:
        os.close(descriptor)
