"""DVC experiments in an archive: their commits, objects and times, out of one checkout and into another, verified."""

import tempfile
from pathlib import Path
from typing import Any

from copywriter import files, paths
from copywriter.errors import UserError
from tools.commands import git
from tools.gpu_run import archive, objects, pipeline


def reference(name: str, commit: str) -> str:
    """The Git reference that DVC gives an experiment on `commit`."""
    return f"refs/exps/{commit[:2]}/{commit[2:]}/{name}"


def finished(name: str, commit: str) -> bool:
    """Whether this checkout has the experiment."""
    return bool(git("for-each-ref", reference(name, commit)))


def pack(to: Path, plan: dict[str, Any], record: dict[str, Any], part_size: int | None) -> list[Path]:
    """Writes the archive with those of the plan's experiments that are finished; its files."""
    done = [(name, settings) for name, settings in plan["experiments"] if finished(name, plan["commit"])]
    with tempfile.TemporaryDirectory() as aside:
        out = Path(aside)
        refs = [reference(name, plan["commit"]) for name, _ in done]
        git("bundle", "create", "-q", str(out / "experiments.bundle"), *refs, f"^{plan['commit']}")
        for ref in refs:
            locked = pipeline.hashes(git("show", f"{ref}:{paths.LOCK}"))
            objects.copy([locked[path] for path in pipeline.brought()], objects.store(), out / "objects")
        times = {name: record[name] for name, _ in done if name in record}
        files.write_json(out / "plan.json", plan | {"experiments": done, "record": times})
        return archive.write(to, out, part_size)


def accept(folder: Path, plan: dict[str, Any]) -> tuple[dict[str, str], int]:
    """Puts experiments and objects where DVC has them, all or none; commits by name, and the bytes of the objects.

    folder: where an archive was unpacked; plan: its plan.json, of the commit that is checked out.
    """
    prefix = reference("", plan["commit"])
    bundle = str(folder / "experiments.bundle")
    git("fetch", "-q", bundle, *(f"{prefix}{name}" for name, _ in plan["experiments"]))
    lines = [line.split() for line in git("bundle", "list-heads", bundle).splitlines()]
    heads = {ref.removeprefix(prefix): commit for commit, ref in lines}
    names, cache = objects.verified(folder / "objects"), objects.store()
    here = pipeline.hashes(git("show", f"{plan['commit']}:{paths.LOCK}"))
    for name, head in heads.items():
        locked = pipeline.hashes(git("show", f"{head}:{paths.LOCK}"))
        if other := [path for path in here_made() if locked.get(path) != here[path]]:
            raise UserError(
                f"experiment {name} was made from another {other[0]} than dvc.lock has; nothing was taken over"
            )
        if absent := objects.missing([locked[path] for path in pipeline.brought()], [folder / "objects", cache]):
            raise UserError(f"objects of experiment {name} did not come: {', '.join(absent[:3])}; pack it again there")
        if (known := git("for-each-ref", "--format=%(objectname)", prefix + name)) and known != head:
            raise UserError(f"there is another experiment {name} here; 'dvc exp remove {name}' and call again")
    total = objects.take(names, folder / "objects", cache)
    for name, head in heads.items():
        git("update-ref", prefix + name, head)
    return heads, total


def here_made() -> list[str]:
    """The outputs of the stages that ran here, and the base model, which both sides made."""
    return [out.path for out in pipeline.outs() if out.stage in pipeline.HERE]
