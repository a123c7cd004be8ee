"""Holds dvc.lock against code and params, without running anything: `make lock`.

Every stage that dvc.lock knows must be up to date. Where nothing was trained yet the lock may end at analyze_lengths,
and what comes after is named as not run.
"""

import re
import subprocess
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from copywriter import params, paths, stage
from copywriter.errors import UserError

DATA_STAGES = {"fetch", "fetch_model", "clean", "sample", "split", "retrieve", "analyze_lengths"}
_WOULD_RUN = re.compile(r"Running stage '([^']+)'")


def expected(pipeline: Mapping[str, Any], locked: Collection[str]) -> tuple[list[str], list[str]]:
    """The stages that must be up to date, and those that were never run and may wait; foreach stages item by item."""
    names = []
    for name, entry in pipeline["stages"].items():
        names += [f"{name}@{item}" for item in entry["foreach"]] if "foreach" in entry else [name]
    must_hold = [name for name in names if name in DATA_STAGES or name in locked]
    return must_hold, [name for name in names if name not in must_hold]


def stale(output: str) -> list[str]:
    """The stages that `dvc repro --dry` says it would run; UserError when it says neither that nor "up to date"."""
    would_run = _WOULD_RUN.findall(output)
    if not would_run and "Data and pipelines are up to date" not in output:
        raise UserError(f"dvc's answer was not understood: {output.strip()!r}")
    return would_run


def work() -> str:
    """The verdict; UserError when a stage is stale."""
    params.load()
    locked = yaml.safe_load(paths.LOCK.read_text())["stages"] if paths.LOCK.exists() else {}
    must_hold, waiting = expected(yaml.safe_load(paths.PIPELINE.read_text()), locked)
    done = subprocess.run(["dvc", "repro", "--allow-missing", "--dry", *must_hold], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"dvc repro --dry failed: {' '.join(done.stderr.split())}")
    if found := stale(done.stdout):
        raise UserError(
            f"dvc.lock is stale for {', '.join(found)}; run 'make relock' if the code changed without a change of "
            f"outputs, else 'dvc repro {found[-1]}', and commit dvc.lock"
        )
    note = f"; not run yet, waiting for the first full run on a GPU: {', '.join(waiting)}" if waiting else ""
    return f"dvc.lock agrees with code and params for {', '.join(must_hold)}{note}"


def main() -> None:
    """Wires the command."""
    stage.run("lock", work)


if __name__ == "__main__":
    main()
