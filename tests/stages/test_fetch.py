"""data/raw holds the published bytes and a manifest, or is not there."""

import gzip
import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from copywriter import files, paths, sources
from copywriter.errors import UserError
from copywriter.fetching import practice
from stages import fetch
from tests.conftest import Quiet, served

ROOT = Path(__file__).parents[2]
BODY = b'{"title": "Girls Ballet Tutu Neon Pink", "content": "3 layer ballet tutu"}\n'
PIN = hashlib.sha256(BODY).hexdigest()
OTHER = "0" * 64
FIELDS: dict[str, Any] = {"title": "title", "description": "content", "licence": "mine"}
RAW = Path("data/raw")


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout to stand in, with a cache and a mirror of its own."""
    for name in ("checkout", "mirror"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkout" / "catalogues").mkdir()
    monkeypatch.chdir(tmp_path / "checkout")
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(paths, "MIRROR", tmp_path / "mirror")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path / "checkout"


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server that has /shop.jsonl."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/shop.jsonl" else 404)
            self.end_headers()
            self.wfile.write(BODY)

        def do_CONNECT(self) -> None:
            self.send_error(403)

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as http:
        yield f"http://127.0.0.1:{http.server_address[1]}"


def file_entry(**keys: Any) -> sources.File:
    return sources.File.model_validate({"kind": "file", **FIELDS, **keys})


def drive_entry(**keys: Any) -> sources.GoogleDrive:
    place = {"file_id": "1a2b", "file": "raw.zip", "member": "LF/trn.json.gz", "sha256": None}
    return sources.GoogleDrive.model_validate({"kind": "google-drive", **FIELDS, **place, **keys})


def drive_archive(folder: Path) -> bytes:
    """A zip archive as the official one is built, put into `folder`; the bytes of its gzipped member."""
    packed = gzip.compress(BODY)
    with zipfile.ZipFile(folder / "raw.zip", "w") as content:
        content.writestr("LF/trn.json.gz", packed)
        content.writestr("LF/lbl.json.gz", b"")
        content.writestr("../trn.json.gz", packed)
    return packed


def manifest() -> Any:
    return json.loads((RAW / "manifest.json").read_text())


def test_a_local_file_is_copied_as_it_is(checkout: Path) -> None:
    (checkout / "catalogues/shop.jsonl").write_bytes(BODY)
    summary = fetch.fetch("shop", file_entry(path="catalogues/shop.jsonl", sha256=PIN), RAW)
    assert summary == f"shop: shop.jsonl, {len(BODY)} bytes"
    assert (RAW / "shop.jsonl").read_bytes() == BODY
    assert manifest() == {"dataset": "shop", "files": {"shop.jsonl": {"sha256": PIN, "bytes": len(BODY)}}, **FIELDS}


def test_what_the_entry_fixes_reaches_clean_through_the_manifest(checkout: Path) -> None:
    (checkout / "catalogues/shop.csv").write_bytes(BODY)
    layout = {"format": "csv", "encoding": "cp1252", "delimiter": ";"}
    entry = file_entry(path="catalogues/shop.csv", sha256=PIN, **layout | {"encoding": "Windows-1252"})
    fetch.fetch("shop", entry, RAW)
    assert {key: manifest()[key] for key in layout} == layout


@pytest.mark.parametrize("member", [None, "folder/shop.jsonl"])
def test_a_zip_archive_of_ones_own_is_unpacked(checkout: Path, member: str | None) -> None:
    with zipfile.ZipFile(checkout / "catalogues/shop.zip", "w") as content:
        content.writestr("folder/shop.jsonl", BODY)
        content.writestr("__MACOSX/folder/._shop.jsonl", b"")
    pin = files.sha256(checkout / "catalogues/shop.zip")
    fetch.fetch("shop", file_entry(path="catalogues/shop.zip", sha256=pin, member=member), RAW)
    assert manifest()["files"] == {"shop.jsonl": {"sha256": PIN, "bytes": len(BODY)}}
    assert (RAW / "shop.jsonl").read_bytes() == BODY


def test_a_workbook_is_no_archive(checkout: Path) -> None:
    workbook = checkout / "catalogues/shop.xlsx"
    with zipfile.ZipFile(workbook, "w") as content:
        content.writestr("[Content_Types].xml", "")
    fetch.fetch("shop", file_entry(path="catalogues/shop.xlsx", sha256=files.sha256(workbook)), RAW)
    assert list(manifest()["files"]) == ["shop.xlsx"]


def test_an_edited_file_names_the_command_that_pins_it(checkout: Path) -> None:
    (checkout / "catalogues/shop.jsonl").write_bytes(BODY + b"{}\n")
    with pytest.raises(UserError, match=r"type 'python -m copywriter\.inspect catalogues/shop\.jsonl --pin my-shop'"):
        fetch.fetch("my-shop", file_entry(path="catalogues/shop.jsonl", sha256=PIN), RAW)


def test_fetching_twice_gives_equal_bytes(checkout: Path) -> None:
    (checkout / "catalogues/shop.jsonl").write_bytes(BODY)
    hashes = []
    for _ in range(2):
        fetch.fetch("shop", file_entry(path="catalogues/shop.jsonl", sha256=PIN), RAW)
        hashes.append(files.folder_hashes(RAW))
    assert hashes[0] == hashes[1]


def test_a_url_is_downloaded(server: str) -> None:
    fetch.fetch("shop", file_entry(url=f"{server}/shop.jsonl", sha256=PIN), RAW)
    assert (RAW / "shop.jsonl").read_bytes() == BODY


@pytest.mark.parametrize("place", ["path", "url"])
def test_without_a_pin_the_line_to_paste_is_given_and_works(checkout: Path, server: str, place: str) -> None:
    (checkout / "catalogues/shop.jsonl").write_bytes(BODY)
    where = {"path": "catalogues/shop.jsonl"} if place == "path" else {"url": f"{server}/shop.jsonl"}
    with pytest.raises(UserError) as caught:
        fetch.fetch("shop", file_entry(**where), RAW)
    line = str(caught.value).rpartition("add this line to its entry: ")[2]
    assert line == f'sha256: "{PIN}"'
    assert not RAW.exists()
    fetch.fetch("shop", file_entry(**where, sha256=line.split('"')[1]), RAW)
    assert RAW.exists()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"path": "catalogues/shop.jsonl", "sha256": OTHER}, "shop.jsonl has SHA-256 .* but sources.yaml pins 0000"),
        ({"url": "{server}/shop.jsonl", "sha256": OTHER}, "shop.jsonl has SHA-256 .* but sources.yaml pins 0000"),
        ({"url": "{server}/gone.jsonl", "sha256": PIN}, "gone.jsonl could not be downloaded .the server answers 404."),
        ({"url": "{server}/", "sha256": PIN}, "does not end in a file's name"),
        ({"url": "{server}/a%2F..", "sha256": PIN}, "does not end in a file's name"),
        ({"path": "catalogues/gone.jsonl", "sha256": PIN}, "at catalogues/gone.jsonl in .*, but there is no such"),
        ({"path": "catalogues/../catalogues", "sha256": PIN}, "is not in catalogues/"),
        ({"path": "catalogues/folder/shop.jsonl", "sha256": PIN}, "is not in catalogues/"),
        ({"path": "../shop.jsonl", "sha256": PIN}, "data set shop: ../shop.jsonl is not in catalogues/, .* `ln -s /"),
        ({"path": "catalogues/empty.jsonl", "sha256": PIN}, "empty.jsonl is empty"),
        ({"path": "catalogues/empty.jsonl"}, "empty.jsonl is empty"),
        ({"path": "catalogues/manifest.json", "sha256": PIN}, "give it another name"),
        ({"path": "catalogues/shop.jsonl", "sha256": PIN, "member": "a.csv"}, "is not a whole zip archive"),
    ],
)
def test_what_cannot_be_fetched_leaves_nothing(checkout: Path, server: str, keys: dict[str, str], message: str) -> None:
    (checkout / "catalogues/shop.jsonl").write_bytes(BODY)
    (checkout / "catalogues/manifest.json").write_bytes(BODY)
    (checkout / "catalogues/empty.jsonl").touch()
    with pytest.raises(UserError, match=message):
        fetch.fetch("shop", file_entry(**{key: value.format(server=server) for key, value in keys.items()}), RAW)
    assert not RAW.exists()
    assert list(Path("data").iterdir()) == []


def test_a_member_is_taken_out_of_the_archive_and_stays_gzipped(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = drive_archive(checkout.parent / "mirror")
    archive = files.sha256(checkout.parent / "mirror" / "raw.zip")
    fetch.fetch("official", drive_entry(), RAW)
    assert (RAW / "trn.json.gz").read_bytes() == packed
    assert sorted(files.folder_hashes(RAW)) == ["manifest.json", "trn.json.gz"]
    assert f'raw.zip is not pinned; put into its entry of sources.yaml: sha256: "{archive}"' in capsys.readouterr().err
    fetch.fetch("official", drive_entry(sha256=archive), RAW)
    assert "not pinned" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sha256": OTHER}, "raw.zip has SHA-256 .* but sources.yaml pins 0000"),
        ({"member": "../trn.json.gz"}, "leaves its archive"),
        ({"member": "/trn.json.gz"}, "leaves its archive"),
        ({"member": "LF/tst.json.gz"}, "raw.zip has no member LF/tst.json.gz"),
        ({"member": "LF/lbl.json.gz"}, "LF/lbl.json.gz is empty"),
    ],
)
def test_what_an_archive_does_not_give_leaves_nothing(checkout: Path, keys: dict[str, str], message: str) -> None:
    drive_archive(checkout.parent / "mirror")
    with pytest.raises(UserError, match=message):
        fetch.fetch("official", drive_entry(**keys), RAW)
    assert not RAW.exists()


def test_google_drive_is_asked_once(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gdown

    drive_archive(checkout)
    signature = inspect.signature(gdown.download)
    asked = []

    def download(*args: Any, **keys: Any) -> BinaryIO:
        asked.append(signature.bind(*args, **keys).arguments)
        stream: BinaryIO = keys["output"]
        stream.write((checkout / "raw.zip").read_bytes())
        return stream

    monkeypatch.setattr(gdown, "download", download)
    for pin in (None, None, files.sha256(checkout / "raw.zip")):
        fetch.fetch("official", drive_entry(sha256=pin), RAW)
    assert [one["id"] for one in asked] == ["1a2b"]


def test_google_drive_that_refuses_is_one_sentence(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, server)  # refuses every CONNECT: nothing leaves this machine
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"does not give file 1a2b .*save it with a browser as raw\.zip"):
        fetch.fetch("official", drive_entry(), RAW)
    assert not RAW.exists()
    assert not [file for file in paths.CACHE.rglob("*") if file.is_file()]


def test_the_practice_catalogue_is_generated_and_pinned(tmp_path: Path) -> None:
    practice.write(tmp_path / "trn.json", 200, 7)
    pin = files.sha256(tmp_path / "trn.json")
    keys = {"kind": "generated", "lines": 200, **FIELDS, "sha256": pin}
    fetch.fetch("practice", sources.Generated.model_validate({**keys, "seed": 7}), RAW)
    assert files.sha256(RAW / "trn.json") == pin
    shutil.rmtree(RAW)
    with pytest.raises(UserError, match=r"the generated trn\.json has SHA-256"):
        fetch.fetch("practice", sources.Generated.model_validate({**keys, "seed": 8}), RAW)
    assert not RAW.exists()


def stage_process(*, dataset: str, page: str) -> subprocess.CompletedProcess[str]:
    """`python -m stages.fetch` in this working folder, with `page` as its sources.yaml."""
    text = (ROOT / "params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("dataset: practice-catalogue", f"dataset: {dataset}"))
    Path("sources.yaml").write_text(page)
    command = [sys.executable, "-m", "stages.fetch"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_stage_reads_its_params_and_says_what_it_did() -> None:
    Path("catalogues/shop.jsonl").write_bytes(BODY)
    entry = json.dumps(file_entry(path="catalogues/shop.jsonl", sha256=PIN).model_dump(mode="json"))
    done = stage_process(dataset="shop", page=f'{{"datasets": {{"shop": {entry}}}, "models": {{}}}}')
    assert done.returncode == 0, done.stderr
    assert f"fetch: shop: shop.jsonl, {len(BODY)} bytes" in done.stderr
    assert manifest()["dataset"] == "shop"


def test_a_users_mistake_is_one_sentence_without_a_traceback() -> None:
    done = stage_process(dataset="amazon", page=(ROOT / "sources.yaml").read_text())
    assert done.returncode == 1
    known = ", ".join(sorted(sources.load(ROOT / "sources.yaml").datasets))
    sentence = f"fetch: dataset 'amazon' is not in sources.yaml, which has {known}"
    assert done.stderr.splitlines() == ["fetch: started", sentence]


def test_nothing_heavy_is_imported() -> None:
    heavy = "{'torch', 'transformers', 'gdown', 'pyarrow', 'huggingface_hub'}"
    program = f"import sys, stages.fetch, stages.fetch_model; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
