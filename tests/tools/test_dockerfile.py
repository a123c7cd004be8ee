"""The Dockerfile, without a Docker engine: its files, programs and make targets exist."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT

TEXT = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
STEPS = [tuple(line.split(maxsplit=1)) for line in TEXT.splitlines() if line and not line.startswith("#")]


def of(instruction: str) -> list[str]:
    return [words for name, words in STEPS if name == instruction]


def copied() -> list[tuple[list[str], str]]:
    """What each COPY takes and where it goes."""
    return [(sources, folder) for *sources, folder in (words.split() for words in of("COPY"))]


def test_it_starts_from_an_image_and_ends_with_one_command() -> None:
    names = [name for name, _ in STEPS]
    assert (names[0], names[-1]) == ("FROM", "CMD")
    assert set(names) <= {"FROM", "RUN", "ENV", "WORKDIR", "COPY", "CMD"}
    assert of("CMD") == ['["make", "demo"]']


def test_the_files_that_it_copies_are_tracked() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for sources, _ in copied():
        for source in sources:
            assert source == "." or source in tracked


def test_the_programs_of_its_commands_are_installed_first() -> None:
    first, *later = of("RUN")
    packages = set(first.partition("--no-install-recommends ")[2].partition(" &&")[0].split())
    used = {command.split()[0] for command in " && ".join([*later, first.partition("lists/* && ")[2]]).split(" && ")}
    assert used - {"touch"} <= packages


def test_the_layer_of_packages_has_what_its_target_needs(tmp_path: Path) -> None:
    for sources, folder in copied()[:-1]:
        (tmp_path / folder).mkdir(exist_ok=True)
        for source in sources:
            shutil.copy(ROOT / source, tmp_path / folder)
    assert "make .venv/ready" in of("RUN")
    done = subprocess.run(["make", "-n", ".venv/ready"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "find_python.sh" in done.stdout and "-r requirements.txt" in done.stdout


def test_the_targets_that_users_run_exist() -> None:
    targets = re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "repro", ".venv/ready"} <= set(targets)


def test_the_image_has_gits_history_but_no_data_or_weights() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    assert {"data", "models", "runs", ".venv", ".dvc/cache", "catalogues/*"} <= set(ignored)
    assert ".git" not in ignored
