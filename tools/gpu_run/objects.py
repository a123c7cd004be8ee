"""Objects of DVC's cache, whose names are the MD5 of their bytes: out of it into a folder, and back, each verified."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from copywriter import files
from copywriter.errors import UserError
from tools.commands import DVC


def store() -> Path:
    """The folder of objects in this checkout's cache."""
    said = subprocess.run([*DVC, "cache", "dir"], capture_output=True, text=True, check=True)
    return Path(said.stdout.strip()) / "files" / "md5"


def place(of: str) -> Path:
    """Where the object `of` lies in a folder of objects."""
    return Path(of[:2]) / of[2:]


def copy(wanted: Iterable[str], cache: Path, to: Path) -> None:
    """Copies objects, and those that folders among them list, from the cache to `to`; UserError when one is missing."""
    for one in wanted:
        source = cache / place(one)
        _verify(source, one)
        target = to / place(one)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        if one.endswith(".dir"):
            copy(listed(source), cache, to)


def listed(folder: Path) -> list[str]:
    """The objects of a `.dir` object."""
    return [entry["md5"] for entry in json.loads(folder.read_text())]


def verified(folder: Path) -> list[str]:
    """The names of all objects in a folder that was carried; UserError when the bytes of one are not its own."""
    found = []
    for file in sorted(file for file in folder.glob("*/*") if file.is_file()):
        found.append(file.parent.name + file.name)
        _verify(file, found[-1])
    return found


def take(names: Iterable[str], folder: Path, cache: Path) -> int:
    """Puts the objects `names` of `folder` into the cache, each whole or not at all; their bytes, all together."""
    total = 0
    for one in names:
        total += (folder / place(one)).stat().st_size
        if not (cache / place(one)).exists():
            with files.new_file(cache / place(one)) as aside:
                shutil.copyfile(folder / place(one), aside)
            (cache / place(one)).chmod(0o444)  # as DVC has them: checked-out files may be links to them
    return total


def missing(wanted: Iterable[str], there: Iterable[Path]) -> list[str]:
    """Those of `wanted`, and of what folders among them list, that lie in none of the folders `there`."""
    folders = list(there)
    absent = []
    for one in wanted:
        file = next((folder / place(one) for folder in folders if (folder / place(one)).exists()), None)
        if file is None:
            absent.append(one)
        elif one.endswith(".dir"):
            absent += missing(listed(file), folders)
    return absent


def _verify(file: Path, name: str) -> None:
    if not file.exists():
        raise UserError(f"DVC's cache has no object {name}; run 'dvc commit' or the stage that makes it, and try again")
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "md5").hexdigest()
    if found != name.removesuffix(".dir"):
        raise UserError(f"the object {name} has other bytes than its name says (MD5 {found}); nothing was taken over")


def weight(wanted: Iterable[str], cache: Path) -> int:
    """The bytes of objects in the cache, and of those that folders among them list."""
    total = 0
    for one in wanted:
        total += (cache / place(one)).stat().st_size
        total += weight(listed(cache / place(one)), cache) if one.endswith(".dir") else 0
    return total
