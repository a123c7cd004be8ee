"""The archive that goes to a host and back: its parts make the whole, and missing or damaged parts are refused."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from copywriter import files
from copywriter.errors import UserError
from tools.gpu_run import archive


@pytest.fixture
def packed(tmp_path: Path) -> Iterator[Path]:
    """An archive in four parts and what went into it."""
    (tmp_path / "in/objects").mkdir(parents=True)
    (tmp_path / "in/objects/a").write_bytes(os.urandom(3_500))
    assert len(archive.write(tmp_path / "run.tgz", tmp_path / "in", 1_000)) == 4
    yield tmp_path / "run.tgz"


def test_parts_make_the_whole(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    archive.unpack(packed, tmp_path / "out")
    assert files.folder_hashes(tmp_path / "out") == files.folder_hashes(tmp_path / "in")
    assert archive.write(packed, tmp_path / "in") == [packed]  # parts of an earlier packing do not stay beside it
    assert not list(tmp_path.glob("run.tgz.*"))


@pytest.mark.parametrize("part", [1, 2, 3, 4])
def test_a_part_that_did_not_come_is_named(part: int, packed: Path, tmp_path: Path) -> None:
    packed.with_name(f"run.tgz.{part}-of-4").unlink()
    with pytest.raises(UserError, match=f"{part}-of-4 did not come"):
        archive.unpack(packed, tmp_path / "in")


@pytest.mark.parametrize(("part", "kept"), [(1, 0), (1, 999), (3, 500), (4, 1)])
def test_a_torn_part_is_said(part: int, kept: int, packed: Path, tmp_path: Path) -> None:
    torn = packed.with_name(f"run.tgz.{part}-of-4")
    torn.write_bytes(torn.read_bytes()[:kept])
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="torn or damaged"):
        archive.unpack(packed, tmp_path / "out")


def test_no_member_of_an_archive_leaves_its_folder(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "run.tgz", "w:gz") as tar:
        tar.add(__file__, "../outside")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="torn or damaged"):
        archive.unpack(tmp_path / "run.tgz", tmp_path / "out")
    assert not (tmp_path / "outside").exists()
