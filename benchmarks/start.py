"""Seconds from `dvc repro train_qlora` to the first optimizer step, part by part: `python -m benchmarks.start`.

Cold: without tokenized rows or compilations of an earlier run. Warm: the same again, with what the cold run left under
runs/. `--ask` measures instead the seconds from the start of `ask` to its first letter and to its end. Run it in a
checkout with data/ (not for --ask) and models/base, on an otherwise idle machine.
"""

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from copywriter import errors, params, paths
from copywriter.errors import UserError
from tests.support import trial
from tests.support.tiny import ROOT

TARGETS = {"cold": 90.0, "warm": 30.0}  # seconds
WITH_DVC = importlib.util.find_spec("dvc") is not None  # else the stage alone is timed, and the table says so
_CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "DVC_ROOT")  # the user's caches are warm


def checkout(folder: Path, changes: dict[str, Any]) -> None:
    """Makes `folder` a checkout with this code, the data, the base model and DVC."""
    for name in ("benchmarks", "copywriter", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (paths.TRAIN, paths.VALIDATION):
        _take(str(errors.existing(path, "dvc repro split")), folder / path)
    for made, command in ((paths.NEIGHBOURS, "dvc repro retrieve"), (paths.BASE, "dvc repro fetch_model")):
        shutil.copytree(errors.existing(made, command), folder / made, copy_function=_take)
    given = trial.changed(params.load(), changes)
    (folder / "params.yaml").write_text(yaml.safe_dump(given.model_dump()))
    if WITH_DVC:
        for words in (("init", "-q", "--no-scm"), ("config", "core.analytics", "false")):
            subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=True)


def _take(source: str, target: str | Path) -> None:
    """Links a file, or copies it where the disk has no hard links."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def environment(folder: Path) -> dict[str, str]:
    """One GPU, and runs/ and compilation caches under `folder` instead of the user's."""
    kept = {key: value for key, value in os.environ.items() if key not in _CACHES}
    return {"CUDA_VISIBLE_DEVICES": "0", **kept, "COPYWRITER_RUNS": str(folder / "runs")}


def measure(folder: Path) -> dict[str, float]:
    """Seconds by part, from the command to the first step; SystemExit with the log when it is not reached."""
    result, log = folder / "seconds.json", folder / "log"
    result.unlink(missing_ok=True)
    given = environment(folder)
    begun = time.time()
    command = [sys.executable, "-m", "benchmarks.startup_trace", str(begun), str(result)]
    if WITH_DVC:
        entry = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["train_qlora"]
        outs = [one if isinstance(one, str) else next(iter(one)) for one in entry["outs"]]
        pipeline = {"stages": {"train_qlora": {**entry, "cmd": shlex.join(command), "outs": outs}}}
        (folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline))
        command = [sys.executable, "-m", "dvc", "repro", "train_qlora"]
    with log.open("w") as out:
        code = subprocess.run(command, cwd=folder, env=given, stdout=out, stderr=out).returncode
    if not result.exists():
        raise SystemExit(f"benchmarks.start: exit code {code} before the first step:\n{log.read_text()}")
    found: dict[str, float] = json.loads(result.read_text())
    return found


def table(found: dict[str, dict[str, float]]) -> str:
    """Seconds of each part by run, the longest part of the first run first, and their sums."""
    names: set[str] = set().union(*found.values())
    parts = sorted(([one.get(name, 0.0) for one in found.values()], name) for name in names)
    rows = [(name, seconds) for seconds, name in reversed(parts) if max(seconds) >= 0.05]
    rows.append(("**in all**", [sum(one.values()) for one in found.values()]))
    rows.append(("target", [TARGETS[name] for name in found]))
    lines = [f"| {name} | {' | '.join(f'{one:.1f}' for one in seconds)} |" for name, seconds in rows]
    return "\n".join([f"| part | {' | '.join(found)} |", "| --- |" + " --- |" * len(found), *lines])


def first_letter(weights: Path) -> tuple[float, float, float]:
    """Seconds until `ask` writes its first byte, its CPU seconds until then, and seconds until it ends."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "copywriter.ask", "--weights", str(weights), "Girls Ballet Tutu Neon Pink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        first = time.perf_counter() - started
        used = cpu_seconds(process.pid)
        process.stdout.read()
    if process.returncode:
        raise SystemExit(f"ask ended with exit code {process.returncode}; see its message above")
    return first, used, time.perf_counter() - started


def cpu_seconds(process: int) -> float:
    """User and system time of a running process, from /proc."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_of_ask(runs: int) -> None:
    """Prints the seconds of each run of `ask`, and the best."""
    found = []
    for _ in range(runs):
        found.append(first_letter(paths.BASE))
        first, used, end = found[-1]
        print(f"first letter after {first:.1f} s ({used:.1f} s of CPU time), end after {end:.1f} s", flush=True)
    print(f"best: first letter after {min(one[0] for one in found):.1f} s")


def start_of_training(changes: dict[str, Any]) -> None:
    """Prints the table of a cold and a warm start."""
    with tempfile.TemporaryDirectory(prefix="copywriter-start-") as scratch:
        folder = Path(scratch)
        try:
            checkout(folder, changes)
        except UserError as error:
            sys.exit(f"benchmarks.start: {error}")
        found = {name: measure(folder) for name in TARGETS}
        step = [line for line in (folder / "log").read_text().splitlines() if line.startswith("train_qlora: run plan")]
    how = "dvc repro" if WITH_DVC else "without DVC, which is not installed"
    print("\n".join([f"{params.load().model}, {how}; {' '.join(step)}", table(found)]))


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to params.yaml")
    parser.add_argument("--ask", type=int, metavar="RUNS", help="time this many runs of `ask` instead of a training")
    options = parser.parse_args()
    if options.ask:
        start_of_ask(options.ask)
    else:
        start_of_training({key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in options.set)})


if __name__ == "__main__":
    main()
