"""Equal content, equal bytes: one form of JSON, hashes of files and folders, outputs that appear whole or never."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def dumps(value: object) -> str:
    """JSON with sorted keys, an indent of two and a newline at the end; NaN and infinity raise ValueError."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def digest(value: object) -> str:
    """SHA-256 of `value` as canonical JSON."""
    return hashlib.sha256(dumps(value).encode()).hexdigest()


def sha256(file: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_hashes(folder: Path, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """SHA-256 of every file under `folder`, by its name relative to it, sorted."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = {file.relative_to(folder).as_posix(): file for file in files}
    return {name: sha256(file) for name, file in names.items() if name not in leave_out}


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends well and is removed when it raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` to fill; it becomes `path` when the block ends well, and goes when it raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    aside.mkdir()
    try:
        yield aside
        if path.exists():
            shutil.rmtree(path)
        aside.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_json(path: Path, value: object) -> None:
    """Writes `value` as canonical JSON, whole or not at all."""
    with new_file(path) as aside:
        aside.write_text(dumps(value), encoding="utf-8")


def rewrite_json(path: Path, drop: tuple[str, ...] = (), change: Mapping[str, Any] | None = None) -> None:
    """Makes a JSON object that a library wrote canonical, without the keys in `drop`, with those in `change`.

    Libraries write their own version numbers and lists in the order of a set: both differ between equal runs.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if key not in drop}
    write_json(path, kept | dict(change or {}))
    path.chmod(0o644)
