"""A stage in a fork has its caller's folder, environment, streams and exit code, as in a new interpreter."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.warm_python import warm_python

STAGE = """
import os, signal, sys
print("answer", __name__, sys.argv[1:], os.environ["GIVEN"], os.getcwd(), sys.stdin.read())
import stages
print(stages.__path__[0], file=sys.stderr)
{end}
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with warm_python(tmp_path_factory.mktemp("warm") / "bin", os.environ, ["json"]) as folder:
        yield folder / "python"


@pytest.mark.parametrize(
    ("end", "code", "last"),
    [
        ("", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("os.kill(os.getpid(), signal.SIGTERM)", -15, ""),
    ],
)
def test_a_fork_is_as_a_new_interpreter(python: Path, tmp_path: Path, end: str, code: int, last: str) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/one.py").write_text(STAGE.format(end=end))
    done = subprocess.run(
        [python, "-m", "stages.one", "word"],
        cwd=tmp_path,
        env=os.environ | {"GIVEN": "value"},
        input="typed",
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"answer __main__ ['word'] value {tmp_path} typed\n"
    assert done.stderr.splitlines()[0] == str(tmp_path / "stages")
    assert done.stderr.splitlines()[-1] == last or not last
    assert done.returncode == code


def test_other_arguments_go_to_the_real_interpreter(python: Path) -> None:
    done = subprocess.run([python, "-c", "import sys; print(sys.argv)"], capture_output=True, text=True, check=True)
    assert done.stdout == "['-c']\n"
