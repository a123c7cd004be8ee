"""An interrupted download goes on where its server allows it, and never mixes two versions of a file."""

import fcntl
import hashlib
import random
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest

from copywriter import paths
from copywriter.errors import UserError
from copywriter.fetching import downloads, transfers
from tests.conftest import Quiet, served

BODY = random.Random(0).randbytes(50_000)
NEW = random.Random(1).randbytes(40_000)


class Server(ThreadingHTTPServer):
    """One file on loopback, as a server of the kind that its fields describe."""

    body = BODY
    tag = '"one"'
    modified = ""
    ranges = True  # whether parts are served
    heeds_if_range = True
    cut: int | None = None  # the next answer breaks off after so many bytes
    status = 200

    asked: list[tuple[str, str]]  # of each request its Range and its If-Range

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/shop.csv"


class Handler(Quiet, BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        here = self.server
        assert isinstance(here, Server)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", here.url)
            self.end_headers()
            return
        wanted, condition = self.headers.get("Range", ""), self.headers.get("If-Range", "")
        here.asked.append((wanted, condition))
        same = condition in (here.tag, here.modified) or not here.heeds_if_range
        start = int(wanted[6:-1]) if wanted and here.ranges and same else 0
        status = 416 if start >= len(here.body) else 206 if start else here.status
        self.send_response(status)
        if here.ranges:
            self.send_header("Accept-Ranges", "bytes")
        for name, value in (("ETag", here.tag), ("Last-Modified", here.modified)):
            if value:
                self.send_header(name, value)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(here.body) - 1}/{len(here.body)}")
        body = here.body[start:] if status in (200, 206) else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: here.cut])
        if here.cut is not None:
            here.cut = None
            self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    with served(Server(("127.0.0.1", 0), Handler)) as server:
        server.asked = []
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(paths, "MIRROR", None)
    monkeypatch.setattr(transfers, "BLOCK_BYTES", 1_000)
    return tmp_path / "cache"


def get(url: str, expected: bytes | None = None) -> bytes:
    pin = hashlib.sha256(expected).hexdigest() if expected else None
    return downloads.from_url(url, pin).read_bytes()


def left(cache: Path) -> list[str]:
    return sorted(file.name for file in cache.rglob("*") if file.is_file())


def interrupted(server: Server, after: int) -> str:
    server.cut = after
    with pytest.raises(UserError) as caught:
        get(server.url, BODY)
    return str(caught.value)


def test_an_interrupted_download_goes_on(server: Server, cache: Path) -> None:
    assert "run again, it resumes after 20,000 bytes" in interrupted(server, 20_000)
    assert left(cache) == ["shop.csv.part", "shop.csv.part.version"]
    assert "it resumes after 30,000 bytes" in interrupted(server, 10_000)
    assert get(server.url, BODY) == BODY
    assert server.asked == [("", ""), ("bytes=20000-", '"one"'), ("bytes=30000-", '"one"')]
    assert left(cache) == ["shop.csv"]


def test_a_date_will_do_where_there_is_no_tag(server: Server) -> None:
    server.tag, server.modified = 'W/"weak"', "Sun, 22 Nov 2026 00:00:00 GMT"
    interrupted(server, 20_000)
    assert get(server.url, BODY) == BODY
    assert server.asked[1] == ("bytes=20000-", server.modified)


@pytest.mark.parametrize("kind", ["no parts", "no version"])
def test_elsewhere_it_starts_again(server: Server, cache: Path, kind: str) -> None:
    server.ranges, server.tag = (False, '"one"') if kind == "no parts" else (True, "")
    assert interrupted(server, 20_000).endswith("run again")
    assert left(cache) == []
    assert get(server.url, BODY) == BODY
    assert server.asked == [("", ""), ("", "")]


@pytest.mark.parametrize("heeds", [True, False])
@pytest.mark.parametrize("size", [40_000, 10_000])  # the rest of the old one would, or would not, fit
def test_a_file_that_changed_in_between_is_taken_anew(server: Server, heeds: bool, size: int) -> None:
    interrupted(server, 20_000)
    server.body, server.tag, server.heeds_if_range = NEW[:size], '"two"', heeds
    assert get(server.url, NEW[:size]) == NEW[:size]


def test_a_change_that_the_server_hides_is_seen_by_the_hash(server: Server, cache: Path) -> None:
    interrupted(server, 20_000)
    server.body = NEW
    with pytest.raises(UserError, match="has SHA-256"):
        get(server.url, NEW)
    assert left(cache) == []
    assert get(server.url, NEW) == NEW


def test_a_server_in_trouble_does_not_cost_the_part(server: Server) -> None:
    interrupted(server, 20_000)
    server.ranges, server.status = False, 503
    with pytest.raises(UserError, match=r"the server answers 503.*it resumes after 20,000 bytes"):
        get(server.url, BODY)
    server.ranges, server.status = True, 200
    assert get(server.url, BODY) == BODY
    assert server.asked[-1] == ("bytes=20000-", '"one"')


def test_a_redirect_is_followed(server: Server) -> None:
    assert get(server.url.replace("shop.csv", "moved")) == BODY


def test_two_processes_do_not_write_one_file(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "shop.csv").open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"another process is downloading shop\.csv"):
            transfers.download(server.url, tmp_path / "shop.csv")


def test_other_places_are_read_through_fsspec(cache: Path) -> None:
    fsspec.filesystem("memory").pipe("/bucket/shop.csv", BODY)
    assert get("memory://bucket/shop.csv", BODY) == BODY
    with pytest.raises(UserError, match=r"memory://bucket/gone\.csv could not be read \(FileNotFoundError\)"):
        get("memory://bucket/gone.csv")
    assert left(cache) == ["shop.csv"]


def test_there_too_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/bucket/large.csv", BODY)
    part = tmp_path / "large.csv"
    part.write_bytes(b"x" * 20_000)
    transfers.note(part).write_text(str(files.ukey("/bucket/large.csv")))
    transfers.download("memory://bucket/large.csv", part)
    assert part.read_bytes() == b"x" * 20_000 + BODY[20_000:]
    part.write_bytes(b"x" * 20_000)
    transfers.note(part).write_text("of another version")
    transfers.download("memory://bucket/large.csv", part)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://bucket/shop.csv", "s3://bucket/shop.csv needs a package that is not installed: Install s3fs"),
        ("gs://bucket/shop.csv", "needs a package that is not installed: .*gcsfs"),
        ("teleport://user:secret@host/shop.csv", "teleport://host/shop.csv is of no kind that fsspec knows"),
    ],
)
def test_what_is_missing_is_named(url: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        get(url)
