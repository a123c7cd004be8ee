"""A served page with tiny models, and a browser that looks at it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from copywriter import paths, records
from copywriter.page.layout import Page
from copywriter.page.server import served
from copywriter.records import Product
from stages import retrieve, train_qlora
from tests.conftest import ROOT, changed, room_in
from tests.support.training import SMALL
from tools import chromium

FACTS = ["material", "brand"]
# Markup of a page and of its templates; a shop's catalogue may hold all of it.
ATTACK = "<img src=x onerror=hacked=1><script>hacked=1</script> ${window.hacked=1} {{hacked}} </textarea>"


class Served(NamedTuple):
    """A page that is being served from a working folder."""

    address: str
    page: Page
    folder: Path


def product(number: int) -> Product:
    """A product; every fifth title holds markup."""
    title = f"Bucket model {number}" + (f" {ATTACK}" if number % 5 == 0 else "")
    return Product(title, f"A bucket of {number} litres. {ATTACK}", f"material: steel\nbrand: Acme {number}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[Path]:
    """A working folder with a small adapter that knows facts and neighbours."""
    with pytest.MonkeyPatch.context() as patch:
        folder = room_in(tmp_path_factory.mktemp("shop"), tiny_base, patch)
        limits = {"max_length": 220, "max_prompt_length": 100, "retrieval__max_length": 60, "retrieval__words": 8}
        tiny = {**limits, "retrieval__neighbours": 1, "decoding__max_new_tokens": 24, "decoding__candidates": 2}
        p = changed(**{**SMALL, **tiny, "epochs": 1})
        (folder / "params.yaml").write_text(yaml.safe_dump(p.model_dump()))
        for path, rows in ((paths.TRAIN, range(1, 31)), (paths.VALIDATION, range(40, 44)), (paths.TEST, range(51, 55))):
            records.write_products(path, map(product, rows), FACTS)
        retrieve.run()
        train_qlora.run(p)
        for side in ("base", "tuned", "nearest"):
            paths.scores(side).parent.mkdir(exist_ok=True)
            paths.scores(side).write_bytes((ROOT / paths.scores(side)).read_bytes())
        yield folder


@pytest.fixture(scope="module")
def site(shop: Path) -> Iterator[Served]:
    """The page of that folder, its models loaded."""
    with served(port=chromium.free_port()) as (address, page):
        assert page.worker.loaded(60)
        yield Served(address, page, shop)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; tests that need it are skipped where there is none."""
    if not chromium.program():
        pytest.skip("there is no Chromium; 'make servers' installs it on Debian")
    with sync_playwright() as driver:
        found = chromium.launched(driver)
        yield found
        found.close()


Opener = Callable[..., BrowserContext]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opener]:
    """Makes a browser's window with its own settings; all are closed in the end."""
    made: list[BrowserContext] = []

    def make(**settings: object) -> BrowserContext:
        made.append(browser.new_context(locale="en-US", **settings))  # type: ignore[arg-type]
        made[-1].set_default_timeout(30_000)
        return made[-1]

    yield make
    for one in made:
        one.close()
