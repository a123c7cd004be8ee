"""One process per GPU: a stage starts them itself, or joins those that torchrun or accelerate started."""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import PartialState

from copywriter import stage
from copywriter.errors import UserError

_FAILURE = "COPYWRITER_FAILURE"  # set for processes started here: the file for the first error message
_PATIENCE = timedelta(minutes=30)  # how long processes wait for the slowest


def run(name: str, work: Callable[[], str]) -> None:
    """Runs `work` as copywriter.stage does, in one process per GPU, each started by `python -m stages.<name>`."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        join(name, work)
        return
    try:
        processes = wanted()
        if processes > 1:
            where = f"{processes} GPUs" if torch.cuda.is_available() else "the CPU"
            print(f"{name}: {processes} processes on {where}", file=sys.stderr, flush=True)
            start(name, f"stages.{name}", sys.argv[1:], processes)
            return
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    stage.run(name, work)


def wanted() -> int:
    """The number of processes on this host: one per visible GPU, one without a GPU, or COPYWRITER_PROCESSES."""
    gpus = torch.cuda.device_count()
    given = os.environ.get("COPYWRITER_PROCESSES", "")
    if not given:
        return max(1, gpus)
    if not given.isdecimal() or int(given) < 1:
        raise UserError(f"COPYWRITER_PROCESSES is {given!r}; unset it, or give a whole number from 1")
    if gpus and int(given) > gpus:
        raise UserError(f"COPYWRITER_PROCESSES is {given}, but {gpus} GPUs are visible; unset it to use them all")
    return int(given)


def team() -> PartialState:
    """The distributed state of this process: its rank, and the number of processes of the run."""
    return PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)


def start(name: str, module: str, arguments: Sequence[str], processes: int) -> None:
    """Runs `python -m module arguments` in so many processes; when one fails, all stop and its error is raised."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="copywriter-") as folder:
        failure = Path(folder) / "failure"
        os.environ[_FAILURE] = str(failure)
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
        logging.disable(logging.ERROR)  # the launcher's long report of a failure
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=name,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",  # any free port
            local_addr="localhost",  # a host's own name need not resolve
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)("-m", module, *arguments)
        except ChildFailedError as error:
            codes = {rank: one.exitcode for rank, one in error.failures.items()}
            raise UserError(_cause(codes, failure.read_text() if failure.exists() else "")) from None
        except SignalException as error:
            print(f"{name}: stopped; run it again to resume from the last checkpoint", file=sys.stderr, flush=True)
            raise SystemExit(128 + error.sigval) from None


def _cause(codes: dict[int, int], message: str) -> str:
    """Why a run ended: a process that was killed, else the first error message."""
    for rank, code in codes.items():
        if code < 0:  # the others then fail because they lose it
            return (
                f"process {rank} was ended by {signal.Signals(-code).name}"
                f"{' (often: the machine ran out of memory)' if code == -signal.SIGKILL else ''}"
                "; run again to resume from the last checkpoint"
            )
    return message or f"process {min(codes)} ended with exit code {codes[min(codes)]}; see its messages above"


def join(name: str, work: Callable[[], str]) -> None:
    """Runs `work` as one of several processes; only the main one prints."""
    if _FAILURE in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: no process outlives its launcher
    if team().is_main_process:
        stage.run(name, lambda: _reported(name, work))
    else:
        with contextlib.ExitStack() as stack:
            silence = stack.enter_context(Path(os.devnull).open("w"))
            stack.enter_context(contextlib.redirect_stdout(silence))
            stack.enter_context(contextlib.redirect_stderr(silence))
            _reported(name, work)
    team().destroy_process_group()


def _reported(name: str, work: Callable[[], str]) -> str:
    """The result of `work`; an error is reported if it is the first, and ends this process."""
    try:
        return work()
    except (Exception, KeyboardInterrupt) as error:
        if not isinstance(error, KeyboardInterrupt):
            _report(name, error)
        os._exit(1)  # a normal exit would wait for the other processes


def _report(name: str, error: Exception) -> None:
    rank = team().process_index
    text = str(error) if isinstance(error, UserError) else f"process {rank} failed:\n{traceback.format_exc()}"
    if _FAILURE not in os.environ:  # another launcher, which shows the output of each process
        print(f"{name}: {text}", file=sys.__stderr__, flush=True)
        return
    with contextlib.suppress(FileExistsError), Path(os.environ[_FAILURE]).open("x") as file:
        file.write(text)
