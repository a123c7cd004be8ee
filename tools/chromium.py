"""The system's Chromium, driven by Playwright: for the tests of the page and its recording."""

import os
import shutil
import socket

from playwright.sync_api import Browser, Playwright

from copywriter.errors import UserError

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def program() -> str:
    """The path of the browser; "" where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), "")


def launched(driver: Playwright) -> Browser:
    """A headless browser; UserError where there is none. As root it runs without its sandbox, which it demands."""
    if not program():
        raise UserError("there is no Chromium; 'make servers' installs it on Debian")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return driver.chromium.launch(executable_path=program(), args=sandbox, timeout=60_000)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
