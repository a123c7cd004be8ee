"""Records the page and `ask` with the real models: docs/demo.gif and docs/page.png. `python -m tools.recording`.

A frame is taken whenever the text on the page or in the terminal has grown, and frames have one length, so the
recording plays at another speed than the models write; the page's own counts show the seconds. Needs the packages of
requirements-dev.txt and a Chromium.
"""

import argparse
import codecs
import html
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

from copywriter import errors, params, paths, records, stage
from copywriter.errors import UserError
from copywriter.page.server import served
from tools import chromium

DATASET = "practice-catalogue"  # generated, so that its texts may be shown
WIDTH, HEIGHT = 1040, 640
MOST_BYTES = 3_000_000
FRAME, HOLD = 90, 2_500  # milliseconds
_COLORS = 128
_FIELD = "#title textarea, #title input"
_TERMINAL = """<html><body style="margin:0;background:#16181d;color:#e6e6e6;font:17px/1.5 monospace;padding:28px">
<pre style="white-space:pre-wrap;margin:0;font:inherit">{}</pre></body></html>"""
_UNDERLINED = re.compile("\x1b\\[4m(.*?)\x1b\\[24m", re.DOTALL)


class Film:
    """Frames with their lengths; a frame that equals the one before makes that one longer."""

    def __init__(self) -> None:
        self.frames: list[Image.Image] = []
        self.lengths: list[int] = []

    def add(self, tab: Tab, length: int = FRAME) -> None:
        """Takes a picture of the tab, shown for so many milliseconds."""
        frame = Image.open(BytesIO(tab.screenshot())).convert("RGB")
        if self.frames and frame.tobytes() == self.frames[-1].tobytes():
            self.lengths[-1] += length
        else:
            self.frames.append(frame)
            self.lengths.append(length)

    def save(self, file: Path) -> None:
        """Writes an animated GIF with one palette; UserError when it is too large to show in a page."""
        places = sorted({*range(0, len(self.frames), max(1, len(self.frames) // 8)), len(self.frames) - 1})
        together = Image.new("RGB", (WIDTH, HEIGHT * len(places)))
        for number, place in enumerate(places):
            together.paste(self.frames[place], (0, number * HEIGHT))
        # An octree keeps rare colours, such as those of the marks.
        palette = together.quantize(_COLORS, Image.Quantize.FASTOCTREE)
        some = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        some[0].save(file, save_all=True, append_images=some[1:], duration=self.lengths, loop=0, optimize=True)
        if (size := file.stat().st_size) > MOST_BYTES:
            raise UserError(f"{file} has {size:,} bytes, more than {MOST_BYTES:,}; choose a title with a shorter text")


def film_page(film: Film, tab: Tab, title: str) -> None:
    """Types a title, and shows base and tuned writing, then the similar product."""
    tab.wait_for_selector(_FIELD)
    film.add(tab, 800)
    for end in range(3, len(title) + 3, 3):
        tab.fill(_FIELD, title[:end])
        film.add(tab)
    tab.press(_FIELD, "Enter")
    shown = ""
    while "true" in tab.locator("#status").evaluate("e => String(!/Finished|Pronto/.test(e.textContent))"):
        problem = tab.locator("#status [role=alert]")
        if problem.count():
            raise UserError(f"the page says: {problem.text_content()}")
        now = tab.evaluate("[...document.querySelectorAll('.written')].map(e => e.textContent).join('|')")
        if now != shown:
            film.add(tab)
            shown = now
        tab.wait_for_timeout(40)
    film.add(tab, 2 * HOLD)
    if tab.locator("#sources summary").count():
        tab.locator("#sources summary").first.click()
        film.add(tab, HOLD)


def film_terminal(film: Film, tab: Tab, title: str, arguments: list[str]) -> None:
    """Types `ask` with the title in a terminal's look, then shows what it prints as it comes."""
    command = f'$ python -m copywriter.ask "{title}"'
    for end in range(2, len(command) + 4, 4):
        tab.set_content(_TERMINAL.format(html.escape(command[:end]) + "▏"))
        film.add(tab)
    text = ""
    for piece in _output([sys.executable, "-m", "copywriter.ask", *arguments, title]):
        text += piece
        shown = _UNDERLINED.sub(r"<u>\1</u>", html.escape(text.replace("\r\n", "\n"), quote=False))
        tab.set_content(_TERMINAL.format(html.escape(command) + "\n" + re.sub("\x1b(?:\\[\\d*m?)?$", "", shown)))
        film.add(tab)
    film.add(tab, 2 * HOLD)


def _output(command: list[str]) -> Iterator[str]:
    """What a command prints on a terminal, as it comes; UserError where it fails."""
    ours, its = pty.openpty()
    process = subprocess.Popen(command, stdout=its, stderr=its, stdin=subprocess.DEVNULL)
    os.close(its)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    try:
        while piece := os.read(ours, 4096):
            yield decode(piece)
    except OSError:  # the other end of the terminal is closed
        pass
    finally:
        os.close(ours)
    if process.wait():
        raise UserError(f"{' '.join(command)} failed")


def work(title: str | None, weights: Path, film_file: Path, picture: Path) -> str:
    """Records the scenes; UserError without a Chromium, or where the catalogue is a shop's."""
    if (dataset := params.load().dataset) != DATASET:
        raise UserError(f"a recording shows titles of {DATASET} only, and params.yaml has dataset {dataset}")
    known = [row.title for row in records.iterate_products(errors.existing(paths.TEST, "dvc repro split"))]
    if title is not None and title not in known:
        raise UserError(f"{title[:60]!r} is no title of {paths.TEST}; a recording shows titles of {DATASET} only")
    title = title or known[0]
    film = Film()
    with sync_playwright() as driver, served(weights, port=chromium.free_port()) as (address, page):
        page.worker.loaded()
        browser = chromium.launched(driver)
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto(address)
        film_page(film, tab, title)
        tab.screenshot(path=picture, full_page=True)
        film_terminal(film, tab, title, ["--weights", str(weights)])
        browser.close()
    film.save(film_file)
    return f"{len(film.frames)} frames, {sum(film.lengths) / 1000:.0f} s, {film_file.stat().st_size:,} bytes"


def main() -> None:
    """Wires the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.recording", description=__doc__)
    parser.add_argument("--title", help="a title of the test set; by default its first")
    parser.add_argument("--weights", type=Path, default=paths.ADAPTER, help="default: models/adapter")
    given = parser.parse_args()
    stage.run("recording", lambda: work(given.title, given.weights, Path("docs/demo.gif"), Path("docs/page.png")))


if __name__ == "__main__":
    main()
