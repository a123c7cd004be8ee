"""sources.yaml as checked objects: where data sets and models come from, each pinned."""

import codecs
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from copywriter import params, paths
from copywriter.errors import UserError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^\w[^/\\]*$")]
Member = Annotated[str, Field(pattern=r"[^/\\]$")]
Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]  # a commit: branches and tags move


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except LookupError:
        raise ValueError(f"{encoding!r} is no encoding of text; give one such as utf-8, utf-16 or cp1252") from None


Encoding = Annotated[str, AfterValidator(_known)]


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
    member: Member | None = None  # of a zip archive
    # How to read it, where the guess is wrong.
    format: Literal["jsonl", "json", "csv", "parquet", "xlsx", "xml"] | None = None
    encoding: Encoding | None = None
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n]$')] | None = None
    quoting: Literal["double", "backslash", "spaced", "none"] | None = None
    header_row: params.Count | None = None  # the line, or the sheet's row, that names the columns
    sheet: Annotated[str, Field(min_length=1)] | None = None

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
    hub_name: Repository | None = None  # its name on the hub, which the model card links to; nothing is fetched by it


class Hub(params.Section):
    kind: Literal["hub"]
    repo: Repository
    revision: Revision
    gated: bool = False
    pickle: bool = False
    licence: str


class Folder(params.Section):
    kind: Literal["folder"]
    path: Path
    licence: str
    hub_name: Repository | None = None


class Gguf(params.Section):
    kind: Literal["gguf"]
    path: Path | None = None
    repo: str | None = None
    revision: Revision | None = None
    file: str | None = None
    gated: bool = False
    sha256: Sha256 | None = None
    licence: str
    hub_name: Repository | None = None

    @model_validator(mode="after")
    def _has_one_place(self) -> "Gguf":
        if (self.path is None) == (self.repo is None) or (self.repo and not (self.revision and self.file)):
            raise ValueError("give either path, or repo with revision and file")
        return self


Dataset = Annotated[Generated | GoogleDrive | File, Field(discriminator="kind")]
Model = Annotated[Wheel | Hub | Folder | Gguf, Field(discriminator="kind")]


class Sources(params.Section):
    @field_validator("datasets", "models", mode="before")
    @classmethod
    def _has_names(cls, entries: object) -> object:
        for name in entries if isinstance(entries, dict) else ():
            if not isinstance(name, str):  # `off:`, `2024:`, `2024-06-01:`
                raise ValueError(
                    f"the entry called {name} needs another name: YAML reads it as a {type(name).__name__}"
                )
        return entries

    datasets: dict[params.Name, Dataset]
    models: dict[params.Name, Model]


def load(path: Path = paths.SOURCES) -> Sources:
    """The checked sources; UserError names every mistake at once."""
    return params.read(Sources, path)


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


def hub_name(entry: Model) -> str | None:
    """The model's name on the hub: the repository that it came from, or what its entry says."""
    return entry.repo if isinstance(entry, Hub) else entry.hub_name
