"""Zip archives: one file taken out, and none that leaves the folder, is a link or fills the disk."""

import errno
import hashlib
import lzma
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from copywriter.errors import UserError

MAX_RATIO = 200  # of unpacked to packed bytes; text reaches 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, UnicodeError, struct.error, OverflowError)
_LITTER = re.compile(r"^__MACOSX/|(^|/)\.[^./]")  # what file managers add to an archive


@contextmanager
def opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive to read; UserError when it is damaged or cannot be unpacked."""
    try:
        with zipfile.ZipFile(archive) as content:
            yield content
    except _DAMAGED as error:
        raise UserError(f"{archive} is not a whole zip archive ({error}); remove it and run again") from None
    except (NotImplementedError, RuntimeError) as error:  # a password, or a compression that Python does not have
        raise UserError(f"{archive} cannot be unpacked here ({error}); unpack it and name the file in it") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place outside the file, which a damaged archive names
            raise
        raise UserError(f"{archive} is not a whole zip archive ({error}); remove it and run again") from None


def is_archive(file: Path) -> bool:
    """Whether a file is a zip archive to take a member out of, which an Excel workbook is not."""
    with file.open("rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            return False
    try:
        with opened(file) as content:
            return "[Content_Types].xml" not in content.namelist()
    except UserError:
        return True


def take_member(archive: Path, member: str | None, folder: Path) -> Path:
    """The file `member` of a zip archive (a wheel is one), taken out into `folder` under its own name.

    Without a `member` the archive's only file. UserError when it has no such file or one that is not to be taken out.
    """
    with opened(archive) as content:
        info = _member(archive.name, content, member)
        name = PureWindowsPath(info.filename).name  # takes / and \ for separators
        with content.open(info) as source, (folder / name).open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    return folder / name


def append_member(archive: Path, member: str, target: BinaryIO) -> str:
    """Writes the file `member` of a zip archive to an open file; its SHA-256. UserError like `take_member`."""
    found = hashlib.sha256()
    with opened(archive) as content, content.open(_member(archive.name, content, member)) as source:
        while block := source.read(1 << 20):
            found.update(block)
            target.write(block)
    return found.hexdigest()


def _member(archive: str, content: zipfile.ZipFile, member: str | None) -> zipfile.ZipInfo:
    named = [info for info in content.infolist() if info.filename]  # a damaged archive may have one without a name
    files = [info for info in named if not info.is_dir() and not _LITTER.search(info.filename)]
    names = ", ".join(info.filename for info in files[:8]) or "none"
    if member is None:
        if {"mimetype", "content.xml"} <= set(content.namelist()):
            raise UserError(f"{archive} is an OpenDocument file (LibreOffice); save it as .xlsx or CSV")
        if len(files) != 1:
            raise UserError(
                f"{archive} holds {len(files):,} files; give one in its entry of sources.yaml, "
                f"such as `member: NAME`: {names}"
            )
        member = files[0].filename
    path = PureWindowsPath(member)
    if path.anchor or ".." in path.parts or not path.name:
        raise UserError(f"member {member!r} of {archive} leaves its archive; give a path inside it, without '..'")
    if member not in content.namelist():
        raise UserError(f"{archive} has no member {member}; name in sources.yaml one that it has: {names}")
    info = content.getinfo(member)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UserError(f"member {member} of {archive} is a link; name the file that it leads to")
    if info.file_size > MAX_RATIO * max(info.compress_size, 1 << 20):
        raise UserError(
            f"member {member} of {archive} unpacks from {info.compress_size:,} to {info.file_size:,} bytes, "
            "which no catalogue does; if it is meant, unpack it and name the file"
        )
    return info
