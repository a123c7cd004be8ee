"""Holds dvc.lock against code and params, without running anything: `make lock`.

Every stage that dvc.lock knows must be up to date. Until the first full run on a GPU is committed, the lock ends at
analyze_lengths, and what comes after is named as not run yet.
"""

import re
import subprocess
import sys
from collections.abc import Collection

import yaml

from copywriter import params, paths

DATA_STAGES = {"fetch", "fetch_model", "clean", "sample", "split", "analyze_lengths"}
_WOULD_RUN = re.compile(r"Running stage '([^']+)'")


def verdict(output: str, locked: Collection[str]) -> tuple[list[str], list[str]]:
    """From what `dvc repro --dry` prints: the stages that are stale, and those that were never run."""
    would_run = _WOULD_RUN.findall(output)
    must_hold = DATA_STAGES | set(locked)
    return [one for one in would_run if one in must_hold], [one for one in would_run if one not in must_hold]


def main() -> None:
    """Prints the verdict; exit code 1 when a stage is stale."""
    params.load()
    done = subprocess.run(["dvc", "repro", "--allow-missing", "--dry"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"lock: dvc repro --dry failed: {done.stderr.strip()}")
    locked = yaml.safe_load(paths.LOCK.read_text())["stages"] if paths.LOCK.exists() else {}
    stale, never_run = verdict(done.stdout, locked)
    if not stale and not never_run and "Data and pipelines are up to date" not in done.stdout:
        raise SystemExit(f"lock: dvc's answer was not understood:\n{done.stdout}{done.stderr}")
    if never_run:
        print(f"lock: not run yet, waiting for the first full run on a GPU: {', '.join(never_run)}")
    if stale:
        print(f"lock: dvc.lock is stale for {', '.join(stale)}; run 'dvc repro {stale[-1]}' and commit dvc.lock")
        sys.exit(1)
    print("lock: dvc.lock agrees with code and params")


if __name__ == "__main__":
    main()
