"""A URL's bytes into a file: http, https and what fsspec reads; interrupted transfers resume where servers allow it."""

import fcntl
import urllib.parse
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import requests
from tqdm import tqdm

from copywriter.errors import UserError, progress

BLOCK_BYTES = 1 << 20


def download(url: str, to: Path) -> None:
    """Brings `url` to `to`, going on from what an interrupted transfer left there if the source is still the same.

    UserError when it is refused or ends early. Then `to` and `note(to)` stay if the next call can go on from them.
    """
    if url.startswith(("http://", "https://")):
        _download_http(url, to)
    else:
        _download_fsspec(url, to)
    note(to).unlink(missing_ok=True)


def note(to: Path) -> Path:
    """The file beside a part of a download that says which version of its source the part is of."""
    return to.with_name(f"{to.name}.version")


def shown(url: str) -> str:
    """The URL as it may be printed: without password and signature."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(query="", netloc=parts.netloc.rpartition("@")[2]).geturl()


def _download_http(url: str, to: Path) -> None:
    version = _version(to)
    start = to.stat().st_size if version else 0
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    try:
        with requests.get(url, stream=True, timeout=60, headers=headers) as response:
            if response.status_code != 416:
                response.raise_for_status()
            if start and not _goes_on(response, start, version):
                note(to).unlink()
                return _download_http(url, to)
            _keep_version(to, _http_version(response))
            total = start + int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
            _write(to, start, response.iter_content(BLOCK_BYTES), total)
    except requests.RequestException as error:
        status = error.response.status_code if error.response is not None else None
        found = f"the server answers {status}" if status else type(error).__name__
        raise UserError(f"{shown(url)} could not be downloaded ({found}); check it and run again{_rest(to)}") from None
    if total is not None and to.stat().st_size != total:
        raise UserError(f"{shown(url)} ended after {to.stat().st_size:,} of {total:,} bytes; run again{_rest(to)}")
    return None


def _goes_on(response: requests.Response, start: int, version: str) -> bool:
    """Whether an answer is the rest of the version asked for; servers may send all of it, or overlook `If-Range`."""
    same = version in (response.headers.get("ETag", version), response.headers.get("Last-Modified"))
    return same and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _http_version(response: requests.Response) -> str:
    """What `If-Range` takes, or nothing where the server does not serve parts."""
    if response.status_code != 206 and response.headers.get("Accept-Ranges") != "bytes":
        return ""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _download_fsspec(url: str, to: Path) -> None:
    import fsspec  # type: ignore[import-untyped]  # slow to import, and needed by these sources alone

    try:
        files, path = fsspec.url_to_fs(url)
    except ImportError as error:
        raise UserError(f"{shown(url)} needs a package that is not installed: {error} with pip into .venv") from None
    except ValueError:
        raise UserError(f"{shown(url)} is of no kind that fsspec knows; correct the url in sources.yaml") from None
    try:
        version = str(files.ukey(path))
        start = to.stat().st_size if version == _version(to) else 0
        _keep_version(to, version)
        with files.open(path, "rb") as source:
            if start:
                source.seek(start)
            _write(to, start, iter(partial(source.read, BLOCK_BYTES), b""), files.size(path))
    except Exception as error:  # of whatever library fsspec took; its text may hold a secret
        raise UserError(
            f"{shown(url)} could not be read ({type(error).__name__}); check it and your access{_rest(to)}"
        ) from None


def _write(to: Path, start: int, blocks: Iterable[bytes], total: int | None) -> None:
    with to.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another process is downloading {to.name}; wait for it and run again") from None
        stream.truncate(start)
        with tqdm(**progress("B", total), initial=start, unit_scale=True) as bar:
            for block in blocks:
                stream.write(block)
                bar.update(len(block))


def _version(to: Path) -> str:
    return note(to).read_text() if note(to).exists() and to.exists() else ""


def _keep_version(to: Path, version: str) -> None:
    if version:
        note(to).write_text(version)
    else:
        note(to).unlink(missing_ok=True)


def _rest(to: Path) -> str:
    """The end of a sentence that says to run again."""
    return f", it resumes after {to.stat().st_size:,} bytes" if _version(to) and to.stat().st_size else ""
