"""The small case that two versions of the code run: some training steps and texts, on the committed data and base."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from copywriter import paths, records
from copywriter.retrieval import neighbours
from tools.relock import history, residue
from tools.relock.lockfile import Stale
from tools.relock.workplace import Workplace

TRAINED, GENERATED = "train_qlora", "evaluate"
_ROWS = {paths.TRAIN: 6, paths.VALIDATION: 2, paths.TEST: 4}
_WORDS = 24  # tokens of a response, beside the prompt's limit
_SMALL = {  # where a version's params.yaml has the key
    "batch_size": 2,
    "micro_batch_size": 1,
    "log_steps": 1,
    "eval_steps": 3,
    "save_steps": 2,
    "schedule.warmup_steps": 1,
    "retrieval.max_length": 24,
    "decoding.candidates": 2,
    "decoding.max_new_tokens": 8,
    "decoding.batch_size": 4,
}
_OF_THE_CODE = ("fingerprint", "sha256")  # in a receipt: what names the code, and a hash over that


@dataclass(frozen=True)
class Side:
    """A version of the code in a folder of its own, and the lines of it that ran."""

    name: str  # in a message
    folder: Path
    ran: residue.Ran


def cuda() -> bool:
    """Whether this machine replays on a GPU; asked in another process, which then holds CUDA and ends."""
    question = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    return any(Path("/dev").glob("nvidia[0-9]*")) and not subprocess.run([sys.executable, "-c", question]).returncode


def differences(place: Workplace, stages: Sequence[Stale], commit: str, scratch: Path, on_cuda: bool) -> list[str]:
    """What differs between today's code and a commit's in these stages (train_qlora, evaluate@...), a sentence each."""
    names = [stage.name for stage in stages]
    needed = [*map(str, _ROWS), str(paths.NEIGHBOURS), str(paths.BASE)]
    needed += [str(paths.ADAPTER)] * any(n.startswith(GENERATED) for n in names)
    if problems := [problem for out in needed for problem in place.provide(out)]:
        return problems
    sides = [Side("today's code", scratch / "now", set()), Side(f"commit {commit[:10]}", scratch / "then", set())]
    shutil.copytree(place.folder / "copywriter", sides[0].folder / "copywriter")
    for name in ("stages", paths.PARAMS.name, paths.SOURCES.name):
        (shutil.copytree if (place.folder / name).is_dir() else shutil.copy)(
            place.folder / name, sides[0].folder / name
        )
    history.extract(commit, sides[1].folder)
    found: list[str] = []
    for variant in [{"compile": True}, {"compile": False}] if on_cuda else [{}]:
        results: list[dict[str, bytes]] = []
        for side in sides:
            _fill(side, place, {key: value for name in names for key, value in place.lock.params(name).items()})
            outcome = _run(side, place, stages, variant, trace=not on_cuda)
            if isinstance(outcome, str):
                return [outcome]
            results.append(outcome)
        found += _compared(*results)
    if not on_cuda:
        for stage in stages:
            file = stage.module.replace(".", "/") + ".py"
            tensors_only = stage.name != TRAINED  # the scores of evaluate were computed in full
            now, then = sides
            found += residue.differences(now.folder, then.folder, now.ran, then.ran, file, tensors_only)
    return list(dict.fromkeys(found))


def _fill(side: Side, place: Workplace, locked: Mapping[str, Any]) -> None:
    """Brings the rows and the base; params.yaml with the values of dvc.lock, made small."""
    for name in ("data", "models", "metrics", "runs"):
        shutil.rmtree(side.folder / name, ignore_errors=True)
    for path, rows in _ROWS.items():
        records.write_products(side.folder / path, records.read_products(place.folder / path)[:rows])
        found = pq.read_table(place.folder / neighbours.file(path)).slice(0, rows).to_pydict()
        # Numbers of training rows, brought down to the few that this case has.
        found["rows"] = [[number % _ROWS[paths.TRAIN] for number in some] for some in found["rows"]]
        # So that every end of the choice among candidates runs: a title whose neighbours are all one row, which wins;
        # one whose neighbours are not similar, so that a written text wins; and the last, which has none.
        found["rows"][0], found["similarities"][0] = [0] * len(found["rows"][0]), [1.0] * len(found["rows"][0])
        found["similarities"][1] = [0.0] * len(found["rows"][1])
        if rows > 2:
            found["rows"][-1], found["similarities"][-1] = [], []
        near = side.folder / neighbours.file(path)
        near.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(found), near)
    (side.folder / paths.BASE).parent.mkdir()
    (side.folder / paths.BASE).symlink_to((place.folder / paths.BASE).resolve())
    _change(side.folder / paths.PARAMS, locked)
    content = yaml.safe_load((side.folder / paths.PARAMS).read_text())
    _change(side.folder / paths.PARAMS, _SMALL)
    limit = {"max_length": min(content["max_length"], content["max_prompt_length"] + _WORDS)}
    _change(side.folder / paths.PARAMS, limit)


def _change(file: Path, values: Mapping[str, Any]) -> None:
    content = yaml.safe_load(file.read_text())
    for key, value in values.items():
        *sections, name = key.split(".")
        section = content
        for one in sections:
            section = section.get(one, {})
        if name in section:
            section[name] = value
    file.write_text(yaml.safe_dump(content, allow_unicode=True))


def _run(
    side: Side, place: Workplace, stages: Sequence[Stale], variant: Mapping[str, Any], trace: bool
) -> dict[str, bytes] | str:
    """The outputs by name; a sentence when a stage failed."""
    found: dict[str, bytes] = {}
    lines = side.folder / "lines.json"
    for stage in sorted(stages, key=lambda one: one.name != TRAINED):
        trained = stage.name == TRAINED
        if not trained and not (side.folder / paths.ADAPTER).exists():
            (side.folder / paths.ADAPTER).symlink_to((place.folder / paths.ADAPTER).resolve())
        for epochs in (1, 2) if trained else (2,):  # the second resumes from the first's checkpoint where it can
            _change(side.folder / paths.PARAMS, {"epochs": epochs, **variant})
            failed = place.runner.run(side.folder, stage.module, stage.arguments, lines if trace else None)
            if failed:
                return f"{stage.name} on the small case fails with {side.name}: {failed}"
            if trace:
                side.ran.update((name, line) for name, line in json.loads(lines.read_text()))
        scored = place.rescore and not trained  # scores may differ then
        found |= {name: data for name, data in _outputs(side.folder, stage) if not scored or "predictions" in name}
        if trained:
            shutil.rmtree(side.folder / paths.ADAPTER)
    return found


def _outputs(folder: Path, stage: Stale) -> Iterator[tuple[str, bytes]]:
    for out in stage.outs:
        path = folder / out
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            content = file.read_bytes()
            if file.name == paths.RECEIPT.name:
                receipt = json.loads(content)
                content = json.dumps({key: receipt[key] for key in receipt if key not in _OF_THE_CODE}).encode()
            yield f"{stage.name}: {file.relative_to(folder).as_posix()}", content


def _compared(now: Mapping[str, bytes], then: Mapping[str, bytes]) -> list[str]:
    names = [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
    return [f"{name} of the small case differs from that of the earlier code" for name in names]
