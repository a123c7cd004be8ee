"""A shop's file in a working folder, and the output of inspect about it."""

import sys
from pathlib import Path

import pytest

from copywriter import inspect, paths

ROWS = [
    ("Red bucket", "Ten litres.Made of steel &amp; tin."),
    ("Blue bucket", "Twelve  litres."),
    ("Red bucket", "Ten litres.Made of steel &amp; tin."),
    ("red BUCKET", "Another text."),
    ("", "No name at all."),
    ("Lamp", ""),
    ("Rug", "<b>Rug</b>"),
]
CSV = "id;name;text\n" + "".join(f'{n};{name};"{text}"\n' for n, (name, text) in enumerate(ROWS)) + "7;Cup;a;b\n"
SHOP = Path("catalogues/shop.csv")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(paths, "MIRROR", None)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    SHOP.parent.mkdir()
    SHOP.write_text(CSV)
    return tmp_path


def printed(*arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command prints."""
    monkeypatch.setattr(sys, "argv", ["inspect", *arguments])
    inspect.main()
    return capsys.readouterr().out
