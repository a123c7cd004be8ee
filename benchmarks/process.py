"""A job in a process of its own; under a time limit, when asked, and how it failed in one line."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.sides import ROOT, Job

_ERROR = re.compile(r"^[\w.]*(Error|Exception|Exit|Interrupt)\b.*", re.MULTILINE)


def environment() -> dict[str, str]:
    """This process's, in which children find this code wherever their working folder is."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def answer(module: str, job: Mapping[str, Any], **variables: str) -> Any:
    """What `python -m module` answers to a job through `respond`, with these variables of its environment."""
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        command = [sys.executable, "-m", module, json.dumps(dict(job)), result.name]
        subprocess.run(command, env=environment() | variables, stdout=subprocess.DEVNULL, check=True)
        return json.loads(Path(result.name).read_text())


def respond(work: Callable[[Any], Any]) -> None:
    """The other side of `answer`: what `work` makes of the job."""
    Path(sys.argv[2]).write_text(json.dumps(work(json.loads(sys.argv[1]))))


def result_of(module: str, job: Job, log: Path, limit: float) -> dict[str, Any]:
    """What `python -m module` writes for the job; "failed" says why it wrote nothing, or what went wrong afterwards."""
    file = job.result.with_suffix(".job")
    job.write(file)
    # One GPU, as every side is meant for; what the user set of this goes first.
    environment = {"CUDA_VISIBLE_DEVICES": "0", **os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(file)],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code: int | None = None
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        finally:  # with what it started: compilers, data loaders
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    result: dict[str, Any] = json.loads(job.result.read_text()) if job.result.exists() else {}
    if code != 0 or not result:
        how = f"exceeded {limit:.0f} s" if code is None else f"exit code {code}"
        result["failed"] = f"{how}: {_last_words(log)}"
    return result


def _last_words(log: Path) -> str:
    """The last error in a log, else its last line."""
    text = log.read_text(errors="replace").strip()
    errors = list(_ERROR.finditer(text))
    return (errors[-1][0] if errors else text.rpartition("\n")[2])[:250] or "no output"
