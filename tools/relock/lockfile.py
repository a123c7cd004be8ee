"""dvc.lock: the stages whose code changed since they ran, and the hashes of their new code."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo

from copywriter import paths
from copywriter.errors import UserError


@dataclass(frozen=True)
class Stale:
    """A stage whose code changed after it ran."""

    name: str  # such as evaluate@base
    module: str
    arguments: tuple[str, ...]
    code: dict[str, str]  # files and folders of the checkout that it depends on -> MD5 in dvc.lock
    inputs: tuple[str, ...]  # what other stages made
    outs: dict[str, str]  # -> MD5 in dvc.lock


class Lockfile:
    """The committed run, as DVC reads it; UserError where more than code differs from it."""

    def __init__(self) -> None:
        if not paths.LOCK.exists():
            raise UserError(f"{paths.LOCK} is missing; run 'dvc repro'")
        try:
            self.repo = Repo()
            stages = list(self.repo.index.stages)
        except DvcException as error:
            raise UserError(f"DVC cannot read the pipeline: {' '.join(str(error).split())}") from None
        self.entries: dict[str, Any] = yaml.safe_load(paths.LOCK.read_text(encoding="utf-8"))["stages"]
        self.outs: dict[str, str] = {
            out["path"]: out["md5"] for entry in self.entries.values() for out in entry["outs"]
        }
        self.stages = {one.addressing: one for one in stages if one.addressing in self.entries}
        self.cached = {out.def_path for stage in self.stages.values() for out in stage.outs if out.use_cache}
        self.made_by = {out.def_path: name for name, stage in self.stages.items() for out in stage.outs}

    def stage(self, name: str) -> Stale:
        """A locked stage."""
        stage, entry = self.stages[name], self.entries[name]
        locked = {dep["path"]: dep["md5"] for dep in entry["deps"]}
        words = entry["cmd"].split()
        if words[:2] != ["python", "-m"]:
            raise UserError(f"{name}: its command in dvc.lock is {entry['cmd']!r}; run 'dvc repro {name}'")
        return Stale(
            name,
            words[2],
            tuple(words[3:]),
            {path: md5 for path, md5 in locked.items() if path not in self.outs},
            tuple(dep.def_path for dep in stage.deps if dep.def_path in self.made_by),
            {out["path"]: out["md5"] for out in entry["outs"]},
        )

    def stale(self) -> list[Stale]:
        """The stages whose code is not the code of dvc.lock, in the order of dvc.yaml."""
        order = list(yaml.safe_load(paths.PIPELINE.read_text(encoding="utf-8"))["stages"])
        names = sorted(self.stages, key=lambda name: (order.index(name.partition("@")[0]), name))
        found = [name for name in names if self._changed_code(name)]
        problems = [problem for name in names for problem in self._more_than_code(name, name in found)]
        if problems:
            raise UserError("; ".join(dict.fromkeys(problems)))
        return [self.stage(name) for name in found]

    def params(self, name: str) -> dict[str, Any]:
        """The params of params.yaml with which a stage ran, by dotted key."""
        found: dict[str, Any] = self.entries[name].get("params", {}).get(paths.PARAMS.name, {})
        return found

    def write(self, stages: Iterable[Stale], changed: Container[str] = ()) -> None:
        """Writes the hashes of the stages' code into dvc.lock, and of the `changed` outputs; all else in it stays."""
        for one in stages:
            stage = self.stages[one.name]
            for dep in stage.deps:
                if self._is_code(dep):
                    dep.save()
            for out in stage.outs:
                if out.def_path in changed:
                    out.save()
                    out.commit()
            stage.dump(update_pipeline=False)

    def _is_code(self, dep: Any) -> bool:
        return not isinstance(dep, ParamsDependency) and dep.def_path not in self.made_by

    def _changed_code(self, name: str) -> bool:
        locked = self.stage(name).code
        now = {dep.def_path: dep for dep in self.stages[name].deps if self._is_code(dep)}
        if missing := [path for path, dep in now.items() if not dep.exists]:
            raise UserError(f"{name} depends on {missing[0]}, which is missing; correct dvc.yaml or restore the file")
        return locked.keys() != now.keys() or any(dep.get_hash().value != locked[path] for path, dep in now.items())

    def _more_than_code(self, name: str, stale: bool) -> Iterable[str]:
        """What of a stage differs from dvc.lock besides its code, a sentence each."""
        stage, entry = self.stages[name], self.entries[name]
        if stage.cmd != entry["cmd"]:
            yield f"{name}: its command changed; run 'dvc repro {name}'"
        if {out.def_path for out in stage.outs} != {out["path"] for out in entry["outs"]}:
            yield f"{name}: its outputs in dvc.yaml changed; run 'dvc repro {name}'"
        for dep in stage.deps:
            if isinstance(dep, ParamsDependency):
                status: Mapping[str, Any] = dep.workspace_status()
                if keys := [key for of in status.values() for key in (of if isinstance(of, dict) else [])]:
                    yield f"{name}: {dep.def_path} has other values of {', '.join(keys)}; run 'dvc repro {name}'"
        for one in [*stage.outs, *(dep for dep in stage.deps if dep.def_path in self.made_by)] if stale else []:
            if one.exists and one.get_hash().value != self.outs[one.def_path]:
                cure = "dvc checkout" if one.def_path in self.cached else "git checkout"
                yield f"{one.def_path} here is not that of dvc.lock; run '{cure} {one.def_path}'"
        locked = {dep["path"]: dep["md5"] for dep in entry["deps"]}
        for path in (dep.def_path for dep in stage.deps if dep.def_path in self.made_by):
            if path not in locked or locked[path] != self.outs[path]:
                yield f"{name}: dvc.lock has it with another {path}; run 'dvc repro {name}'"
