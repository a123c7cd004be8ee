"""Brings dvc.lock up to date after a change of code that changes no output, without a GPU: `make relock`.

For each stage whose code is not that of dvc.lock:
- code of equal meaning (copywriter/code_hash.py) needs no run;
- training and generation run on a small case, with today's code and with that of the commit that dvc.lock belongs to,
  and must give equal bits; code that this did not run must not have changed, or the command runs on a CUDA machine;
- all else runs in full and must give the hashes of dvc.lock: data, scores of the committed texts, comparison, report.

Then the new hashes of the code go into dvc.lock, and into metrics/relocked.json which code the training's is equal to.
Anything that differs is named, and nothing is written.

With --rescore the scores may differ, after a change of the metrics: the committed texts are scored again, the new files
of evaluate are written, and `dvc repro` then runs what follows.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from copywriter import files, paths, stage
from copywriter.code_hash import closure, code_hash
from copywriter.errors import UserError
from tools import commands
from tools.relock import history, small_case
from tools.relock.lockfile import Lockfile, Stale
from tools.relock.workplace import Runner, Workplace, md5

_FINGERPRINT = "copywriter.checkpoints.fingerprint"


def same_meaning(today: Path, locked: Path, one: Stale) -> bool:
    """Whether a stage's modules have equal hashes in two checkouts, and its other files equal bytes."""
    file = one.module.replace(".", "/") + ".py"
    if not (today / file).exists() or not (locked / file).exists():
        return False

    hashes = [code_hash(closure(root / file)) for root in (today, locked)]
    return hashes[0] == hashes[1] and other_files(today, one) == other_files(locked, one)


def other_files(root: Path, one: Stale) -> Counter[str]:
    """The hashes of what a stage's code holds besides modules: templates, lists."""
    inside = [path for dep in one.code for path in [root / dep, *(root / dep).rglob("*")]]
    return Counter(md5(path) for path in inside if path.is_file() and path.suffix not in (".py", ".pyc"))


def work(rescore: bool = False) -> str:
    """Replays and writes; the summary. UserError with all that differs."""
    lock = Lockfile()
    stale = lock.stale()
    if rescore:
        stale = [one for one in stale if one.name.startswith((small_case.TRAINED, small_case.GENERATED))]
    if not stale:
        return "no stage's code changed since dvc.lock was written"
    with tempfile.TemporaryDirectory(prefix="copywriter-relock-") as name:
        scratch = Path(name).resolve()
        lines, original, rescored = _proved(lock, stale, scratch, rescore)
        for out, content in {out: file.read_bytes() for out, file in rescored.items()}.items():
            Path(out).unlink(missing_ok=True)  # it may be a link into DVC's cache
            Path(out).write_bytes(content)
    before = paths.LOCK.read_bytes()
    lock.write(stale, rescored)
    if wanted := _still_stale([one.name for one in stale]):
        paths.LOCK.write_bytes(before)
        raise UserError(f"nothing was written: after it DVC would still run a stage: {wanted}")
    if original:
        files.write_json(paths.RELOCKED, {"training_code": original})
    for line in lines:
        print(f"relock: {line}", flush=True)
    also = [*([str(paths.RELOCKED)] if original else []), *(out for out in rescored if out not in lock.cached)]
    then = "; run 'dvc repro', then commit it" if rescored else "; commit it"
    return f"dvc.lock has the code of {len(stale)} stages now{then}" + (f" with {', '.join(also)}" if also else "")


def _proved(
    lock: Lockfile, stale: Sequence[Stale], scratch: Path, rescore: bool
) -> tuple[list[str], dict[str, str], dict[str, Path]]:
    """A line a stage on how it was proved, the training's code with the code it is equal to, and the new scores."""
    commits = {one.name: history.commit_of(one.code, one.name) for one in stale}
    for commit in set(commits.values()):
        history.extract(commit, scratch / commit)
    runner = Runner(scratch)
    try:
        place = Workplace(scratch / "today", lock, runner, rescore)
        return *_replayed(place, stale, commits, scratch), place.rescored
    finally:
        runner.close()


def _replayed(
    place: Workplace, stale: Sequence[Stale], commits: dict[str, str], scratch: Path
) -> tuple[list[str], dict[str, str]]:
    try:
        changed = [one for one in stale if not same_meaning(place.folder, scratch / commits[one.name], one)]
    except SyntaxError as error:
        where = Path(str(error.filename)).relative_to(place.folder)
        raise UserError(f"{where}, line {error.lineno}: {error.msg}; correct it and run 'make relock' again") from None
    lines = [
        f"{one.name}: the code means the same as in commit {commits[one.name][:10]}"
        for one in stale
        if one not in changed
    ]
    small = [one for one in changed if one.name.startswith((small_case.TRAINED, small_case.GENERATED))]
    found = [
        f"{one.name}: a file of its code that is no Python module changed"
        for one in small
        if other_files(place.folder, one) != other_files(scratch / commits[one.name], one)
    ]
    on_cuda = bool(small) and small_case.cuda()
    for one in changed:
        if one.name != small_case.TRAINED:
            started = time.perf_counter()
            found += place.rerun(one)
            what = "its texts scored again in full" if one in small else "run in full"
            equal = "new scores" if place.rescored.keys() & one.outs.keys() else "outputs equal"
            lines.append(f"{one.name}: {what}, {equal} ({time.perf_counter() - started:.0f} s)")
    for commit in sorted({commits[one.name] for one in small}):
        started = time.perf_counter()
        group = [one for one in small if commits[one.name] == commit]
        found += small_case.differences(place, group, commit, scratch / f"small-{commit}", on_cuda)
        names = ", ".join(one.name for one in group)
        lines.append(
            f"{names}: a small case with today's code and that of commit {commit[:10]} on "
            f"{'CUDA' if on_cuda else 'the CPU'}, equal bits ({time.perf_counter() - started:.0f} s)"
        )
    if found := list(dict.fromkeys(found)):
        for problem in found:
            print(f"relock: {problem}", file=sys.stderr, flush=True)
        raise UserError(
            f"{len(found)} {'thing differs' if len(found) == 1 else 'things differ'}; nothing was written; undo the "
            f"change, run 'make relock' on a CUDA machine, or run 'dvc repro {stale[-1].name}'"
        )
    trained = [one for one in small if one.name == small_case.TRAINED]
    return lines, _training_code(place, scratch / commits[trained[0].name], scratch) if trained else {}


def _training_code(place: Workplace, locked: Path, scratch: Path) -> dict[str, str]:
    """Where they differ: today's hash of the training's code -> the hash in the committed adapter's fingerprint."""
    (place.folder / paths.RELOCKED).unlink(missing_ok=True)  # so that it says its own hash
    found = []
    for folder in (place.folder, locked):
        failed = place.runner.run(folder, _FINGERPRINT)
        if failed:
            raise UserError(f"the fingerprint of the committed code cannot be computed: {failed}; run 'dvc repro'")
        found.append((scratch / f"{place.runner.count}.log").read_text().split()[-1])
    now, then = found
    return {now: then} if now != then else {}


def _still_stale(names: Sequence[str]) -> str:
    """What DVC says when it would run one of the stages; empty when it would not."""
    command = [*commands.DVC, "repro", "--allow-missing", "--dry", "--single-item", *names]
    done = subprocess.run(command, capture_output=True, text=True)
    answer = " ".join((done.stdout + done.stderr).split())
    return answer if done.returncode or "Running stage" in answer else ""


def main() -> None:
    """Wires the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.relock", description=__doc__)
    parser.add_argument("--rescore", action="store_true", help="write the new scores of the committed texts")
    options = parser.parse_args()
    stage.run("relock", lambda: work(options.rescore))


if __name__ == "__main__":
    main()
