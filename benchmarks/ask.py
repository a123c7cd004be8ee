"""Seconds from the start of `ask` to its first letter, and to the end: `python -m benchmarks.ask`.

Run it in a checkout with models/base (dvc repro fetch_model), on an otherwise idle machine.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from copywriter import paths


def first_letter(weights: Path) -> tuple[float, float]:
    """Seconds until something is written, and until the command ends."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "copywriter.ask", "--weights", str(weights), "Girls Ballet Tutu Neon Pink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        first = time.perf_counter() - started
        process.stdout.read()
    if process.returncode:
        raise SystemExit(f"ask ended with exit code {process.returncode}; its message stands above")
    return first, time.perf_counter() - started


def main() -> None:
    """Prints each run and the best."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ask", description=__doc__)
    parser.add_argument("--weights", type=Path, default=paths.BASE)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    found = []
    for _ in range(options.runs):
        found.append(first_letter(options.weights))
        print(f"first letter after {found[-1][0]:.1f} s, end after {found[-1][1]:.1f} s", flush=True)
    print(f"best: first letter after {min(first for first, _ in found):.1f} s")


if __name__ == "__main__":
    main()
