"""The whole run over ssh: packs here, runs on the host, imports the results here."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from copywriter.errors import UserError
from tools.gpu_run import home, packing


def run(host: str, folder: str, python: str, given: list[str], with_base: bool, commits: list[str]) -> str:
    """Packs, carries, runs and takes over; the summary. `SSH` in the environment: the command, with its options."""
    with tempfile.TemporaryDirectory() as aside:
        out, back = Path(aside) / "run.tgz", Path(aside) / "home.tgz"
        packing.run(out, given, with_base, None)
        there = shlex.quote(folder)
        with out.open("rb") as stream:
            _ssh(host, f"mkdir -p {there} && cd {there} && rm -rf objects && tar xzf -", stdin=stream)
        _ssh(host, f"cd {there} && PYTHON={shlex.quote(python)} sh start.sh")
        with back.open("wb") as stream:
            _ssh(host, f"cat {there}/home.tgz", stdout=stream)
        return home.run(back, commits)


def _ssh(host: str, command: str, **streams: object) -> None:
    ssh = shlex.split(os.environ.get("SSH", "ssh -o ServerAliveInterval=30"))
    if code := subprocess.run([*ssh, host, command], **streams).returncode:  # type: ignore[call-overload]
        raise UserError(
            f"'{command}' on {host} ended with exit code {code}; see its messages above, "
            "then repeat the same command to continue"
        )
