"""Published bytes on disk: found in the mirror or the cache, or downloaded, verified and renamed last."""

import hashlib
import os
import shlex
import shutil
import urllib.parse
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from copywriter import files, paths
from copywriter.errors import UserError
from copywriter.fetching import transfers


def local(path: Path) -> Path:
    """The place of a path: relative ones start at the repository's root, also in DVC's --temp folders."""
    return Path(os.environ.get("DVC_ROOT") or ".") / path.expanduser()


def misplaced(path: Path) -> str | None:
    """What to do with a catalogue's file that is not in catalogues/, or None.

    Directly there, not in a folder inside it: DVC follows a link to a file, but none to a folder.
    """
    folder = local(path).parent.resolve()
    if folder == local(paths.CATALOGUES).resolve():
        return None
    file, place = shlex.quote(str(folder / path.name)), paths.CATALOGUES
    return (
        f"{path} is not in {place}/, the folder whose edits DVC notices; "
        f"move it there or type `ln -s {file} {place}/`, and name it {place / path.name}"
    )


def mirrored(name: str) -> Path | None:
    """The file or folder called `name` in the mirror, which is looked at before any download."""
    place = paths.MIRROR / name if paths.MIRROR else None
    return place if place and place.exists() else None


def cached(file: str, expected: str | None, origin: str, download: Callable[[Path], None]) -> Path:
    """The file called `file` whose SHA-256 is `expected`: from the mirror, the cache, or through `download(aside)`.

    A download is verified, then renamed into the cache under its hash, so that no reader ever sees half a file. Without
    `expected` it is kept under its `origin` (a URL, a file id) until its hash is pinned, and then found again. Half a
    download stays aside only if `download` left a note that it can go on. Raises UserError when the bytes are others
    than expected.
    """
    if found := mirrored(file):
        verify(found, expected)
        return found
    unpinned = paths.CACHE / f"unpinned-{hashlib.sha256(origin.encode()).hexdigest()[:16]}" / file
    place = paths.CACHE / expected / file if expected else unpinned
    if place.exists():
        verify(place, expected, cure=f"remove {place} and run again")
        return place
    if unpinned.exists() and files.sha256(unpinned) == expected:
        place.parent.mkdir(parents=True, exist_ok=True)
        return unpinned.replace(place)
    aside = unpinned.with_name(f"{file}.part")
    aside.parent.mkdir(parents=True, exist_ok=True)
    try:
        download(aside)
        verify(aside, expected, file)
        place.parent.mkdir(parents=True, exist_ok=True)
        return aside.replace(place)
    finally:
        if not transfers.note(aside).exists():
            aside.unlink(missing_ok=True)


def from_url(url: str, expected: str | None) -> Path:
    """The file behind a URL, from the mirror, the cache or its server."""
    file = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    if file in ("", ".."):
        raise UserError(f"{transfers.shown(url)} does not end in a file's name; correct the url")
    return cached(file, expected, url, lambda to: transfers.download(url, to))


def verify(
    file: Path,
    expected: str | None,
    name: str | None = None,
    cure: str = "get it again",
    pin: str = "pin the new hash",
) -> None:
    """Raises UserError when the file is empty, or its SHA-256 is not `expected` (None: any)."""
    if not file.stat().st_size:
        raise UserError(f"{name or file} is empty; get it again from where it is published")
    if expected and (found := files.sha256(file)) != expected:
        raise UserError(
            f"{name or file} has SHA-256 {found}, but sources.yaml pins {expected}; "
            f"it was changed or damaged: {cure}, or {pin} if the change is meant"
        )


def verify_pinned(file: Path, expected: str | None, name: str) -> None:
    """`verify` for the file of an entry that must carry a pin: without one, UserError gives the line that pins it."""
    verify(file, expected, file.name)
    if expected is None:
        raise UserError(
            f"{name} has no sha256 in sources.yaml; to pin {file.name} as found ({file.stat().st_size:,} bytes), "
            f'add this line to its entry: sha256: "{files.sha256(file)}"'
        )


def hub_token(repo: str, gated: bool) -> str | None:
    """The hub's token from the environment; UserError when a gated repository has none."""
    token = os.environ.get("HF_TOKEN") or None
    if gated and not token:
        raise UserError(
            f"{repo} is gated: accept its licence on its hub page, "
            "then set HF_TOKEN to a token of your account and run again"
        )
    return token


def copy(source: Path, to: Path) -> None:
    """Copies a file's bytes, without its permissions and times."""
    shutil.copyfile(source, to)
