"""Runs Git and DVC; their output, or a one-sentence error."""

import subprocess
import sys

from copywriter.errors import UserError

DVC = [sys.executable, "-m", "dvc"]


def git(*words: str, folder: str = ".") -> str:
    """Git's output in `folder`; UserError when it fails."""
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"git {words[0]} failed: {' '.join(done.stderr.split())}")
    return done.stdout.strip()


def dvc(*words: str) -> None:
    """Runs DVC with its messages shown; UserError when it fails."""
    if code := subprocess.run([*DVC, *words]).returncode:
        raise UserError(f"'dvc {' '.join(words)}' ended with exit code {code}; see its messages above")


def clean_tree(cure: str) -> None:
    """UserError with the cure when the working tree has changed or untracked files."""
    if changed := git("status", "--porcelain").splitlines():
        names = ", ".join(line[2:].strip() for line in changed[:5]) + (", ..." if len(changed) > 5 else "")
        raise UserError(f"not committed: {names}; {cure}")
