"""Start, end and failure of a stage: a line each, a UserError as one sentence, timings in runs/timings.json."""

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from copywriter import paths
from copywriter.errors import UserError

_IMPORTED = time.perf_counter()


def run(name: str, work: Callable[[], str]) -> None:
    """Runs `work`, whose result is the summary printed at the end; a UserError is printed as one sentence, exit code 1.

    Wall time (`running`: with all imports) and peak memory go to runs/timings.json, never into a tracked file: equal
    input must give equal bytes.
    """
    warnings.filterwarnings("ignore", category=FutureWarning)  # of the libraries, whose versions are pinned
    print(f"{name}: started", file=sys.stderr, flush=True)
    try:
        summary = work()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    seconds, since_start = running()
    peak_mib = _peak_mib()
    took = f"{seconds:.1f} s{'' if since_start else ' after imports'}, peak {peak_mib:,.0f} MiB"
    print(f"{name}: {summary} ({took})", file=sys.stderr, flush=True)
    _write_timing(name, seconds, peak_mib)


def running() -> tuple[float, bool]:
    """Seconds that this process has run, and whether they count from its start, to 10 ms.

    Only Linux reports that start. Elsewhere, and in a container that hides it, they count from this module's import.
    """
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])  # since the machine's start
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), True
    except (OSError, IndexError):
        return time.perf_counter() - _IMPORTED, False


def _peak_mib() -> float:
    """Peak memory of this process; ru_maxrss would include the process that started it."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):  # not Linux, or a container that hides it
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _write_timing(name: str, seconds: float, peak_mib: float) -> None:
    file = paths.RUNS / "timings.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        timings = json.loads(file.read_text()) if file.exists() else {}
        timings[name] = {"seconds": round(seconds, 2), "peak_mib": round(peak_mib)}
        aside = file.with_name(f"{file.name}.{os.getpid()}")
        aside.write_text(json.dumps(timings, indent=2, sort_keys=True) + "\n")
        aside.replace(file)
    except (OSError, ValueError) as error:  # a missing timing must not fail the stage
        print(f"{name}: {file} could not be written: {error}", file=sys.stderr)
