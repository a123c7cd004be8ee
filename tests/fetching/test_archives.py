"""What comes out of a zip archive is the file that was meant, and it goes nowhere else."""

import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.errors import UserError
from copywriter.fetching import archives

BODY = b'{"title": "Tutu"}\n' * 100


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def archive(tmp_path: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", compression) as content:
        content.writestr("folder/trn.json.gz", BODY)
        content.writestr("../escaped.json", BODY)
    return tmp_path / "a.zip"


def test_a_member_comes_out_under_its_own_name(tmp_path: Path) -> None:
    file = archives.take_member(archive(tmp_path), "folder/trn.json.gz", tmp_path)
    assert file == tmp_path / "trn.json.gz"
    assert file.read_bytes() == BODY


@pytest.mark.parametrize("member", ["../escaped.json", "/etc/passwd", "a/../../b", "..\\escaped.json", "C:\\a", ""])
def test_members_that_leave_the_archive_are_refused(tmp_path: Path, member: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(UserError, match="leaves its archive"):
        archives.take_member(archive(tmp_path), member, inside)
    assert files(tmp_path) == [tmp_path / "a.zip"]


def test_a_missing_member_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a.zip has no member trn.json; .* one that it has: folder/trn.json.gz, "):
        archives.take_member(archive(tmp_path), "trn.json", tmp_path)


@pytest.mark.parametrize("damage", ["not a zip", "cut", "flipped"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_archives_are_refused(tmp_path: Path, damage: str, compression: int) -> None:
    file = archive(tmp_path, compression)
    content = bytearray(file.read_bytes())
    content[50] ^= 255  # the member's bytes begin at 48
    file.write_bytes({"not a zip": BODY, "cut": bytes(content[:-50]), "flipped": bytes(content)}[damage])
    with pytest.raises(UserError, match=r"a.zip is not a whole zip archive"):
        archives.take_member(file, "folder/trn.json.gz", tmp_path)


def make(folder: Path, *names: str) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w") as content:
        for name in names:
            content.writestr(name, BODY)
    return folder / "a.zip"


def test_the_only_file_needs_no_name(tmp_path: Path) -> None:
    litter = ("__MACOSX/._shop.csv", ".DS_Store", "folder/.DS_Store", "folder/")
    file = archives.take_member(make(tmp_path, "folder/shop.csv", *litter), None, tmp_path)
    assert (file.name, file.read_bytes()) == ("shop.csv", BODY)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a.csv", "b.csv"), "a.zip holds 2 files; give one in its entry .* `member: NAME`: a.csv, b.csv$"),
        ((), "a.zip holds 0 files; .*: none"),
        (("/a.csv",), "leaves its archive"),
        (("folder/../../a.csv",), "leaves its archive"),
    ],
)
def test_without_a_name_there_is_no_guessing(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        archives.take_member(make(tmp_path, *names), None, tmp_path)
    assert files(tmp_path) == [tmp_path / "a.zip"]


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("shop.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as content:
        content.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match=r"shop.csv of a.zip is a link"):
        archives.take_member(tmp_path / "a.zip", None, tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as content, content.open("a.csv", "w") as file:
        for _ in range(210):
            file.write(bytes(1 << 20))
    with pytest.raises(UserError, match=r"unpacks from .* to 220,200,960 bytes, .* unpack it and name the file"):
        archives.take_member(tmp_path / "a.zip", None, tmp_path)
    assert files(tmp_path) == [tmp_path / "a.zip"]


def test_a_member_that_is_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    file = make(tmp_path, "a.csv")
    file.write_bytes(file.read_bytes().replace(len(BODY).to_bytes(4, "little"), (9).to_bytes(4, "little")))
    with pytest.raises(UserError, match="not a whole zip archive"):
        archives.take_member(file, None, tmp_path)


def test_a_password_is_named(tmp_path: Path) -> None:
    file = make(tmp_path, "a.csv")
    content = bytearray(file.read_bytes())
    content[6] |= 1  # the flag of encryption, here and in the directory at the end
    content[content.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be unpacked here .*encrypted"):
        archives.take_member(file, None, tmp_path)


@pytest.mark.parametrize(
    ("content", "is_one"),
    [(b"", False), (b"name,text\n", False), (b"PK\x03\x04 cut", True), (b"PAR1", False)],
)
def test_archives_are_told_by_their_bytes(tmp_path: Path, content: bytes, is_one: bool) -> None:
    (tmp_path / "shop").write_bytes(content)
    assert archives.is_archive(tmp_path / "shop") is is_one


def test_a_workbook_is_no_archive(tmp_path: Path) -> None:
    assert archives.is_archive(make(tmp_path, "a.csv"))
    assert not archives.is_archive(make(tmp_path, "[Content_Types].xml", "xl/workbook.xml"))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255), st.booleans()), min_size=1, max_size=6))
def test_a_damaged_archive_is_unpacked_or_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    with zipfile.ZipFile(folder / "shop.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/shop.csv", "name,text\n" + "Mug,A mug.\n" * 9)
    content = bytearray((folder / "shop.zip").read_bytes())
    for place, byte, cut in damage:
        if cut:
            del content[place % len(content)]
        else:
            content[place % len(content)] = byte
    (folder / "shop.zip").write_bytes(content)
    archives.is_archive(folder / "shop.zip")
    try:
        assert archives.take_member(folder / "shop.zip", None, folder).is_file()
    except UserError as error:
        assert "\n" not in str(error)
