"""On the host: checks the base model against dvc.lock, runs the experiments, packs what each of them made."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from copywriter import errors, files, paths
from copywriter.errors import UserError
from tools import lock
from tools.commands import DVC, dvc, git
from tools.gpu_run import archive, experiments, objects, pipeline

RECORD = "gpu_run.json"  # under runs/: what took how long, on which machine
_FAILED = re.compile(r"failed to reproduce '([^']+)'")


def run(folder: Path, to: Path, part_size: int | None) -> str:
    """Runs what start.sh has checked out; the summary.

    The archive is written after each experiment, so that a lost host costs one. Experiments that this host has finished
    are not run again, nor those in an archive at `to` that another host wrote.
    """
    plan = json.loads(errors.existing(folder / "plan.json", "sh start.sh").read_text())
    if (here := git("rev-parse", "HEAD")) != plan["commit"]:
        raise UserError(f"this checkout is at {here[:10]}, and {plan['commit'][:10]} was packed; run start.sh again")
    with tempfile.TemporaryDirectory() as shims:
        _python_in_path(Path(shims))
        prepare(folder)
        take_over(to, plan)
        pieces: list[Path] = []
        for name, settings in plan["experiments"]:
            ran = experiment(name, settings, plan["commit"])
            if ran or not pieces:
                pieces = experiments.pack(to, plan, _record(), part_size)
    names = ", ".join(f"{file} ({file.stat().st_size / 2**20:.1f} MiB)" for file in pieces)
    return f"{names}; at home: python -m tools.gpu_run home {to.name}"


def _python_in_path(folder: Path) -> None:
    """dvc.yaml's commands say `python`: makes that this interpreter, also where the host has only python3."""
    shim = folder / "python"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    shim.chmod(0o755)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def prepare(folder: Path) -> None:
    """Data and base model as they were at home; UserError when the base model differs or DVC would make data anew."""
    if subprocess.run(["git", "config", "user.email"], capture_output=True).returncode:  # DVC commits experiments
        git("config", "user.name", "gpu-run")
        git("config", "user.email", "gpu-run@localhost")
    git("reset", "-q", "--hard")
    cache = objects.store()
    objects.take(objects.verified(folder / "objects"), folder / "objects", cache)
    locked = pipeline.hashes(paths.LOCK.read_text())
    base = paths.BASE.as_posix()
    dvc("checkout", "-q", "-f", *pipeline.carried())
    if not objects.missing([locked[base]], [cache]):
        dvc("checkout", "-q", "-f", base)
    dvc("repro", "-q", "-s", pipeline.BASE)
    if (found := pipeline.hashes(paths.LOCK.read_text())[base]) != locked[base]:
        raise UserError(
            f"this host makes {base} {found}, and dvc.lock has {locked[base]}: its transformers or torch write other "
            "bytes; pack with --with-base"
        )
    git("reset", "-q", "--hard")
    # One by one, without fetch: a shop's own file, and all before the split, stays at home.
    dry = [*DVC, "repro", "--dry", "--allow-missing", "-s", *sorted(pipeline.HERE - {"fetch"})]
    done = subprocess.run(dry, capture_output=True, text=True)
    # A stage that would run is named as one, or as one that fails for want of what stayed at home.
    stale = _FAILED.findall(done.stderr) if done.returncode else lock.stale(done.stdout)
    if done.returncode and not stale:
        raise UserError(f"dvc repro --dry failed: {' '.join(done.stderr.split())}")
    if stale:
        raise UserError(
            f"DVC would run {', '.join(stale)} here, and other library versions make other bytes; pack again at home"
        )


def take_over(file: Path, wanted: dict[str, Any]) -> None:
    """Takes over what another host finished of the plan `wanted`, from the archive that it wrote."""
    here = [name for name, _ in wanted["experiments"] if experiments.finished(name, wanted["commit"])]
    if here or not archive.exists(file):
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive.unpack(file, folder)
        plan = json.loads((folder / "plan.json").read_text())
        if plan["commit"] != wanted["commit"]:
            print(f"gpu_run: {file} is of commit {plan['commit'][:10]} and is written anew", file=sys.stderr)
            return
        experiments.accept(folder, plan)
    files.write_json(paths.RUNS / RECORD, plan["record"])


def experiment(name: str, settings: list[str], commit: str) -> bool:
    """Runs one experiment as DVC does, training and what follows alone, and notes its times; whether it had to."""
    if experiments.finished(name, commit):
        print(f"gpu_run: {name} has already run; skipped", file=sys.stderr)
        return False
    git("reset", "-q", "--hard", commit)
    git("clean", "-q", "-f", "-d")  # metrics that the experiment before wrote and this commit has not
    (paths.RUNS / "timings.json").unlink(missing_ok=True)
    started = time.perf_counter()
    changes = [word for setting in settings for word in ("-S", setting)]
    dvc("exp", "run", "-n", name, *changes, "--downstream", *pipeline.FIRST_THERE)
    seconds = time.perf_counter() - started
    if not experiments.finished(name, commit):
        raise UserError(f"DVC saved no experiment {name}; see its messages above")
    timings = json.loads((paths.RUNS / "timings.json").read_text())
    record = _record() | {name: {"seconds": round(seconds, 2), "stages": timings, "machine": _machine()}}
    files.write_json(paths.RUNS / RECORD, record)
    print(f"gpu_run: {describe(name, record[name])}", file=sys.stderr, flush=True)
    return True


def describe(name: str, record: dict[str, Any]) -> str:
    """An experiment's seconds, in all and by stage, as a sentence."""
    stages = ", ".join(f"{stage} {entry['seconds']:.1f} s" for stage, entry in record["stages"].items())
    return f"{name}: {record['seconds']:.1f} s from start to report ({stages})"


def _record() -> dict[str, Any]:
    file = paths.RUNS / RECORD
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _machine() -> dict[str, str]:
    """Versions and processor of the last training."""
    notes = sorted(paths.RUNS.glob("train/*/machine.json"), key=lambda file: file.stat().st_mtime)
    found: dict[str, str] = json.loads(notes[-1].read_text()) if notes else {}
    return found
