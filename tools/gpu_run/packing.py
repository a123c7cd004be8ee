"""Here: the data stages, then all that the host needs in one archive."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from copywriter import files, params, paths
from copywriter.errors import UserError
from tools.commands import clean_tree, dvc, git
from tools.gpu_run import archive, objects, pipeline

# Tuned first: it meets no compiled kernels of an earlier run, so the time it takes is that of a full run.
EXPERIMENTS = ["tuned", "base:epochs=0"]
START = """#!/bin/sh
# Runs what came with this file: a checkout beside it, then training and scores. Typed again it goes on.
# PYTHON: the host's interpreter with the requirements, python3 without it.
set -e
cd "$(dirname "$0")"
exec 9>lock # held until the run ends, also when the connection that began it is gone
flock -n 9 || { echo "a run works in this folder still; type the same command again when it has ended" >&2; exit 1; }
git init -q checkout
git -C checkout fetch -q ../repository.bundle HEAD
git -C checkout -c advice.detachedHead=false checkout -q -f FETCH_HEAD
cd checkout
exec ${PYTHON:-python3} -m tools.gpu_run there .. "$@"
"""


def experiments(given: Iterable[str]) -> dict[str, list[str]]:
    """NAME:KEY=VALUE,... as the settings of each name; UserError when one does not load, or changes the data."""
    found: dict[str, list[str]] = {}
    for one in given:
        name, _, settings = one.partition(":")
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or name in found:
            raise UserError(f"{one!r} does not name an experiment of its own; write NAME:KEY=VALUE,KEY=VALUE")
        found[name] = re.split(r",(?=[a-z_.]+=)", settings) if settings else []
        content: dict[str, Any] = yaml.safe_load(paths.PARAMS.read_text())
        for setting in found[name]:
            _change(content, setting, name)
        params.check(params.Params, content, f"{paths.PARAMS} of experiment {name}")
    return found


def _change(content: dict[str, Any], setting: str, name: str) -> None:
    key, equals, value = setting.partition("=")
    for settled in pipeline.settled():
        if f"{key}.".startswith(f"{settled}.") or f"{settled}.".startswith(f"{key}."):
            raise UserError(
                f"experiment {name} changes {key}, which a stage that runs here reads; "
                f"set it in {paths.PARAMS}, commit, and pack that"
            )
    *sections, last = key.split(".")
    for section in sections:
        content = content[section] if isinstance(content.get(section), dict) else {}
    if not equals or last not in content:
        raise UserError(f"experiment {name}: {setting!r} is not KEY=VALUE with a key of {paths.PARAMS}")
    content[last] = yaml.safe_load(value)


def run(to: Path, given: Iterable[str], with_base: bool, part_size: int | None) -> str:
    """Runs the data stages and packs; the summary. UserError when something is not committed."""
    params.load()
    chosen = experiments(given)
    clean_tree("what runs on the host is a commit; commit or stash them and pack again")
    dvc("repro", "analyze_lengths", "baseline")
    clean_tree("the data stages made them; look at them, 'git add -A && git commit', and pack again")
    commit, locked = git("rev-parse", "HEAD"), pipeline.hashes(paths.LOCK.read_text())
    wanted = [*pipeline.carried(), *([paths.BASE.as_posix()] if with_base else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git("bundle", "create", "-q", str(folder / "repository.bundle"), "HEAD")
        objects.copy([locked[path] for path in wanted], objects.store(), folder / "objects")
        (folder / "start.sh").write_text(START)
        files.write_json(folder / "plan.json", {"commit": commit, "experiments": list(chosen.items())})
        pieces = archive.write(to, folder, part_size)
    names = ", ".join(f"{file} ({file.stat().st_size / 2**20:.1f} MiB)" for file in pieces)
    return f"commit {commit[:10]}, {', '.join(chosen)}: {names}; on the host: cat {to.name}* | tar xz && sh start.sh"
