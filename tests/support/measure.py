"""Wall time and peak memory of a command, all of its processes together."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

EVERY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """Time, peak memory and output of one command."""

    seconds: float
    peak_bytes: int
    printed: str
    failed: str = ""  # why it was killed


def run(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Run:
    """Runs `python COMMAND` in `folder`, with these variables added; kills it before the memory runs out."""
    started, peak, failed = time.perf_counter(), 0, ""
    limit = int(psutil.virtual_memory().available * 0.97)
    with (
        (folder / "printed").open("w+", encoding="utf-8") as printed,
        subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=os.environ | dict(variables), stdout=printed, stderr=printed
        ) as process,
    ):
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            if peak > limit:
                failed = f"out of memory (more than {limit / 2**30:.1f} GiB)"
                process.kill()
            time.sleep(EVERY_SECONDS)
        seconds = time.perf_counter() - started
        printed.seek(0)
        text = printed.read()
    if process.returncode and not failed:
        raise SystemExit(f"{' '.join(command)} failed:\n{text}")
    return Run(seconds, peak, text, failed)


def memory(pid: int) -> int:
    """Bytes of a process and its children: their current proportional set sizes, or the peak of a single process.

    Proportional set sizes count shared pages once. The peak is the kernel's (VmHWM), so short peaks are not missed.
    """
    try:
        family = [process := psutil.Process(pid), *process.children(recursive=True)]
        if len(family) > 1:
            return sum(int(member.memory_full_info().pss) for member in family)
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (psutil.Error, OSError, IndexError):  # it has just ended
        return 0
