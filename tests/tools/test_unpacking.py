"""Unpacking: files and folders arrive, nothing is written elsewhere; also where tarfile has no filters."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import unpacking


@pytest.fixture(params=["with filters", "Python 3.11.2"], autouse=True)
def filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param != "with filters":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    yield


def unpacked(tmp_path: Path, member: tarfile.TarInfo, mode: str) -> Path:
    """A folder into which an archive of a folder `a`, a file `a/b` and `member` was unpacked."""
    file, folder = tmp_path / "one.tar", tmp_path / "out"
    folder.mkdir()
    with tarfile.open(file, "w") as archive:
        inside = tarfile.TarInfo("a")
        inside.type, inside.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(inside)
        content = tarfile.TarInfo("a/b")
        content.size = 5
        archive.addfile(content, io.BytesIO(b"bytes"))
        archive.addfile(member, io.BytesIO(b""))
    with file.open("rb") as stream, tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        unpacking.extract(archive, folder)
    return folder


@pytest.mark.parametrize("mode", ["r:", "r|"])
def test_files_and_folders_arrive(tmp_path: Path, mode: str) -> None:
    folder = unpacked(tmp_path, tarfile.TarInfo("c/d"), mode)
    assert (folder / "a" / "b").read_bytes() == b"bytes"
    assert (folder / "c" / "d").read_bytes() == b""


@pytest.mark.parametrize("mode", ["r:", "r|"])
@pytest.mark.parametrize("place", ["../outside", "a/../../outside"])
def test_nothing_is_written_elsewhere(tmp_path: Path, place: str, mode: str) -> None:
    with pytest.raises(tarfile.TarError):
        unpacked(tmp_path, tarfile.TarInfo(place), mode)
    assert not (tmp_path / "outside").exists()


def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "../../outside"
    with pytest.raises(tarfile.TarError):
        unpacked(tmp_path, link, "r:")
