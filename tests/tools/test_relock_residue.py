"""Code that a replay did not run must not have changed: what counts as run, and what cannot change a result."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tools.relock import residue

CODE = '''"""A stage."""

import dataclasses

import torch

SCALE = 3
SIZES = {"cuda": 2, "cpu": 1}


@dataclasses.dataclass
class Size:
    width: int
    height: int = 1


def twice(x: int) -> int:
    return 2 * x


def unused(x: int) -> int:
    return x - 1


def capture(x: int) -> int:
    return twice(x) + 1


def work(x: int, device: str = "cpu") -> int:
    size = SIZES[device]
    if device == "cuda":
        print("on a GPU")
        return capture(x)
    if x > 100:
        raise ValueError(f"{x} is too much")
    return twice(x) * size


def main() -> None:
    work(4)
'''


def checkout(folder: Path, code: str) -> tuple[Path, residue.Ran]:
    """A checkout with the stage, and the lines that ran when it ran."""
    file = folder / "stages/one.py"
    file.parent.mkdir(parents=True)
    (file.parent / "__init__.py").touch()
    file.write_text(code)
    ran: residue.Ran = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != str(file):
            return None
        if event == "line":
            ran.add(("stages/one.py", frame.f_lineno))
        return trace

    before = sys.gettrace()
    module: dict[str, Any] = {}
    sys.settrace(trace)
    try:
        exec(compile(code, str(file), "exec"), module)
        module["main"]()
    finally:
        sys.settrace(before)
    return folder, ran


def changed(tmp_path: Path, *changes: tuple[str, str]) -> list[str]:
    code = CODE
    for old, new in changes:
        assert old in code
        code = code.replace(old, new)
    (now, ran_now), (then, ran_then) = checkout(tmp_path / "now", code), checkout(tmp_path / "then", CODE)
    found = residue.differences(now, then, ran_now, ran_then, "stages/one.py")
    return [one.partition(" changed")[0].partition(": ")[2] for one in found]


@pytest.mark.parametrize(
    "change",
    [
        ("return 2 * x", "return x + x"),  # it ran, and its result is compared
        ("return x - 1", "return x - 2"),  # nothing calls it
        ("is too much", "is more than 100"),
        ('print("on a GPU")', 'print("on a graphics card")'),
        ("twice", "doubled"),  # everywhere
        ("capture", "captured"),
        ("x: int, device", "x: int,  device"),
        ("SCALE", "FACTOR"),
        ("    work(4)", "    work(4)\n    capture(4)"),  # capture is the same, and runs in one replay alone
        ("width: int", "width: float"),  # a dataclass checks no types
        ("import torch", "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import torch"),
    ],
)
def test_what_cannot_change_a_result_is_no_difference(tmp_path: Path, change: tuple[str, str]) -> None:
    assert changed(tmp_path, change) == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("return twice(x) + 1", "return twice(x) + 2", "capture"),
        ("return twice(x) + 1", "return unused(x) + 1", "capture"),
        ("return capture(x)", "return twice(x)", "work"),
        ("SCALE = 3", "SCALE = 4", "SCALE"),
        ('"cuda": 2', '"cuda": 4', "SIZES"),
        ("height: int = 1", "height: int = 2", "Size.height"),
        ('device == "cuda"', 'device == "cuda:0"', "work"),  # it ran, but names CUDA
        ("x > 100", "x > 100 and not torch.cuda.is_available()", "work"),
        ("raise ValueError", "raise KeyError", "work"),
        ('device: str = "cpu"', 'device: str = str("cpu")', "work"),  # a default that another call may use
    ],
)
def test_changed_code_that_did_not_run_is_named(tmp_path: Path, old: str, new: str, where: str) -> None:
    assert where in changed(tmp_path, (old, new))


def test_a_new_name_in_one_place_is_no_renaming(tmp_path: Path) -> None:
    added = ("def unused(", "def thrice(x: int) -> int:\n    return 3 * x\n\n\ndef unused(")
    assert set(changed(tmp_path, added, ("return twice(x) + 1", "return thrice(x) + 1"))) == {"capture", "thrice"}
