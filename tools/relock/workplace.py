"""A copy of the working tree in which stages run in full and must give the outputs of dvc.lock."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
from dvc.exceptions import DvcException

from copywriter import paths
from copywriter.errors import UserError
from tools.commands import git
from tools.relock.history import folder_md5
from tools.relock.lockfile import Lockfile, Stale

_RUNNER = Path(__file__).with_name("runner.py")


def md5(path: Path) -> str:
    """DVC's hash of a file or folder."""
    if path.is_dir():
        return folder_md5({one.relative_to(path).as_posix(): md5(one) for one in path.rglob("*") if one.is_file()})
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


class Runner:
    """One process that runs stages in forks of itself, so that the libraries are imported once."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.count = 0
        self.process: subprocess.Popen[str] | None = None  # started with the first stage

    def run(self, folder: Path, module: str, arguments: Sequence[str] = (), trace: Path | None = None) -> str | None:
        """Runs a module in `folder`, its state under `runs` there; the last of its messages when it failed."""
        self.count += 1
        log = self.scratch / f"{self.count}.log"
        job = {
            "folder": str(folder),
            "module": module,
            "arguments": list(arguments),
            "environment": {"COPYWRITER_RUNS": str(folder / "runs"), "DVC_ROOT": str(folder)},
            "log": str(log),
            "trace": str(trace) if trace else None,
        }
        if self.process is None:
            command = [sys.executable, str(_RUNNER)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer == "0":
            return None
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1] if lines else f"exit code {answer or self.process.poll()}"

    def close(self) -> None:
        """Ends the process."""
        if self.process and self.process.stdin:
            self.process.stdin.close()
            self.process.wait()


class Workplace:
    """The copy, the outputs brought into it, and the stages that ran in it."""

    def __init__(self, folder: Path, lock: Lockfile, runner: Runner, rescore: bool = False) -> None:
        """`rescore`: what evaluate computes from its texts may differ from dvc.lock; it is then in `rescored`."""
        self.folder, self.lock, self.runner, self.rescore = folder, lock, runner, rescore
        self.rescored: dict[str, Path] = {}  # outputs of evaluate that differ -> their new files
        self.seen: dict[str, list[str]] = {}  # stage -> what differs
        for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
            if name and name not in lock.outs and not name.startswith("adapters/") and Path(name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(name, folder / name)

    def provide(self, out: str) -> list[str]:
        """Brings an output of dvc.lock: from the working tree, DVC's cache or remote, or from its stage, run here.

        What differs where it had to be made; UserError when it can only be trained or generated.
        """
        stage = self.lock.stage(self.lock.made_by[out])
        if self._place(out):
            return []
        if stage.name == "train_qlora" or (stage.name.startswith("evaluate") and "predictions" in out):
            cure = f"dvc pull {out}" if out in self.lock.cached else f"git checkout {out}"
            raise UserError(f"{out} of dvc.lock is neither here nor in its remote; run '{cure}'")
        return self.rerun(stage)

    def rerun(self, stage: Stale) -> list[str]:
        """Runs a stage, or of evaluate what follows the model's answers; what differs from dvc.lock."""
        if stage.name not in self.seen:
            self.seen[stage.name] = self._rerun(stage)
        return self.seen[stage.name]

    def _rerun(self, stage: Stale) -> list[str]:
        kind, _, variant = stage.name.partition("@")
        inputs = stage.inputs
        if kind == "evaluate":
            inputs = (paths.TRAIN.as_posix(), paths.predictions(variant).as_posix())
        if problems := [problem for one in inputs for problem in self.provide(one)]:
            return problems
        for out in stage.outs:
            link = self.folder / out
            if link.is_symlink():  # the stage might write through it, into the working tree
                link.unlink()
                if out in inputs:
                    shutil.copy(out, link)
        if kind == "evaluate":
            how = json.loads(paths.scores(variant).read_text(encoding="utf-8"))["scored"]
            failed = self.runner.run(self.folder, "tools.relock.rescore", [variant, *how])
        else:
            failed = self.runner.run(self.folder, stage.module, stage.arguments)
        if failed:
            return [f"{stage.name} fails with today's code: {failed}"]
        made = {out: self.folder / out for out in stage.outs}
        other = [
            out
            for out, file in made.items()
            if not file.exists() or (md5(file) != stage.outs[out] and not self._same_table(out, file))
        ]
        if kind == "evaluate" and self.rescore:
            self.rescored |= {out: made[out] for out in other if "predictions" not in out}
            other = [out for out in other if out not in self.rescored]
        return [f"{stage.name} writes another {out} than dvc.lock has" for out in other]

    def _same_table(self, out: str, file: Path) -> bool:
        """Whether a Parquet file has the columns and rows of dvc.lock's; pyarrow's version decides its bytes."""
        if file.suffix != ".parquet":
            return False
        locked = Path(out)
        if not locked.exists() or md5(locked) != self.lock.outs[out]:
            locked = file.with_name(f"locked-{file.name}")
            if not self._from_cache(out, locked):
                return False
        return bool(pq.read_table(file).equals(pq.read_table(locked)))

    def _place(self, out: str) -> bool:
        """Whether the output of dvc.lock is, or could be brought, in this folder."""
        target, here = self.folder / out, Path(out)
        expected: str = self.lock.outs[out]
        if target.exists():
            return md5(target) == expected
        target.parent.mkdir(parents=True, exist_ok=True)
        if here.exists() and md5(here) == expected:
            target.symlink_to(here.resolve())
            return True
        return out in self.lock.cached and self._from_cache(out, target) and md5(target) == expected

    def _from_cache(self, out: str, target: Path) -> bool:
        """Copies an output from DVC's cache, into which its remote is asked for it."""
        with suppress(DvcException):  # no remote, or not in it
            self.lock.repo.fetch(targets=[out])
        cache = self.lock.repo.cache.local
        whole = Path(cache.oid_to_path(self.lock.outs[out]))
        if not whole.exists():
            return False
        parts = {"": whole}
        if whole.suffix == ".dir":
            listing = json.loads(whole.read_text())
            parts = {one["relpath"]: Path(cache.oid_to_path(one["md5"])) for one in listing}
        if not all(file.exists() for file in parts.values()):
            return False
        for name, file in parts.items():
            place = target / name if name else target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
        return True
