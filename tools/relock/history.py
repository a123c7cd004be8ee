"""The commit whose code made what dvc.lock says: found by the hashes of the code, not by who wrote dvc.lock last."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from copywriter.errors import UserError
from tools import unpacking
from tools.commands import git


def commit_of(code: Mapping[str, str], name: str) -> str:
    """The newest commit in whose tree every file and folder of `code` has its MD5; UserError when there is none."""
    blobs: dict[str, str] = {}
    for commit in _candidates(sorted(code)):
        if _matches(commit, code, blobs):
            return commit
    raise UserError(
        f"{name}: no commit of this history has the code of dvc.lock; run 'git fetch --unshallow' in a shallow clone, "
        f"else 'dvc repro {name}'"
    )


def extract(commit: str, folder: Path) -> None:
    """Writes the files of a commit into a new folder."""
    done = subprocess.run(["git", "archive", commit], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        unpacking.extract(archive, folder)


def folder_md5(files: Mapping[str, str]) -> str:
    """DVC's hash of a folder, from the MD5 of each file by its relative path."""
    listing = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"


def _candidates(code: list[str]) -> Iterator[str]:
    """HEAD and, newest first, each commit after which one of the paths changed."""
    seen = [git("rev-parse", "HEAD")]
    yield seen[0]
    for line in git("log", "--full-history", "--format=%H %P", "--", *code).splitlines():
        for commit in line.split()[1:]:
            if commit not in seen:
                seen.append(commit)
                yield commit


def _matches(commit: str, code: Mapping[str, str], blobs: dict[str, str]) -> bool:
    tree = {}
    for line in git("ls-tree", "-r", commit, "--", *code).splitlines():
        about, _, path = line.partition("\t")
        tree[path] = about.split()[2]
    for path, expected in code.items():
        inner = {name.removeprefix(f"{path}/"): blob for name, blob in tree.items() if name.startswith(f"{path}/")}
        if path in tree:
            found = _md5(tree[path], blobs)
        elif inner:
            found = folder_md5({name: _md5(blob, blobs) for name, blob in inner.items()})
        else:
            return False
        if found != expected:
            return False
    return True


def _md5(blob: str, known: dict[str, str]) -> str:
    if blob not in known:
        content = subprocess.run(["git", "cat-file", "blob", blob], capture_output=True, check=True).stdout
        known[blob] = hashlib.md5(content).hexdigest()
    return known[blob]
