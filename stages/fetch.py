"""Puts a data set's published bytes into data/raw: generated, taken out of an archive, copied or downloaded; verified.

Reads: the data set's entry of sources.yaml.
Writes: data/raw/ (the bytes as published, nothing parsed; manifest.json last).
Params: dataset.
"""

import sys
import urllib.parse
from pathlib import Path, PurePosixPath

import requests

from copywriter import canonical, downloads, params, paths, practice, sources, stage
from copywriter.stage import UserError

Entry = sources.Generated | sources.GoogleDrive | sources.File
MANIFEST = "manifest.json"


def fetch(name: str, entry: Entry, folder: Path) -> str:
    """Fills `folder` with the bytes of data set `name` and a manifest, whole or not at all; a summary."""
    with canonical.new_folder(folder) as aside:
        file = published(name, entry, aside)
        size = file.stat().st_size
        manifest = {
            "dataset": name,
            "files": {file.name: {"sha256": canonical.sha256(file), "bytes": size}},
            "title": entry.title,
            "description": entry.description,
            "licence": entry.licence,
        }
        canonical.write_json(aside / MANIFEST, manifest)
    return f"{name}: {file.name}, {size:,} bytes"


def published(name: str, entry: Entry, folder: Path) -> Path:
    """The data set's file, put into `folder`; UserError when it is missing, empty or not the pinned one."""
    if isinstance(entry, sources.Generated):
        return generated(entry, folder / "trn.json")
    if isinstance(entry, sources.GoogleDrive):
        return drive_member(entry, folder)
    source = local_file(name, entry.path) if entry.path else downloaded(name, str(entry.url), entry.sha256)
    if source.name == MANIFEST:
        raise UserError(f"data set {name} is a file called {MANIFEST}, which fetch writes itself; give it another name")
    file = folder / source.name
    downloads.copy(source, file)
    downloads.verify_pinned(file, entry.sha256, f"data set {name}")
    return file


def generated(entry: sources.Generated, file: Path) -> Path:
    """`file`, written by the generator of the practice catalogue."""
    practice.write(file, entry.lines, entry.seed)
    downloads.verify(file, entry.sha256, f"the generated {file.name}", cure="check out copywriter/practice.py again")
    return file


def drive_member(entry: sources.GoogleDrive, folder: Path) -> Path:
    """The member of an archive that Google Drive shares with everyone; without a pin, its hash is printed."""

    def download(to: Path) -> None:
        import gdown  # slow to import, and needed by this kind alone

        try:
            with to.open("wb") as stream:
                quiet = not sys.stderr.isatty()
                gdown.download(id=entry.file_id, output=stream, quiet=quiet, use_cookies=False, timeout=60)
        except (gdown.exceptions.DownloadError, requests.RequestException) as error:
            raise UserError(
                f"Google Drive does not give file {entry.file_id} ({type(error).__name__}), often because its daily "
                f"quota is used up; try again tomorrow, or save it with a browser as {entry.file} and set "
                "COPYWRITER_MIRROR to its folder"
            ) from None

    archive = downloads.cached(entry.file, entry.sha256, f"google-drive:{entry.file_id}", download)
    if entry.sha256 is None:
        line = f'sha256: "{canonical.sha256(archive)}"'
        print(f"fetch: {entry.file} is not pinned; put into its entry of sources.yaml: {line}", file=sys.stderr)
    file = downloads.take_member(archive, entry.member, folder)
    downloads.verify(file, None, entry.member)
    return file


def local_file(name: str, path: Path) -> Path:
    """The file on disk that sources.yaml names."""
    file = downloads.local(path)
    if not file.is_file():
        raise UserError(f"data set {name} is at {path} in sources.yaml, but there is no file {file}; mend the path")
    return file


def downloaded(name: str, url: str, sha256: str | None) -> Path:
    """The file behind a URL, from the mirror, the cache or its server."""
    file = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    if file in ("", ".."):
        raise UserError(f"data set {name} has a url that does not end in a file's name; mend it in sources.yaml")
    return downloads.cached(file, sha256, url, lambda to: downloads.download_url(url, to))


def run(p: params.Params) -> str:
    """Fetches the data set that `p` names; a summary."""
    return fetch(p.dataset, sources.dataset(p.dataset), paths.RAW)


def main() -> None:
    """Wires the stage."""
    stage.run("fetch", lambda: run(params.load()))


if __name__ == "__main__":
    main()
