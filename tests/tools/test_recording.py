"""The recording: frames of the page and of the terminal, of a practice title only, small enough to show."""

from pathlib import Path

import pytest
import yaml
from PIL import Image

from copywriter import paths, records
from copywriter.errors import UserError
from tests.conftest import changed
from tests.generation.test_generate import SMALL
from tests.support.process import ROOT
from tests.support.tiny import products
from tools import chromium, recording


@pytest.fixture
def shop(room: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the base model alone, of which ask in another process finds the code."""
    (room / "params.yaml").write_text(yaml.safe_dump(changed(**SMALL).model_dump()))
    records.write_products(paths.TEST, products(3))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return room


def test_page_and_terminal_are_recorded_and_fit_a_page(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not chromium.program():
        pytest.skip("there is no Chromium; 'make servers' installs it on Debian")
    (shop / "docs").mkdir()
    film, picture = shop / "docs/demo.gif", shop / "docs/page.png"
    monkeypatch.setattr("sys.argv", ["recording", "--title", "Bucket 1", "--weights", "models/base"])
    recording.main()
    said = capsys.readouterr().err
    with Image.open(film) as frames:
        count = getattr(frames, "n_frames", 1)
        assert count > 12 and frames.size == (recording.WIDTH, recording.HEIGHT)
        assert f"recording: {count} frames" in said
        corners = []
        for number in (0, count - 1):
            frames.seek(number)
            corners.append(sum(frames.convert("RGB").getpixel((5, 5))))  # type: ignore[arg-type]
    assert corners[0] > 600 and corners[1] < 150  # first the light page, last the dark terminal
    assert film.stat().st_size < recording.MOST_BYTES
    with Image.open(picture) as shown:
        assert shown.width == recording.WIDTH


def test_only_titles_of_the_practice_catalogue_are_shown(shop: Path) -> None:
    with pytest.raises(UserError, match=r"is no title of data/test\.parquet"):
        recording.work("Another shop's mug", paths.BASE, shop / "a.gif", shop / "a.png")
    (shop / "params.yaml").write_text(yaml.safe_dump(changed(**SMALL).model_dump() | {"dataset": "my-shop"}))
    with pytest.raises(UserError, match=r"titles of practice-catalogue only, and params\.yaml has dataset my-shop"):
        recording.work(None, paths.BASE, shop / "a.gif", shop / "a.png")
