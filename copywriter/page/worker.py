"""The thread that owns the models: it loads them, then computes one job at a time."""

import asyncio
import contextlib
import itertools
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

from copywriter.errors import UserError

T = TypeVar("T")
ModelsT = TypeVar("ModelsT")
_END = object()


class StoppedError(Exception):
    """The job was ended by Worker.stop."""


class _Job:
    """An iterator of results that the worker advances, and where its results go."""

    def __init__(
        self, work: Callable[[Any], Iterator[Any]], key: object, pausable: bool, put: Callable[[object], object]
    ) -> None:
        self.work = work
        self.key = key
        self.pausable = pausable
        self.put = put
        self.cancelled = False
        self.results: Iterator[Any] | None = None


class Worker(Generic[ModelsT]):
    """Runs jobs in the order of their arrival; one that can pause lets the others pass between its results.

    The decode batch keeps its keys and values in the model's modules, so two texts of one model are never generated at
    once.
    """

    def __init__(self, load: Callable[[], ModelsT], most: int = 64) -> None:
        """Starts loading; what `load` raises is raised again by `loaded` and by every job. `most`: jobs at once."""
        self._load = load
        self._most = most
        self._waiting: queue.PriorityQueue[tuple[bool, int, _Job]] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._ready = threading.Event()
        self.models: ModelsT | None = None
        self._failed: Exception | None = None
        self._idle = threading.Condition()
        self._jobs: list[_Job] = []  # running or waiting
        threading.Thread(target=self._run, name="models", daemon=True).start()

    def loaded(self, timeout: float | None = None) -> bool:
        """Waits at most `timeout` seconds for the models; whether they are there. Raises what loading raised."""
        done = self._ready.wait(timeout)
        if self._failed:
            raise self._failed
        return done

    def wait_until_idle(self, timeout: float) -> bool:
        """Waits at most `timeout` seconds until no job runs or waits; whether that is so."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._jobs, timeout)

    def stop(self, key: object) -> None:
        """Ends the jobs that were given this key; their callers get StoppedError."""
        for job in list(self._jobs):
            if job.key == key:
                job.cancelled = True
                job.put(StoppedError())

    async def results(
        self, work: Callable[[ModelsT], Iterator[T]], key: object = None, pausable: bool = False
    ) -> AsyncIterator[T | None]:
        """The results of `work`, computed in the worker's thread; where the caller is slower, only the newest.

        Each result must therefore hold all that is to be shown. None comes after each second without a result. When the
        caller stops, so does the computation, at its next result. `key`: see stop. `pausable`: other jobs may run
        between two results. UserError when too many jobs wait.
        """
        if len(self._jobs) >= self._most:
            raise UserError(f"{self._most} others are waiting; try again in a minute")
        loop = asyncio.get_running_loop()
        found = deque[object]()
        arrived = asyncio.Event()

        def put(one: object) -> None:
            found.append(one)
            arrived.set()

        job = _Job(work, key, pausable, lambda one: loop.call_soon_threadsafe(put, one))
        with self._idle:
            self._jobs.append(job)
        self._waiting.put((pausable, next(self._numbers), job))
        try:
            while True:
                try:
                    await asyncio.wait_for(arrived.wait(), 1)
                except TimeoutError:
                    yield None
                arrived.clear()
                while found:
                    one = found.popleft()
                    if isinstance(one, Exception):
                        raise one
                    if one is _END:
                        return
                    if not found or found[0] is _END or isinstance(found[0], Exception):
                        yield one  # type: ignore[misc]
        finally:
            job.cancelled = True

    def _run(self) -> None:
        try:
            self.models = self._load()
        except Exception as error:
            self._failed = error
        self._ready.set()
        while True:
            _, _, job = self._waiting.get()
            if self._advance(job):
                with self._idle:
                    self._jobs.remove(job)
                    self._idle.notify_all()

    def _advance(self, job: _Job) -> bool:
        """Runs a job to its end, or until it makes way for another; whether it has ended."""
        last: object = _END
        try:
            if self._failed:
                raise self._failed
            if job.results is None and not job.cancelled:
                job.results = job.work(self.models)
            for one in job.results or ():
                if job.cancelled:
                    break
                job.put(one)
                if job.pausable and not self._waiting.empty():
                    self._waiting.put((True, next(self._numbers), job))
                    return False
            if job.results is not None and hasattr(job.results, "close"):
                job.results.close()  # here and now, for it leaves the model as it was
        except Exception as error:
            last = error
        with contextlib.suppress(RuntimeError):  # the server has ended, and its loop with it
            job.put(last)
        return True
