"""Kills a training at many points, types the command again, and compares: `python -m tests.stress.kill --points 20`.

A tiny model by default, or --base. Prints a table mode x point. Equal: the adapter, both histories and the last state
(weights, moments, random states) have the bytes of a run that nothing interrupted. Exit code 1 when any differs.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from copywriter import files, paths
from tests.stress import crash_target
from tests.support import process, tiny

SMALL: dict[str, Any] = {
    "max_length": 160,
    "max_prompt_length": 64,
    "epochs": 2,
    "advanced.log_steps": 3,  # out of step with each other, so that a checkpoint falls between two lines of the history
    "advanced.eval_steps": 5,
    "save_steps": 4,
    "learning_rate": 0.01,
    "lora.dropout": 0.1,
    "schedule.warmup_steps": 2,
    "tracking": [],
}
MODES: dict[str, dict[str, Any]] = {
    f"{quantization} {'packed' if packing else 'padded'} x{8 // micro}": {
        "quantization": quantization,
        "packing": packing,
        "micro_batch_size": micro,
    }
    for quantization, packing, micro in itertools.product(("4bit", "8bit", "none"), (True, False), (8, 2))
}
DVC = "dvc repro"  # the mode in which not the training is killed but the `dvc repro` around it
_STAGE = {
    "cmd": f"{sys.executable} -m tests.stress.crash_target",
    "deps": ["params.yaml", paths.TRAIN.as_posix(), paths.VALIDATION.as_posix(), paths.BASE.as_posix()],
    "outs": [paths.ADAPTER.as_posix()],
    "metrics": [{file.as_posix(): {"cache": False}} for file in (paths.TRAIN_HISTORY, paths.VALIDATION_HISTORY)],
}
_ONCE = ("start", "lock made", "base loaded", "adapter made", "final save", "adapter saved", "adapter unnamed", "end")
_OFTEN = ("half a file", "file", "unnamed", "named", "half removed", "evaluation", "gradient", "history written")

Point = tuple[str, int]


def points(counts: Mapping[str, int], wanted: int) -> list[Point]:
    """`wanted` events of a run that counted so many of each: every kind once, the rest steps spread over the run."""
    # Of what happens often: the middle one, so that there is something to lose on both sides.
    kinds = [(kind, 1) for kind in _ONCE if counts.get(kind)]
    kinds += [(kind, counts[kind] // 2 + 1) for kind in _OFTEN if counts.get(kind)]
    kinds += [("file", counts["file"] // 2 + 2), ("file", counts["file"]), ("half a file", counts["half a file"])]
    steps = max(0, wanted - len(kinds))
    kinds += [("step", 1 + round(n * (counts["step"] - 1) / max(1, steps - 1))) for n in range(steps)]
    return [one for one in kinds if one[1] <= counts[one[0]]][:wanted]


def summary(table: Mapping[str, Mapping[Point, str]]) -> str:
    """A Markdown table of mode x kind of point: equal and how many, or how many of them differ."""
    kinds = list(dict.fromkeys(event for row in table.values() for event, _ in row))
    lines = [f"| mode | {' | '.join(kinds)} |", "| --- " * (len(kinds) + 1) + "|"]
    for mode, row in table.items():
        cells = []
        for kind in kinds:
            of = [wrong for (event, _), wrong in row.items() if event == kind]
            bad = sum(map(bool, of))
            cells.append("" if not of else f"{bad} of {len(of)} DIFFERENT" if bad else f"{len(of)} equal")
        lines.append(f"| {mode} | {' | '.join(cells)} |")
    return "\n".join(lines)


def outcome(room: Path) -> dict[str, str]:
    """Hashes of all that a finished run leaves: adapter, histories, last checkpoint."""
    found = {f"adapter/{name}": one for name, one in files.folder_hashes(room / paths.ADAPTER).items()}
    for file in (paths.TRAIN_HISTORY, paths.VALIDATION_HISTORY):
        found[file.name] = files.sha256(room / file)
    last = max((room / "runs/train").glob("*/checkpoint-*"), key=lambda one: int(one.name.split("-")[1]))
    return found | {f"{last.name}/{name}": one for name, one in files.folder_hashes(last).items()}


def fresh(room: Path, log: Path) -> int:
    """Types the command in `room`; its exit code, negative for a signal."""
    with log.open("a") as out:
        return subprocess.run(
            [sys.executable, "-m", "tests.stress.crash_target"], cwd=room, env=environment(), stdout=out, stderr=out
        ).returncode


def forked(room: Path, log: Path) -> int:
    """The same in a process of its own that is forked from this one, whose libraries are loaded: 5 s sooner."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        with log.open("a") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.chdir(room)
        sys.argv = ["crash_target"]
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        crash_target.main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        os._exit(code)


def strike(type_it: Callable[[Path, Path], int], room: Path, log: Path, point: Point) -> str:
    """Kills the training at `point` and types the command again: what then came of it, "" for what should."""
    (room / crash_target.PLAN).write_text(json.dumps({"event": point[0], "number": point[1], "how": "kill"}))
    code = type_it(room, log)
    if code != -signal.SIGKILL:
        return f"was not killed but ended with {code}"
    code = type_it(room, log)
    return f"ended with {code} when typed again" if code else ""


def strike_dvc(room: Path, log: Path, point: Point) -> str:
    """Kills `dvc repro` at `point` of its training, which lives on, and types `dvc repro` again until it is done.

    At every other step of the run the training is stopped as the message says; else it is waited for.
    """
    (room / crash_target.PLAN).write_text(json.dumps({"event": point[0], "number": point[1], "how": "kill dvc"}))
    code, _ = _dvc(room, log, "repro")
    if code != -signal.SIGKILL:
        return f"was not killed but ended with {code}"
    end = time.monotonic() + 600
    while time.monotonic() < end:
        code, said = _dvc(room, log, "repro")
        if not code:
            return ""
        if "still training this experiment" not in said:
            return f"ended with {code} when typed again"
        if point[1] % 2:
            pid = int(said.partition("process ")[2].split()[0])
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
    return "the training that lived on did not end in 10 minutes"


def main() -> None:
    """Wires the table."""
    options = _options()
    type_it = forked if options.fork else fresh
    with tempfile.TemporaryDirectory(prefix="copywriter-kill-") as scratch:
        place = Path(scratch)
        base = options.base or place / "base"
        if not options.base:  # in a process of its own: this one must not use torch before it forks
            code = "import sys; from pathlib import Path; from tests.support import tiny; tiny.base(Path(sys.argv[1]))"
            subprocess.run([sys.executable, "-c", code, str(base)], env=environment(), check=True)
        given = (one.partition("=") for one in options.set)
        changes = SMALL | {name: yaml.safe_load(value) for name, _, value in given}
        table: dict[str, dict[Point, str]] = {}
        for mode in options.modes:
            log = options.log or place / "log.txt"
            of = _Mode(mode, changes | MODES.get(mode, {}), options, type_it, base, place, log)
            table[mode] = row = of.row()
            for (event, number), wrong in row.items():
                print(f"{mode}, {event} {number}: {wrong or 'equal'}", flush=True)
        print(summary(table))
        if any(any(row.values()) for row in table.values()):
            sys.exit("tests.stress.kill: a run that was killed did not end as one that was not")


@dataclass(frozen=True)
class _Mode:
    """The runs of one mode: one that nothing interrupts, then one for each point."""

    name: str
    changes: Mapping[str, Any]
    options: argparse.Namespace
    type_it: Callable[[Path, Path], int]
    base: Path
    place: Path
    log: Path

    def row(self) -> dict[Point, str]:
        """For each point what was wrong, "" where the end is equal."""
        whole = self._room("whole")
        code = _dvc(whole, self.log, "repro")[0] if self.name == DVC else self.type_it(whole, self.log)
        if code:
            said = self.log.read_text()[-2000:]
            sys.exit(f"tests.stress.kill: {self.name} ended with {code} without being killed; {said}")
        counts = json.loads((whole / crash_target.COUNTS).read_text())
        chosen = points(counts, self.options.points)
        work = partial(self._wrong, outcome(whole))
        if self.options.jobs == 1:
            results = [work(point) for point in chosen]
        else:  # processes that are forked from the main thread before any other starts: `forked` must not fork a thread
            with ProcessPoolExecutor(self.options.jobs, multiprocessing.get_context("fork")) as pool:
                results = list(pool.map(work, chosen))
        shutil.rmtree(whole)
        return dict(zip(chosen, results, strict=True))

    def _wrong(self, expected: Mapping[str, str], point: Point) -> str:
        """What was wrong with the end of a run that was killed at `point`, "" where it is equal."""
        room = self._room(f"{point[0]}-{point[1]}")
        dvc = self.name == DVC
        failed = strike_dvc(room, self.log, point) if dvc else strike(self.type_it, room, self.log, point)
        found = {} if failed else outcome(room)
        shutil.rmtree(room)
        differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        return failed or (f"DIFFERENT: {', '.join(differing)}" if differing else "")

    def _room(self, name: str) -> Path:
        folder = self.place / f"{self.name}-{name}"
        return _room(folder, self.base, self.changes, self.options.rows, self.name == DVC)


def _room(folder: Path, base: Path, changes: Mapping[str, Any], rows: int, dvc: bool) -> Path:
    room = tiny.room(folder, base, changes, rows)
    if dvc:
        (room / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train_qlora": _STAGE}}))
        code, said = _dvc(room, Path(os.devnull), "init", "--no-scm", "-q")
        if code:
            sys.exit(f"tests.stress.kill: dvc init failed: {said}")
    return room


def _dvc(room: Path, log: Path, *words: str) -> tuple[int, str]:
    """Exit code and what was said; a training that outlives a killed dvc holds its pipes, so a file takes the words."""
    with tempfile.TemporaryFile("w+") as out:
        code = subprocess.run(
            [sys.executable, "-m", "dvc", *words], cwd=room, env=environment(), stdout=out, stderr=out
        ).returncode
        out.seek(0)
        said = out.read()
    if log != Path(os.devnull):
        with log.open("a") as stream:
            stream.write(said)
    return code, said


def environment() -> dict[str, str]:
    """The environment of a process that works in a folder of its own."""
    ours = ("COPYWRITER_RUNS", "DVC_ROOT")
    return {name: value for name, value in process.environment().items() if name not in ours}


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.stress.kill", description=__doc__)
    parser.add_argument("--points", type=int, default=20, help="in each mode")
    parser.add_argument("--modes", nargs="+", choices=[*MODES, DVC], default=[*MODES, DVC])
    parser.add_argument("--base", type=Path, help="a folder like models/base")
    parser.add_argument("--rows", type=int, default=160, help="training rows")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to params.yaml")
    parser.add_argument("--jobs", type=int, default=1, help="points at once")
    parser.add_argument("--log", type=Path, help="where what the runs say goes")
    fork = parser.add_mutually_exclusive_group()
    fork.add_argument("--fork", action="store_true", help="fork each run from this process: only without a GPU")
    fork.add_argument("--fresh", dest="fork", action="store_false", help="a new interpreter for each run")
    parser.set_defaults(fork=not torch.cuda.device_count())
    options = parser.parse_args(arguments)
    if options.log:
        options.log = options.log.resolve()
    if options.base:
        options.base = options.base.resolve()
    return options


if __name__ == "__main__":
    main()
