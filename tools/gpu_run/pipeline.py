"""What dvc.yaml and dvc.lock say of a run on two machines: which stages run where, and what each hands on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from copywriter import paths
from tools import lock

HERE = lock.DATA_STAGES | {"baseline"}  # with the pinned requirements: Parquet carries pyarrow's version
BASE = "fetch_model"  # runs on both sides, and must come to the same bytes
FIRST_THERE = ["train_qlora", "evaluate@base"]  # these, and what follows from them


@dataclass(frozen=True)
class Out:
    """An output as dvc.yaml has it."""

    stage: str  # as in dvc.yaml, without the item of a foreach
    path: str
    cached: bool  # in DVC's cache; else in Git
    remote: str | None


def outs() -> list[Out]:
    """Every output of the pipeline, foreach stages item by item."""
    found = []
    for name, entry in _stages().items():
        stage = entry.get("do", entry)
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            path, settings = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            for item in entry.get("foreach", [""]):
                given = settings.get("cache", True), settings.get("remote")
                found.append(Out(name, path.replace("${key}", item), *given))
    return found


def carried() -> list[str]:
    """The outputs of the stages that run here which those that run there read, the base model aside."""
    read = {dep for name, entry in _stages().items() if name not in HERE for dep in entry.get("do", entry)["deps"]}
    return [out.path for out in outs() if out.cached and out.stage in HERE - {BASE} and out.path in read]


def brought() -> list[str]:
    """The outputs in DVC's cache that are made there."""
    return [out.path for out in outs() if out.cached and out.stage not in HERE]


def published() -> list[str]:
    """The outputs of the small demo remote."""
    return [out.path for out in outs() if out.remote == "adapters"]


def settled() -> set[str]:
    """The params that the stages that run here read: an experiment of one packing cannot change them."""
    listed = [entry.get("params", []) for name, entry in _stages().items() if name in HERE]
    return {key for keys in listed for key in keys if isinstance(key, str)}


def hashes(text: str) -> dict[str, str]:
    """MD5 of every output that a dvc.lock's text names; a folder's ends in `.dir`."""
    locked: Mapping[str, Any] = yaml.safe_load(text)["stages"]
    return {out["path"]: out["md5"] for stage in locked.values() for out in stage.get("outs", [])}


def _stages() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(paths.PIPELINE.read_text())["stages"]
    return found
