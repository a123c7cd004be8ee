"""Work spread over processes, with results in the order of the work, so that nothing depends on how many there are."""

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
    """What `work` makes of each item. No more than two items a process are on their way at any time."""
    items = iter(items)
    first = list(islice(items, 2))
    if processes == 1 or len(first) < 2:  # to start a process for one item takes longer than the item
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
            raise UserError("a process was ended from outside, most often for want of memory; free some") from None
