"""Ctrl-C and SIGTERM: recorded at once, handled where the state is that of a finished step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from copywriter.errors import UserError


class Interrupted(UserError):  # noqa: N818 - not an error
    """A signal stopped the run."""


class Interrupts:
    """Raises Interrupted on a signal: at once, or within `postponed` at the next call of `check`."""

    def __init__(self) -> None:
        self.asked: str | None = None
        self._postponed = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        for one in (signal.SIGINT, signal.SIGTERM):
            self._before[one] = signal.signal(one, self._record)
        return self

    def __exit__(self, *exception: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    @contextmanager
    def postponed(self, postpone: bool = True) -> Iterator[None]:
        """Within it a signal waits for `check`; with False, nested in such a part, it is handled at once."""
        before, self._postponed = self._postponed, postpone
        try:
            if not postpone:
                self.check()
            yield
        finally:
            self._postponed = before

    def check(self) -> None:
        """Raises Interrupted when the process got a signal."""
        if self.asked:
            raise Interrupted(f"stopped by {self.asked}; run it again to resume")

    def _record(self, number: int, frame: FrameType | None) -> None:
        for one, handler in self._before.items():  # a second signal ends the process at once
            signal.signal(one, handler)
        self.asked = signal.Signals(number).name
        if not self._postponed:
            self.check()
