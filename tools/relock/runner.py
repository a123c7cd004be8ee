"""Runs stages one after another, each in a process of its own that starts with the libraries already imported.

A program by itself: it imports nothing of this project, since the stages come from several checkouts. It reads one job
a line from standard input and answers each with a line: the exit code. A job is JSON: `folder` to run in, `module` and
`arguments`, `environment`, `log` for its messages, and `trace`, a file for the lines of that folder's code that ran.
"""

import importlib
import json
import os
import runpy
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

_LIBRARIES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "datasets", "pyarrow", "pydantic")


def main() -> None:
    """Answers jobs until standard input ends."""
    if not any(Path("/dev").glob("nvidia[0-9]*")):  # CUDA cannot be used in a fork of a process that touched it
        for name in _LIBRARIES:
            importlib.import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        process = os.fork()
        if process == 0:
            _work(job)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _work(job: dict[str, Any]) -> None:
    """Runs a job and ends the process."""
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDONLY) if stream == 0 else log, stream)
    code = 1
    ran: set[tuple[str, int]] = set()
    try:
        os.chdir(job["folder"])
        os.environ.update(job["environment"])
        sys.path[0] = job["folder"]
        sys.argv = [job["module"], *job["arguments"]]
        if job["trace"]:
            _trace(job["folder"] + os.sep, ran)
        runpy.run_module(job["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.settrace(None)
        if job["trace"]:
            Path(job["trace"]).write_text(json.dumps(sorted(ran)))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _trace(root: str, ran: set[tuple[str, int]]) -> None:
    """Adds (file relative to `root`, line) to `ran` for each line that runs in this process."""

    def line(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            ran.add((frame.f_code.co_filename[len(root) :], frame.f_lineno))
        return line

    def call(frame: FrameType, event: str, _: object) -> Any:
        return line if frame.f_code.co_filename.startswith(root) else None

    threading.settrace(call)
    sys.settrace(call)


if __name__ == "__main__":
    main()
