"""Puts a data set's published bytes into data/raw: generated, taken out of an archive, copied or downloaded; verified.

Reads: the data set's entry of sources.yaml, and the file in catalogues/ that it may name.
Writes: data/raw/ (the bytes as published, nothing parsed; manifest.json last).
Params: dataset.
"""

import sys
from pathlib import Path

import requests

from copywriter import files, params, paths, sources, stage
from copywriter.errors import UserError
from copywriter.fetching import archives, downloads, practice

Entry = sources.Generated | sources.GoogleDrive | sources.File
MANIFEST = "manifest.json"
LAYOUT = {
    "format",
    "encoding",
    "delimiter",
    "quoting",
    "header_row",
    "sheet",
}  # what an entry may fix, and clean else guesses


def fetch(name: str, entry: Entry, folder: Path) -> str:
    """Fills `folder` with the bytes of data set `name` and a manifest, whole or not at all; a summary."""
    with files.new_folder(folder) as aside:
        file = published(name, entry, aside)
        size = file.stat().st_size
        manifest = {
            "dataset": name,
            "files": {file.name: {"sha256": files.sha256(file), "bytes": size}},
            "title": entry.title,
            "description": entry.description,
            **({"facts": entry.fact_columns} if entry.facts else {}),
            "licence": entry.licence,
            **(entry.model_dump(include=LAYOUT, exclude_none=True) if isinstance(entry, sources.File) else {}),
        }
        files.write_json(aside / MANIFEST, manifest)
    return f"{name}: {file.name}, {size:,} bytes"


def published(name: str, entry: Entry, folder: Path) -> Path:
    """The data set's file, put into `folder`; UserError when it is missing, empty or not the pinned one."""
    if isinstance(entry, sources.Generated):
        return generated(entry, folder / "trn.json")
    if isinstance(entry, sources.GoogleDrive):
        return drive_member(entry, folder)
    return file_bytes(name, entry, folder)


def file_bytes(name: str, entry: sources.File, folder: Path) -> Path:
    """The file on disk or behind a URL, or the member of it that the entry names, put into `folder`."""
    if entry.path:
        source = local_file(name, entry.path, entry.sha256)
    else:
        source = downloads.from_url(str(entry.url), entry.sha256)
    if entry.sha256 is None:
        downloads.verify_pinned(source, None, f"data set {name}")
    if entry.member or archives.is_archive(source):
        file = archives.take_member(source, entry.member, folder)
        downloads.verify(file, None, file.name)
    else:
        file = folder / source.name
        downloads.copy(source, file)
    if file.name == MANIFEST:
        raise UserError(f"data set {name} is a file called {MANIFEST}, which fetch writes itself; give it another name")
    return file


def generated(entry: sources.Generated, file: Path) -> Path:
    """`file`, written by the generator of the practice catalogue."""
    practice.write(file, entry.lines, entry.seed)
    downloads.verify(
        file, entry.sha256, f"the generated {file.name}", cure="check out copywriter/fetching/practice.py again"
    )
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
        line = f'sha256: "{files.sha256(archive)}"'
        print(f"fetch: {entry.file} is not pinned; put into its entry of sources.yaml: {line}", file=sys.stderr)
    file = archives.take_member(archive, entry.member, folder)
    downloads.verify(file, None, entry.member)
    return file


def local_file(name: str, path: Path, expected: str | None) -> Path:
    """The file in catalogues/ that sources.yaml names; UserError when it is not there, or was edited."""
    if cure := downloads.misplaced(path):
        raise UserError(f"data set {name}: {cure}")
    file = paths.CATALOGUES / path.name
    if not downloads.local(file).is_file():
        raise UserError(f"data set {name} is at {file} in sources.yaml, but there is no such file; bring it there")
    if not file.exists():
        # Queued and --temp experiments run in a copy of what Git tracks. Were the file not here when DVC writes its
        # lock, DVC would know the folder without it, and take the next such experiment's for unchanged after an edit.
        file.symlink_to(downloads.local(file).resolve())
    pin = f"type 'python -m copywriter.inspect {file} --pin {name}'"
    downloads.verify(file, expected, str(file), cure="bring the old one back", pin=pin)
    return file


def run(p: params.Params) -> str:
    """Fetches the data set that `p` names; a summary."""
    return fetch(p.dataset, sources.dataset(p.dataset), paths.RAW)


def main() -> None:
    """Wires the stage."""
    stage.run("fetch", lambda: run(params.load()))


if __name__ == "__main__":
    main()
