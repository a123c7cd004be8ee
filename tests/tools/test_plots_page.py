"""The tracked plots page is what the tool writes: DVC's template with Vega inside, which asks no host for anything."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from copywriter.errors import UserError
from tests.conftest import ROOT
from tools import plots_page

CDN = re.compile(r"""(?:src|href|url|import|from)\s*[=(]?\s*["'`]?\s*(?:https?:)?//""", re.IGNORECASE)
PIPELINE = """
plots:
  - Loss:
      x: step
      y:
        train.csv: loss
        validation.csv: eval_loss
"""


@pytest.fixture(scope="module")
def page() -> str:
    return plots_page.page()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository with two curves, to stand in."""
    monkeypatch.chdir(tmp_path)
    dvc("init", "--no-scm", "--quiet")
    Path("train.csv").write_text("step,loss\n10,3.8\n20,3.1\n")
    Path("validation.csv").write_text("step,eval_loss\n20,3.2\n")
    Path("dvc.yaml").write_text(PIPELINE)
    return tmp_path


def dvc(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, capture_output=True, text=True).stdout


def test_has_the_placeholders_that_dvc_fills(page: str) -> None:
    assert page.count("{plot_divs}") == page.count("{refresh_tag}") == 1
    assert "{scripts}" not in page  # DVC's links to a CDN


def test_defines_what_dvc_calls(page: str) -> None:
    bundle, body = page.split("</script>")
    assert "window.vegaEmbed = " in bundle or "window.vegaEmbed=" in bundle
    assert "{plot_divs}" in body  # the divs' scripts run after it


def test_names_no_other_host(page: str) -> None:
    assert CDN.findall(page) == []
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.jsdelivr.net/npm/vega">',
        "import x from 'https://a'",
        "@import url(//a)",
        "import('http://a')",
    ],
)
def test_the_scan_would_find_one(text: str) -> None:
    assert CDN.search(text)


def test_the_tracked_page_is_the_tools(page: str) -> None:
    assert (ROOT / plots_page.PAGE).read_text(encoding="utf-8") == page, "run 'python -m tools.plots_page'"


def test_dvc_fills_the_tracked_page_in_any_checkout(repository: Path) -> None:
    before = dvc("plots", "show")
    assert "jsdelivr" in Path("dvc_plots/index.html").read_text(), before
    for name in ("config", "plots.html"):  # nothing but what Git tracks
        shutil.copy(ROOT / ".dvc" / name, repository / ".dvc" / name)
    dvc("plots", "show")
    shown = Path("dvc_plots/index.html").read_text(encoding="utf-8")
    assert shown.startswith(plots_page.PAGE.read_text(encoding="utf-8").split("{refresh_tag}")[0])
    assert shown.count("vegaEmbed('#") == 1
    assert "validation.csv" in shown
    assert "jsdelivr" not in shown
    assert not re.search(r"\{(?:plot_divs|refresh_tag|scripts)\}", shown)


def test_writes_the_page_and_nothing_else(repository: Path, page: str) -> None:
    before = set(Path(".dvc").iterdir())
    assert plots_page.run() == "wrote .dvc/plots.html (0.9 MB)"
    assert set(Path(".dvc").iterdir()) - before == {plots_page.PAGE}
    assert plots_page.PAGE.read_text(encoding="utf-8") == page


def test_outside_a_repository_it_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run from the repository's root"):
        plots_page.run()


def test_git_tracks_it_and_the_notices_are_in_it(page: str) -> None:
    assert "/plots.html" not in (ROOT / ".dvc/.gitignore").read_text().split()
    for licence in ("Copyright (c) 2015-2023, University of Washington", "BSD-3-Clause: ", "ISC: ", "MIT: "):
        assert licence in page
