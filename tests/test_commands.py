"""Every command of README.md and docs/ has an entry in tests/commands.yaml, and every relative link has a target."""

import ast
import difflib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

PORTUGUESE = ROOT / "README.pt-BR.md"
PAGES = [ROOT / "README.md", PORTUGUESE, *sorted((ROOT / "docs").glob("*.md"))]
RUN_BY: dict[str, str] = yaml.safe_load((ROOT / "tests/commands.yaml").read_text(encoding="utf-8"))
NOT_RUN = "not run: "
SEPARATORS = ("&&", ";")
WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|&(?!&)|[^\s'";&])+|&&|;""")
VALUE = re.compile(r"\.\.\.|\b\d[\d.]*\b|\b[A-Z]\b|\bHOST\b|\bSIG\w+|user/name|models/\S+")  # what a message fills in
LINK = re.compile(r"\]\(([^()\s]+)\)")


def fences(page: Path) -> tuple[list[tuple[str, str]], str]:
    """The fenced blocks of a page as (language, text), and the text outside them."""
    blocks: list[tuple[str, str]] = []
    outside: list[str] = []
    inside: list[str] | None = None
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("```"):
            (outside if inside is None else inside).append(line)
        elif inside is None:
            inside, language = [], line.removeprefix("```")
        else:
            blocks.append((language, "\n".join(inside)))
            inside = None
    assert inside is None, f"{page.name}: a fence is not closed"
    return blocks, "\n".join(outside)


def split_commands(block: str) -> Iterator[str]:
    """The commands of a block, without comments; `&&` and `;` separate commands, a backslash continues a line."""
    for line in block.replace("\\\n", " ").splitlines():
        words = takewhile(lambda word: not word.startswith("#"), WORD.findall(line))
        command: list[str] = []
        for word in [*words, ";"]:
            if word not in SEPARATORS:
                command.append(word)
            elif command:
                yield " ".join(command)
                command = []


def commands(page: Path) -> list[str]:
    """The commands in a page's fences without a language."""
    blocks, _ = fences(page)
    return [command for language, block in blocks if not language for command in split_commands(block)]


@cache
def defined_tests(file: str) -> dict[str, ast.AST]:
    """The tests that pytest collects from a file: `name` or `Class::name` -> its definition."""
    found: dict[str, ast.AST] = {}
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for member in members:
            if isinstance(member, ast.FunctionDef) and member.name.startswith("test_"):
                found[prefix + member.name] = member
    return found


@cache
def all_tests() -> list[str]:
    files = sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("test_*.py"))
    return [f"{file}::{name}" for file in files for name in defined_tests(file)]


@cache
def words_of(file: str) -> tuple[str, frozenset[str]]:
    """The string constants of a file, joined, and the dotted names that it imports."""
    strings: list[str] = []
    imported: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.append(node.value)
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return "\n".join(strings), frozenset(imported)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    _, text = fences(page)
    headings = [line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_commands_yaml_lists_exactly_the_commands_of_the_pages() -> None:
    pages = [page for page in reversed(PAGES) if page.name != "colab.md"]  # its cells run in tests/tools/test_colab.py
    found = {command: page.name for page in pages for command in commands(page)}
    assert len(found) > 40
    missing = {command: page for command, page in found.items() if command not in RUN_BY}
    assert not missing, "add these commands to tests/commands.yaml, each with the test that runs it"
    assert not set(RUN_BY) - set(found), "no page has these commands: remove them from tests/commands.yaml"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_in_fences_not_in_indented_blocks(page: Path) -> None:
    _, text = fences(page)
    programs = ("python ", "dvc ", "make ", "pip ", "git ", "accelerate ", "torchrun ", "ssh ")
    paragraphs = text.split("\n\n")
    assert not [one for one in paragraphs if one.startswith("    ") and one.strip().startswith(programs)]


@pytest.mark.parametrize("command", RUN_BY)
def test_the_named_test_exists_and_uses_the_commands_words(command: str) -> None:
    where = RUN_BY[command]
    if where.startswith(NOT_RUN):
        assert len(where) > 20, "give the reason"
        return
    file, _, name = where.partition("::")
    if not (ROOT / file).is_file() or name not in defined_tests(file):
        by_name = {one.partition("::")[2]: one for one in all_tests()}
        nearest = difflib.get_close_matches(name, by_name, n=1, cutoff=0.0)
        pytest.fail(f"there is no test {where}; the nearest name is {by_name[nearest[0]]}")
    strings, imported = words_of(file)
    words = shlex.split(command)
    for word in words:
        if len(word) > 2 and word.startswith("--"):
            assert word.partition("=")[0] in strings, f"{file} does not use the option {word}"
    if words[:2] == ["python", "-m"]:
        used = words[2] in strings or any(one == words[2] or one.startswith(f"{words[2]}.") for one in imported)
        assert used, f"{file} neither imports nor names {words[2]}"


def test_commands_of_a_block_are_split_as_a_shell_does() -> None:
    block = "cat a* | tar xz && sh b.sh --size 1 # here\n# only a comment\nX='1; 2' make c ; d \\\n  --e"
    assert list(split_commands(block)) == ["cat a* | tar xz", "sh b.sh --size 1", "X='1; 2' make c", "d --e"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_and_anchors_have_a_target(page: Path) -> None:
    _, text = fences(page)
    for link in LINK.findall(re.sub(r"`[^`]*`", "", text)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {link}: there is no such file"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}: its headings are {sorted(anchors(target))}"


def test_the_messages_in_quickstart_exist_in_the_code() -> None:
    _, _, part = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8").partition("## When a command stops")
    rows = [line.split("|") for line in part.splitlines()]
    messages = [row[1].split("`")[1] for row in rows if len(row) == 4 and "`" in row[1] and "'s message" not in row[2]]
    assert len(messages) > 10
    files = [file for folder in ("copywriter", "stages", "tools") for file in (ROOT / folder).rglob("*.py")]
    strings = "\n".join(words_of(file.relative_to(ROOT).as_posix())[0] for file in files)
    for message in messages:
        longest = max(VALUE.split(message), key=len).strip()
        if longest not in strings:
            nearest = difflib.get_close_matches(message, strings.splitlines(), n=1, cutoff=0.0)
            pytest.fail(f"no string in the code contains '{longest}'; the nearest is '{nearest[0]}'")


def test_there_are_at_most_thirteen_pages_and_each_asks_its_question() -> None:
    docs = [page for page in PAGES if page.parent == ROOT / "docs"]
    assert len(docs) <= 13
    assert not [page.name for page in docs if "?" not in page.read_text(encoding="utf-8").split("\n\n")[1]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_text_outside_tables_and_fences_wraps_at_100(page: Path) -> None:
    _, text = fences(page)
    assert not [line for line in text.splitlines() if len(line) > 100 and not line.startswith(("|", "!["))]


def test_the_portuguese_readme_has_the_figures_and_commands_of_the_english() -> None:
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "README.md", PORTUGUESE)]
    figures = re.compile(r"^\|[^|]+((?:\|[\s\d.%*]+){6})\|$", re.MULTILINE)  # of a row of scores
    english, portuguese = (figures.findall(text) for text in pages)
    assert portuguese == english != []
    assert set(commands(ROOT / "README.md")) <= set(commands(PORTUGUESE))
    numbers = [set(re.findall(r"\d[\d.,]*\d|\d", text)) for text in pages]
    assert numbers[1] <= numbers[0]
