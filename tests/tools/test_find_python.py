"""make's interpreter: the newest that works, or one sentence; and the pinned packages as wheels for each of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

SCRIPT = ROOT / "tools/find_python.sh"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
# Released as source alone; pure Python or data, so any machine can build them.
WITHOUT_WHEELS = ("antlr4-python3-runtime", "ipadic", "rouge-score")


def fake(folder: Path, version: str, name: str = "", ensurepip: bool = True) -> Path:
    """An interpreter that says it is `version`; without `ensurepip` as on Debian before python3-venv is installed."""
    number = tuple(int(part) for part in version.split("."))
    before = f"import sys; sys.version_info = {(*number, 0, 'final', 0)}"
    if not ensurepip:
        before += "; sys.modules['ensurepip'] = None"
    return executable(
        folder, name or f"python{version}", f'exec {sys.executable} -c "{before}; exec(sys.argv[2])" "$@"'
    )


def executable(folder: Path, name: str, line: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)
    return file


def find(path: Path, *given: str) -> tuple[str, str]:
    """What the script prints, and its message; without a result it ends with 1 and a message of one line."""
    path.mkdir(exist_ok=True)
    command = [shutil.which("sh") or "sh", str(SCRIPT), *given]
    done = subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True)
    assert done.returncode == (0 if done.stdout else 1)
    assert done.stderr.count("\n") == (0 if done.stdout else 1)
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize(
    ("versions", "taken"),
    [
        (["3.11"], "3.11"),
        (["3.10", "3.11", "3.12", "3.13"], "3.13"),
        (["3.12", "3.15"], "3.12"),
        (["3.11", "3.14"], "3.11"),  # no test has run on 3.14
        (["3.14"], "3.14"),
    ],
)
def test_the_newest_tested_version_is_taken(versions: list[str], taken: str, tmp_path: Path) -> None:
    for version in versions:
        fake(tmp_path, version)
    assert find(tmp_path) == (f"python{taken}", "")


def test_a_python3_without_its_number_is_taken(tmp_path: Path) -> None:
    fake(tmp_path, "3.12", "python3")
    assert find(tmp_path) == ("python3", "")


def test_a_version_that_does_not_run_or_lacks_ensurepip_is_passed_over(tmp_path: Path) -> None:
    executable(tmp_path, "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    fake(tmp_path, "3.12", ensurepip=False)
    fake(tmp_path, "3.11")
    assert find(tmp_path) == ("python3.11", "")


def test_without_ensurepip_its_package_is_named(tmp_path: Path) -> None:
    fake(tmp_path, "3.12", ensurepip=False)
    fake(tmp_path, "3.11", ensurepip=False)
    assert "python3.12 cannot make .venv" in find(tmp_path)[1]
    assert "apt-get install python3.12-venv" in find(tmp_path)[1]


def test_where_there_is_none_it_says_what_to_install(tmp_path: Path) -> None:
    assert "PATH has no Python from 3.11 to 3.14; install one" in find(tmp_path)[1]
    fake(tmp_path, "3.10", "python3")
    assert "PATH has no Python from 3.11 to 3.14; python3 is 3.10; install one" in find(tmp_path)[1]


def test_the_interpreter_given_is_the_only_one_tried(tmp_path: Path) -> None:
    fake(tmp_path, "3.13")
    other = fake(tmp_path / "my pythons", "3.11")
    assert find(tmp_path, str(other)) == (str(other), "")
    assert find(tmp_path, "") == ("python3.13", "")  # make's PYTHON, not set
    old = fake(tmp_path, "3.9")
    assert f"make: {old} has no Python from 3.11 to 3.14; {old} is 3.9" in find(tmp_path, str(old))[1]


def test_make_makes_an_environment_once_and_again_when_it_is_broken(tmp_path: Path) -> None:
    for name in ("Makefile", "tools/find_python.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("requirements.txt", "constraints.txt"):
        (tmp_path / name).touch()
    python = tmp_path / ".venv/bin/python"

    def make(path: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": path, "HOME": str(tmp_path)}
        command = [shutil.which("make") or "make", ".venv/ready"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    without = executable(tmp_path / "few", "sh", f'exec {shutil.which("sh")} "$@"').parent
    failed = make(str(without))
    assert failed.returncode and "make: PATH has no Python" in failed.stderr, failed
    path = f"{Path(sys.base_prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    assert make(path).returncode == 0
    first = python.lstat().st_ino
    (tmp_path / "requirements.txt").write_text("# a new pin\n")
    os.utime(tmp_path / "requirements.txt", (2**31, 2**31))
    assert make(path).returncode == 0
    assert python.lstat().st_ino == first  # kept
    python.unlink()
    python.symlink_to(tmp_path / "removed")
    assert make(path).returncode == 0
    assert subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_every_pinned_package_has_a_wheel_for(version: str, tmp_path: Path) -> None:
    # uv resolves for another interpreter and platform than this one, with the markers of that interpreter.
    command = [shutil.which("uv", path=Path(sys.executable).parent) or "uv", "pip", "compile", "--quiet"]
    command += ["--python-version", version, "--python-platform", "x86_64-manylinux_2_28", "--only-binary", ":all:"]
    command += [word for name in WITHOUT_WHEELS for word in ("--no-binary", name)]
    done = subprocess.run(
        [*command, "--no-header", "--no-annotate", ROOT / "requirements-dev.txt"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    names = {canonicalize_name(line.partition("==")[0]) for line in pinned}
    resolved = [line.partition("==")[0].strip() for line in done.stdout.splitlines() if "==" in line]
    assert len(resolved) > 100
    # No version needs a package more. CUDA's come with torch, where it is not the CPU's.
    others = {name for name in map(canonicalize_name, resolved) if name not in names}
    assert not [name for name in others if not name.startswith(("cuda-", "nvidia-", "setuptools", "torch", "triton"))]
