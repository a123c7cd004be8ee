"""Errors that a user can correct, and what every long-running command needs: required files and progress bars."""

import sys
from pathlib import Path
from typing import Any


class UserError(Exception):
    """A mistake that the user can correct. Its text is one sentence: what was found, where, and the cure."""


def existing(path: Path, command: str) -> Path:
    """`path`; UserError with the command that creates it when it is missing."""
    if not path.exists():
        raise UserError(f"{path} is missing; run '{command}'")
    return path


def progress(unit: str, total: int | None = None) -> dict[str, Any]:
    """Arguments for a tqdm bar that shows on a terminal and is silent in a log."""
    return {"unit": f" {unit}", "total": total, "disable": None, "file": sys.stderr, "leave": False}
