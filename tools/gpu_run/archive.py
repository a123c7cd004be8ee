"""One file to carry, or several of a given size: a gzipped tar, read to its checksum."""

import gzip
import re
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path

from copywriter import files
from copywriter.errors import UserError
from tools import unpacking

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """Bytes of "55M" and the like; ValueError for what is no size."""
    if not (found := re.fullmatch(r"([1-9]\d*)([KMG]?)", text)):
        raise ValueError(f"{text!r} is not a size such as 55M")
    return int(found[1]) * _UNITS[found[2]]


def write(to: Path, folder: Path, part_size: int | None = None) -> list[Path]:
    """Packs what `folder` holds into `to`, or into `to`.1-of-2 and so on of at most `part_size` bytes; the files."""
    for old in [to, *_parts(to)]:
        old.unlink(missing_ok=True)
    with files.new_file(to) as aside, tarfile.open(aside, "w:gz", compresslevel=6) as tar:
        for entry in sorted(folder.iterdir()):
            tar.add(entry, entry.name)
    whole = to.stat().st_size
    if not part_size or whole <= part_size:
        return [to]
    count = -(-whole // part_size)
    parts = [to.with_name(f"{to.name}.{number:0{len(str(count))}}-of-{count}") for number in range(1, count + 1)]
    with to.open("rb") as source:
        for part in parts:
            with part.open("wb") as target:
                left = part_size
                while piece := source.read(min(left, 1 << 20)):
                    target.write(piece)
                    left -= len(piece)
    to.unlink()
    return parts


def exists(file: Path) -> bool:
    """Whether `file` or a part of it is there."""
    return file.exists() or bool(_parts(file))


def unpack(file: Path, folder: Path) -> None:
    """Unpacks `file`, or its parts, into the empty `folder`; UserError when bytes are missing or damaged."""
    pieces = [file] if file.exists() else _whole(file)
    with tempfile.TemporaryFile(dir=folder) as joined:
        for one in pieces:
            with one.open("rb") as part:
                shutil.copyfileobj(part, joined, 1 << 20)
        joined.seek(0)
        try:
            with gzip.GzipFile(fileobj=joined) as stream:
                with tarfile.open(fileobj=stream, mode="r|") as tar:
                    unpacking.extract(tar, folder)
                while stream.read(1 << 20):  # to the end, where gzip compares its checksum
                    pass
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise UserError(f"{file} is torn or damaged ({error}); carry it again") from None


def _parts(file: Path) -> list[Path]:
    return sorted(one for one in file.parent.glob(f"{file.name}.*-of-*") if re.search(r"\.\d+-of-\d+$", one.name))


def _whole(file: Path) -> list[Path]:
    """All parts of `file`, in order."""
    found = _parts(file)
    if not found:
        raise UserError(f"{file} is missing, and so are its parts; give the name without '.1-of-2'")
    count = int(found[0].name.rpartition("-of-")[2])
    width = len(str(count))
    wanted = [file.with_name(f"{file.name}.{number:0{width}}-of-{count}") for number in range(1, count + 1)]
    if missing := [one.name for one in wanted if one not in found]:
        raise UserError(f"{', '.join(missing)} did not come; carry it again")
    return wanted
