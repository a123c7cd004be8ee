"""The plots page is DVC's template with Vega inside: it asks no other host for anything."""

import re
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


def test_dvc_fills_the_page(repository: Path) -> None:
    before = dvc("plots", "show")
    assert "jsdelivr" in Path("dvc_plots/index.html").read_text(), before
    plots_page.run()
    dvc("plots", "show")
    shown = Path("dvc_plots/index.html").read_text()
    assert shown.startswith(plots_page.PAGE.read_text().split("{refresh_tag}")[0])
    assert shown.count("vegaEmbed('#") == 1
    assert "validation.csv" in shown
    assert "jsdelivr" not in shown
    assert not re.search(r"\{(?:plot_divs|refresh_tag|scripts)\}", shown)


def test_twice_is_as_once(repository: Path) -> None:
    states = []
    for _ in range(2):
        plots_page.run()
        states.append((plots_page.PAGE.read_bytes(), Path(".dvc/config.local").read_text()))
    assert states[0] == states[1]
    assert "html_template = plots.html" in states[0][1]
    assert sorted(file.name for file in Path(".dvc").glob("*.html*")) == ["plots.html"]


def test_outside_a_repository_it_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run from the repository's root"):
        plots_page.run()


def test_git_does_not_see_the_page() -> None:
    ignored = (ROOT / ".dvc" / ".gitignore").read_text().split()
    assert {"/plots.html", "/config.local"} <= set(ignored)
