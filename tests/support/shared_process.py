"""Tests that share a process: none may change what a signal does to it, and how it ended is said."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Fails a test that leaves a signal handled in another way: that would end the process in a later test."""
    watched = signal.valid_signals() - {signal.SIGCHLD}  # torch's data loaders handle it for good
    before = {one: signal.getsignal(one) for one in watched}
    yield
    left = {one: signal.getsignal(one) for one in watched}
    changed = [one for one in left if left[one] != before[one]]
    for one in changed:
        signal.signal(one, before[one])
    assert not changed


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    """Says how a worker that was not done has ended; which test it was in is said by xdist."""
    if error and error != "keyboard-interrupt":
        code = node.gateway._io.popen.wait(60)
        how = f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exit code {code}"
        terminal = node.config.pluginmanager.get_plugin("terminalreporter")
        terminal.write_line(f"\n{node.gateway.id} was ended by {how}: not all tests are run")
