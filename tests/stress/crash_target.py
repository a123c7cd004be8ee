"""The training stage, struck at a counted event: `python -m tests.stress.crash_target` reads from a file when and how.

Without the file it is the stage as it is, so that the same command, typed again, goes on.
"""

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from copywriter import files
from copywriter.checkpoints import checkpoint_files, lock
from copywriter.training import experiment, tracking
from copywriter.training.step import Step
from copywriter.training.trainer import QloraTrainer
from stages import train_qlora

PLAN = Path("strike.json")  # {"event": name, "number": of its occurrence, from 1, "how": a key of `_WAYS`}
COUNTS = Path("events.json")


class Strikes:
    """Counts events and strikes at the one that the plan names."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self.counts: Counter[str] = Counter()

    def at(self, event: str) -> None:
        """An event happens."""
        self.counts[event] += 1
        if (event, self.counts[event]) == (self._plan.get("event"), self._plan.get("number")):
            _WAYS[self._plan["how"]]()

    def planned(self, event: str) -> bool:
        """Whether the next occurrence is the one."""
        return (event, self.counts[event] + 1) == (self._plan.get("event"), self._plan.get("number"))

    def around(self, place: Any, name: str, before: str = "", after: str = "") -> None:
        """Makes calls of a function events."""
        function: Callable[..., Any] = getattr(place, name)

        def counted(*given: Any, **named: Any) -> Any:
            if before:
                self.at(before)
            result = function(*given, **named)
            if after:
                self.at(after)
            return result

        setattr(place, name, counted)


def watch(strikes: Strikes) -> None:
    """Makes what happens in a run events: steps, measurements, and every write."""
    strikes.around(lock.Writer, "_create", after="lock made")
    strikes.around(experiment.Experiment, "adapted", before="base loaded", after="adapter made")
    strikes.around(Step, "gradients", before="step", after="gradient")
    strikes.around(Step, "loss", before="evaluation", after="evaluated")
    strikes.around(QloraTrainer, "validation_loss", after="validated")
    strikes.around(tracking, "write_history", before="history", after="history written")
    strikes.around(files, "rewrite_json", before="adapter saved")
    strikes.around(train_qlora, "save", before="final save", after="finally saved")
    strikes.around(checkpoint_files, "_prune", before="pruning", after="pruned")
    write_file, rmtree, rename, replace = checkpoint_files.write_file, shutil.rmtree, Path.rename, Path.replace

    def written(file: Path, content: bytes) -> None:
        if strikes.planned("half a file"):
            file.write_bytes(content[: len(content) // 2])
        strikes.at("half a file")
        write_file(file, content)
        strikes.at("file")

    def removed(path: Any, *rest: Any, **named: Any) -> None:
        if Path(path).name.startswith("checkpoint-"):
            if strikes.planned("half removed"):
                next(one for one in Path(path).iterdir()).unlink()
            strikes.at("half removed")
        rmtree(path, *rest, **named)

    def renamed(path: Path, target: Any) -> Path:
        checkpoint = path.name.startswith(".checkpoint-")
        if checkpoint:
            strikes.at("unnamed")
        result = rename(path, target)
        if checkpoint:
            strikes.at("named")
        return result

    def replaced(path: Path, target: Any) -> Path:
        if Path(target).name == "adapter":
            strikes.at("adapter unnamed")
        return replace(path, target)

    checkpoint_files.write_file, shutil.rmtree = written, removed  # type: ignore[assignment]
    Path.rename, Path.replace = renamed, replaced  # type: ignore[method-assign,assignment]


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_dvc() -> None:
    """Kills the `dvc repro` that this process runs under, and goes on, as it then does."""
    pid = os.getppid()
    while b"\0repro" not in (line := Path(f"/proc/{pid}/cmdline").read_bytes()) or b"dvc" not in line:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(pid, signal.SIGKILL)


def _run_out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is.")


_WAYS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "kill dvc": _kill_dvc,
    "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
    "out of memory": _run_out_of_memory,
}


def main() -> None:
    """Runs the stage in the working folder; the counts of all events are left beside it."""
    plan = json.loads(PLAN.read_text()) if PLAN.exists() else {}
    PLAN.unlink(missing_ok=True)
    strikes = Strikes(plan)
    watch(strikes)
    strikes.at("start")
    train_qlora.main()
    strikes.at("end")
    if os.environ.get("RANK", "0") == "0":
        COUNTS.write_text(json.dumps(strikes.counts))


if __name__ == "__main__":
    main()
