"""Ctrl-C and SIGTERM: noticed at once, acted upon where the state is that of a finished step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from copywriter.errors import UserError


class Interrupted(UserError):  # noqa: N818 - it is no error
    """The run was asked to stop."""


class Interrupts:
    """Raises Interrupted when this process is asked to stop: at once, or while `held` when `check` is called next."""

    def __init__(self) -> None:
        self.asked: str | None = None
        self._held = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        for one in (signal.SIGINT, signal.SIGTERM):
            self._before[one] = signal.signal(one, self._notice)
        return self

    def __exit__(self, *exception: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    @contextmanager
    def held(self, hold: bool = True) -> Iterator[None]:
        """Within it a signal waits for `check`; with False, inside such a part, it does not."""
        before, self._held = self._held, hold
        try:
            if not hold:
                self.check()
            yield
        finally:
            self._held = before

    def check(self) -> None:
        """Raises Interrupted when the process was asked to stop."""
        if self.asked:
            raise Interrupted(f"stopped by {self.asked}; run it again to go on")

    def _notice(self, number: int, frame: FrameType | None) -> None:
        for one, handler in self._before.items():  # asked twice, it ends at once
            signal.signal(one, handler)
        self.asked = signal.Signals(number).name
        if not self._held:
            self.check()
