"""A test that ends its own process, hangs in it or changes it fails the run by name; the run ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FINE = "def test_1(): pass\ndef test_2(): pass\ndef test_3(): pass\n"  # xdist 3.8 hangs over a file that was done


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was ended by signal 9 (Killed)"),
        ("os._exit(3)", "was ended by exit code 3"),
        ("time.sleep(600)", "in test_it"),  # the stack of each thread
        ("signal.signal(signal.SIGPIPE, signal.SIG_DFL)", "SIGPIPE"),
    ],
)
def test_a_test_that_is_bad_for_its_process_is_named(tmp_path: Path, body: str, told: str) -> None:
    (tmp_path / "test_fine.py").write_text(FINE)
    (tmp_path / "test_bad.py").write_text(f"import os, signal, time\ndef test_it(): {body}\ndef test_after(): pass\n")
    as_the_project = ["-p", "tests.support.shared_process", "-c", f"{ROOT}/pyproject.toml", "--rootdir", "."]
    like_make_test = ["-n", "1", "--dist", "loadfile", "-o", "faulthandler_timeout=5"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *as_the_project, *like_make_test, "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
    )
    assert done.returncode == 1
    assert "test_bad.py::test_it" in done.stdout
    assert told in done.stdout
