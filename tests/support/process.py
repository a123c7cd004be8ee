"""Work in a child process: the environment in which it finds this code, and a job's way there and back."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_ANSWER = "--answer"  # the first argument of a process that `answer` starts


def environment() -> dict[str, str]:
    """This process's environment, in which a child finds this code from any working folder."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def answer(module: str, job: Mapping[str, Any], **variables: str) -> Any:
    """The result that `python -m module` gives `respond` for a job, with these environment variables."""
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        command = [sys.executable, "-m", module, _ANSWER, json.dumps(dict(job)), result.name]
        subprocess.run(command, env=environment() | variables, stdout=subprocess.DEVNULL, check=True)
        return json.loads(Path(result.name).read_text())


def answering() -> bool:
    """Whether this process was started by `answer`."""
    return sys.argv[1:2] == [_ANSWER]


def respond(work: Callable[[Any], Any]) -> None:
    """In the process that `answer` started: does the job and hands the result back."""
    Path(sys.argv[3]).write_text(json.dumps(work(json.loads(sys.argv[2]))))
