"""Every command of README and docs/ is run by a test, or docs/commands.md says why not."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TABLE = ROOT / "docs/commands.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n) {4}(?:python|dvc|make|pip|git|accelerate|torchrun|ssh) .*")


def commands(page: Path) -> list[str]:
    """The commands of a page's fences without a language, one by one, without their comments."""
    found = []
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if not language:
            lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in block.replace("\\\n", " ").splitlines()]
            found += [" ".join(one.split()) for line in lines for one in re.split(r"&&|;", line) if one.strip()]
    return found


def table() -> dict[str, str]:
    """docs/commands.md: a command -> the test that runs it, or `not run: ` and why."""
    rows = re.findall(r"^\| `(.+?)` \| (.+) \|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(dict(rows)) == len(rows), "a command stands there twice"
    return {command.replace("\\|", "|"): where for command, where in rows}


def test_the_table_holds_the_commands_of_all_pages_and_no_others() -> None:
    found = {command for page in PAGES if page != TABLE for command in commands(page)}
    assert len(found) > 40
    assert found == set(table())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_stand_in_fences(page: Path) -> None:
    """Where the table's test sees them, and not in blocks that are merely indented."""
    assert not INDENTED.findall(FENCE.sub("", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("command", table())
def test_the_named_test_exists_and_knows_the_commands_options(command: str) -> None:
    where = table()[command]
    if where.startswith("not run: "):
        assert len(where) > 20, "say why"
        return
    (name,) = re.findall(r"^`(tests/\w+\.py::\w+)`$", where)
    file, _, function = name.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert function in {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    words = shlex.split(command)
    for word in words:
        if len(word) > 2 and word.startswith("--"):
            assert word.partition("=")[0] in text, f"{file} never says {word}"
    if words[:2] == ["python", "-m"]:
        package, _, module = words[2].partition(".")
        assert re.search(rf"\b{package}\b.*\b{module}\b", text), f"{file} never names {words[2]}"
