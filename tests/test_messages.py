"""Messages in Portuguese: every translation is used and complete, and the locale chooses as POSIX says."""

import ast
import json
import string
from pathlib import Path

import pytest

from copywriter import messages
from tests.generation.test_generate import prepare
from tests.test_ask import run
from tests.test_structure import imported, sources

USED_IN = [file for file in sources("copywriter", "tools") if "copywriter.messages" in imported(file)]


def asked() -> set[str]:
    """The first argument of every call of `message`: a string, or a name that the file gives a string."""
    found = set()
    for file in USED_IN:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assigned = {
            target.id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "message":
                (first,) = node.args
                found.add(ast.literal_eval(assigned[first.id] if isinstance(first, ast.Name) else first))
    return found


def placeholders(text: str) -> list[tuple[str, str]]:
    return sorted((name, form or "") for _, name, form, _ in string.Formatter().parse(text) if name)


def test_every_message_is_translated_and_every_translation_is_used() -> None:
    assert asked() == set(messages.PORTUGUESE)


@pytest.mark.parametrize("text", messages.PORTUGUESE)
def test_a_translation_has_the_placeholders_of_its_message(text: str) -> None:
    assert placeholders(messages.PORTUGUESE[text]) == placeholders(text)


@pytest.mark.parametrize(
    ("locale", "portuguese"),
    [
        ({}, False),
        ({"LANG": "pt_BR.UTF-8"}, True),
        ({"LANG": "pt_BR.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "pt_PT"}, True),
        ({"LC_MESSAGES": "pt_BR", "LC_ALL": "C"}, False),
        ({"LC_ALL": "", "LC_MESSAGES": "", "LANG": "pt"}, True),  # empty is unset
    ],
)
def test_the_first_variable_that_is_set_decides(
    monkeypatch: pytest.MonkeyPatch, locale: dict[str, str], portuguese: bool
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in locale.items():
        monkeypatch.setenv(name, value)
    expected = "sem fonte: {x}" if portuguese else "unsupported: {x}"
    assert messages.message("unsupported: {numbers}", numbers="{x}") == expected  # a brace in a value is no placeholder


def test_ask_speaks_portuguese_to_people_and_english_in_json(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(room)
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    assert run(monkeypatch, capsys, "--seed", "3", "Mug")[2].startswith("ask: --seed n\u00e3o tem efeito")
    rows = run(monkeypatch, capsys, "--weights", "models/base", stdin="Mug\n???\n")[1].splitlines()
    assert [sorted(json.loads(row)) for row in rows] == [
        ["question", "stopped", "title", "tokens", "unsupported", "written"],
        ["error", "line"],
    ]
    assert "has no letter or digit" in rows[1]
