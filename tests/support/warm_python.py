"""A `python` that runs a stage in a fork of a process that has loaded the large libraries.

The imports of a stage that trains take seven seconds. `warm_python` makes a folder for PATH whose
`python -m stages.NAME` forks a server process instead: the stage has its caller's working folder, code, environment,
streams and exit code, and its own memory. Other arguments go to the real interpreter. The fork is not in its caller's
process group, so tests that kill stages use the real interpreter.
"""

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.process import ROOT

LIBRARIES = (
    *("torch", "pyarrow.parquet", "transformers.models.llama.modeling_llama", "transformers.trainer", "datasets"),
    *("accelerate", "bitsandbytes", "peft", "trl.trainer.sft_trainer"),
)
_CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
if sys.argv[1:2] != ["-m"] or not sys.argv[2].startswith("stages."):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    job = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(job).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(job)
    code = int(server.makefile().read() or 1)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@contextmanager
def warm_python(folder: Path, environment: Mapping[str, str], libraries: Sequence[str] = LIBRARIES) -> Iterator[Path]:
    """Starts the server and makes `folder` with its `python`; commands find it by their PATH."""
    folder.mkdir()
    address = str(folder / "socket")
    client = folder / "python"
    client.write_text(_CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    given = {**environment, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen([sys.executable, "-m", "tests.support.warm_python", address, *libraries], env=given)
    try:
        while not Path(address).exists():  # polls: the file appears when the libraries are loaded
            assert server.poll() is None, "the server of warm_python ended"
            time.sleep(0.05)
        yield folder
    finally:
        server.terminate()
        server.wait()


def serve(address: str, libraries: Sequence[str]) -> None:
    """Loads the libraries and forks for each connection until the process is ended."""
    for library in libraries:
        importlib.import_module(library)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address + ".new")
        listening.listen()
        Path(address + ".new").rename(address)
        signal.signal(signal.SIGCHLD, _reap)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                break
            connection.close()
    with connection:
        head, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
        job = json.loads(connection.makefile("rb").read(int.from_bytes(head, "big")))
        if child := os.fork():
            connection.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
            os._exit(0)
    _become(job, descriptors)


def _reap(*given: object) -> None:
    """Collects children that have ended, so that their processor time counts for the server."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(job: Any, descriptors: list[int]) -> None:
    """Runs the module as `python -m` does; how it ends is how this process ends."""
    arguments, folder, environment = job
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = folder
    sys.path.remove(str(ROOT))  # of the server; the caller may have it too
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "copywriter", "stages")]:
        del sys.modules[name]
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
