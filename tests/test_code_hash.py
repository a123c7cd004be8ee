"""A hash of code by its meaning: what changes it, what does not, and that it is equal on every supported Python."""

import shutil
import subprocess
from pathlib import Path

import pytest

from copywriter.code_hash import closure, code_hash
from tests.conftest import ROOT

SHARED = '"""Shared."""\n\nLIMIT = 3\n\n\ndef double(x: int) -> int:\n    return 2 * x\n'
USER = '''"""Uses the other module."""

import json
import os.path as place
from collections import Counter

from shop.parts import shared
from shop.parts.shared import LIMIT


class Basket:
    """Holds things."""

    size: int = 4

    @property
    def total(self) -> int:
        """How many."""
        return shared.double(self.size) + LIMIT  # twice and some


def text(count: int = 1, *, name: str = "x") -> str:
    """A text."""
    if count > 2 and name is not None:
        raise ValueError(f"{name!r} has {count:,} of {{1}}" f" and {LIMIT}")
    return json.dumps([Counter(name), place.sep, -1.5, b"\\xff", "ä", None, ...])
'''
# Of SHARED and USER: that it never changes from one version of Python to another is the point of the module.
GOLDEN = "2e3c2d2dfd5a96c7d0b84ffa9d2419a61c5249bd6a34656f9bf07d01b2b0695b"


def made(folder: Path, shared: str = SHARED, user: str = USER) -> list[Path]:
    files = {"__init__.py": "", "parts/__init__.py": '"""Parts."""\n', "parts/shared.py": shared, "basket.py": user}
    for name, content in files.items():
        (folder / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "shop" / name).write_text(content)
    return [folder / "shop" / name for name in files]


def replaced(old: str, new: str) -> str:
    assert USER.count(old) == 1, old
    return USER.replace(old, new)


@pytest.mark.parametrize(
    "user",
    [
        replaced("  # twice and some", ""),
        replaced('        """How many."""\n', ""),
        replaced("Uses the other module.", "Another docstring."),
        replaced("count > 2 and name is not None", "(count > 2) and (\n        name is not None\n    )"),
        replaced(
            'f"{name!r} has {count:,} of {{1}}" f" and {LIMIT}"', "f'{name!r} has {count:,} of {{1}} and {LIMIT}'"
        ),
        replaced("import json\nimport os.path as place\n", "import os.path as place\nimport json\n"),
        replaced("import os.path as place", "import os.path as somewhere").replace("place.sep", "somewhere.sep"),
        replaced("from shop.parts import shared\n", "from shop.parts import shared as common\n").replace(
            "shared.double", "common.double"
        ),
        replaced("1.5", "15e-1"),
    ],
)
def test_form_alone_does_not_change_it(tmp_path: Path, user: str) -> None:
    assert code_hash(made(tmp_path / "a")) == code_hash(made(tmp_path / "b", user=user))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size: int = 4", "size: int = 5"),
        ("count > 2", "count >= 2"),
        ("shared.double(", "shared.halve("),
        ("count: int = 1", "count: int = 2"),
        ("    @property\n", ""),
        ("    @property\n", "    @cached_property\n"),
        (" of {{1}}", " for {{1}}"),
        ("{count:,}", "{count:_}"),
        ("{name!r}", "{name!s}"),
        ("+ LIMIT", "- LIMIT"),
        ("from collections import Counter", "from shop.counters import Counter"),
        ("import os.path as place", "import ntpath as place"),
        ("def text(", "def words("),
        ("-1.5", "1.5"),
        ("None, ...", "..., None"),
    ],
)
def test_another_meaning_changes_it(tmp_path: Path, old: str, new: str) -> None:
    assert code_hash(made(tmp_path / "a")) != code_hash(made(tmp_path / "b", user=replaced(old, new)))


def test_a_change_in_an_imported_module_changes_it(tmp_path: Path) -> None:
    changed = SHARED.replace("2 * x", "3 * x")
    files, others = made(tmp_path / "a"), made(tmp_path / "b", shared=changed)
    assert code_hash(files) != code_hash(others)
    assert code_hash([files[3]]) == code_hash([others[3]])  # which is not among the modules here


@pytest.mark.parametrize("place", ["parts/common.py", "goods/shared.py", "goods/deep/doubling.py"])
def test_a_module_that_moved_as_a_whole_does_not(tmp_path: Path, place: str) -> None:
    before = code_hash(made(tmp_path / "a"))
    stem = Path(place).stem
    source = "shop." + ".".join(Path(place).parts[:-1])
    user = replaced("from shop.parts import shared\n", f"from {source} import {stem}\n")
    user = user.replace("shop.parts.shared", f"{source}.{stem}").replace("shared.double", f"{stem}.double")
    *packages, old, basket = made(tmp_path / "b", user=user)
    new = tmp_path / "b/shop" / place
    for end in range(2, len(new.relative_to(tmp_path / "b").parts)):
        folder = (tmp_path / "b").joinpath(*new.relative_to(tmp_path / "b").parts[:end])
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    old.rename(new)
    assert code_hash([*packages, new, basket]) == before
    assert set(closure(basket)) >= {new, basket}


def test_the_closure_is_what_is_imported_with_its_packages(tmp_path: Path) -> None:
    files = made(tmp_path)
    (tmp_path / "shop/unused.py").write_text("")
    assert closure(files[-1]) == set(files)


def test_it_is_equal_on_every_supported_python(tmp_path: Path) -> None:
    assert code_hash(made(tmp_path)) == GOLDEN
    names = [str(file) for file in made(tmp_path)]
    ask = f"import pathlib; from copywriter.code_hash import *; print(code_hash(map(pathlib.Path, {names})))"
    others = [*Path.home().glob(".pyenv/versions/*/bin/python3"), Path(shutil.which("python3") or "")]
    for python in others:
        version = subprocess.run([python, "-V"], capture_output=True, text=True).stdout
        if version.startswith(("Python 3.11", "Python 3.12", "Python 3.13")):
            done = subprocess.run([python, "-c", ask], cwd=ROOT, capture_output=True, text=True)
            assert (done.stdout.strip(), version) == (GOLDEN, version), done.stderr
