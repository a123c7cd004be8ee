"""Here again: what came back, verified, as DVC experiments; and as commits, when asked."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from copywriter import files, paths
from copywriter.errors import UserError
from tools.commands import clean_tree, dvc, git
from tools.gpu_run import archive, experiments, objects, pipeline, there


def run(file: Path, commits: list[str]) -> str:
    """Takes over every experiment in `file`, and makes `commits` of those named; the summary."""
    if commits:
        clean_tree("commit or stash them and call again")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive.unpack(file, folder)
        plan = json.loads((folder / "plan.json").read_text())
        settings = dict(plan["experiments"])
        if unknown := [one for one in commits if one not in settings]:
            raise UserError(f"{file} has no experiment {unknown[0]}; it has {', '.join(settings)}")
        if git("rev-parse", "HEAD") != plan["commit"]:
            raise UserError(
                f"the run was packed at {plan['commit'][:10]}, and HEAD is another commit; "
                f"'git switch -c gpu-run {plan['commit'][:10]}' and call again"
            )
        heads, total = experiments.accept(folder, plan)
    files.write_json(paths.RUNS / there.RECORD, plan["record"])
    for one, record in plan["record"].items():
        print(there.describe(one, record), file=sys.stderr)
    before = git("show", f"{plan['commit']}:{paths.PARAMS}") + "\n"
    for one in commits:
        commit(one, heads[one], before, message(one, settings[one]))
    for line in next_steps(settings, commits):
        print(line)
    return f"{', '.join(heads)} taken over, {total / 1e6:.1f} MB of objects"


def message(name: str, settings: list[str]) -> str:
    """The first line of an experiment's commit."""
    return f"Run on a GPU: {name} ({', '.join(settings) or 'params.yaml as committed'})"


def commit(name: str, head: str, before: str, said: str) -> None:
    """Applies the experiment and commits it; params.yaml keeps the layout of `before`, which DVC does not."""
    dvc("exp", "apply", "-q", head)
    paths.PARAMS.write_text(relaid(before, paths.PARAMS.read_text()), encoding="utf-8")
    git("add", "-A")
    git("commit", "-q", "-m", said)
    print(f"gpu_run: {name} is commit {git('rev-parse', '--short=10', 'HEAD')}", file=sys.stderr)


def relaid(before: str, after: str) -> str:
    """The text `before` with the values of `after`; `after` itself where a change is more than a value on its line."""
    old, new = dict(_values(yaml.compose(before))), dict(_values(yaml.compose(after)))
    text = before
    for path, node in sorted(old.items(), key=lambda item: -item[1].start_mark.index):
        if path in new:
            change = new[path]
            value = after[change.start_mark.index : change.end_mark.index]
            if yaml.safe_load(value) != yaml.safe_load(before[node.start_mark.index : node.end_mark.index]):
                text = text[: node.start_mark.index] + value + text[node.end_mark.index :]
    return text if yaml.safe_load(text) == yaml.safe_load(after) else after


def _values(node: yaml.Node | None, path: tuple[object, ...] = ()) -> Iterator[tuple[tuple[object, ...], yaml.Node]]:
    """Scalars, and lists written between brackets, by where they stand."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _values(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode) and not node.flow_style:
        for number, value in enumerate(node.value):
            yield from _values(value, (*path, number))
    elif node:
        yield path, node


def next_steps(experiments: dict[str, list[str]], commits: list[str]) -> Iterator[str]:
    """The commands to type now."""
    if not commits:
        yield "# --commit NAME NAME makes a commit of each, in that order, and keeps params.yaml's layout; by hand:"
        for name, settings in experiments.items():
            yield f"dvc exp apply {name} && git add -A && git commit -m '{message(name, settings)}'"
        return
    locked = pipeline.hashes(paths.LOCK.read_text())
    total = objects.weight([locked[path] for path in pipeline.published()], objects.store())
    yield f"# {total / 1e6:.1f} MB for the remote `adapters`; of the last commit alone:"
    yield f"dvc push -r adapters {' '.join(pipeline.published())}"
