"""Work in several processes; the results come in the order of the work, whatever the number of processes."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from typing import TypeVar

from copywriter.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def in_order(work: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """The results of `work` for each item, in order. At most two items per process are in progress."""
    items = iter(items)
    first = list(islice(items, 2))
    if processes == 1 or len(first) < 2:  # starting a process takes longer than one item
        yield from map(work, chain(first, items))
        return
    ignore_interrupt = (signal.SIGINT, signal.SIG_IGN)  # the main process ends the others
    waiting: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(processes, get_context("forkserver"), signal.signal, ignore_interrupt) as pool:
        try:
            for item in chain(first, items):
                waiting.append(pool.submit(work, item))
                if len(waiting) == 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process was killed, most often because memory ran out; close other programs and run it again"
            ) from None
