"""Unpacks tar archives that came from somewhere else."""

import tarfile
from pathlib import Path


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Writes the archive's files and folders into `folder`; tarfile.TarError for a member that would leave it."""
    if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
        archive.extractall(folder, filter="data")
        return
    for member in archive:
        place = (folder / member.name).resolve()
        if not (place.is_relative_to(folder.resolve()) and (member.isreg() or member.isdir())):
            raise tarfile.ExtractError(f"{member.name} is no file or folder below {folder}")
        archive.extract(member, folder)
