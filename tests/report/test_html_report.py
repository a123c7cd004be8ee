"""report.html is one file without network, and no product text can become markup."""

import base64
import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from copywriter import paths
from copywriter.evaluation.predictions import Prediction
from tests.support.reported_run import NASTY, html, write, write_texts
from tools import chromium


def browsed(file: Path) -> str:
    """The page as a browser has it after its script ran; the test is skipped where there is no Chromium."""
    browser = chromium.program()
    if not browser:
        pytest.skip("no Chromium")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", "--dump-dom"]
    folder = f"--user-data-dir={file.parent / 'browser'}"
    done = subprocess.run(
        [browser, *flags, folder, file.resolve().as_uri()], capture_output=True, text=True, timeout=120
    )
    return done.stdout


def test_the_page_is_one_file_without_network() -> None:
    text = html()
    assert "default-src 'none'" in text
    assert not re.search(r"""(?:src|href|url|import|from)\s*[=(]?\s*["'`]?\s*(?:https?:)?//""", text, re.IGNORECASE)
    assert text == html()


def test_the_policy_allows_the_pages_own_script_alone() -> None:
    text = html()
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    assert re.findall(r"script-src 'sha256-([^']+)'", text) == digests
    assert not re.search(r"\son\w+=", text)


def test_texts_are_data_and_come_back_unchanged() -> None:
    lines = "\n".join([*NASTY, "</script><script>alert(1)</script>", "<!--<script>", "\u2028\x00"])
    rows = [Prediction(f"{n} {lines}", lines, lines, lines, False, 5, 9.5, 3) for n in range(40)]
    plain = html()
    write_texts(lambda _: rows)
    nasty = html()
    for tag in ("<script", "</script", "<img", "<a ", "<!--", "<h1", "<h2", "<table"):
        assert nasty.count(tag) == plain.count(tag), tag
    data = json.loads(nasty.split('id="data-rows">')[1].split("</script>")[0])
    assert [(one["title"], one["reference"], one["written"]) for one in data] == [
        (one.title, one.reference, [one.written] * 3) for one in rows
    ]


def test_params_and_sources_cannot_become_markup() -> None:
    entry = "\n  bad: {kind: folder, path: x, licence: '<script>alert(1)</script>'}\n"
    paths.SOURCES.write_text(paths.SOURCES.read_text() + entry)
    assert html(model="bad").count("<script>") == 1
    write(paths.CLEAN_COUNTS, json.loads(paths.CLEAN_COUNTS.read_text()) | {"dropped": {"<b>": 2000}})
    text = html(model="bad")
    assert "<b>:" not in text and "<th>&lt;b&gt;</th>" in text


def test_a_browser_shows_the_first_rows_and_runs_none_of_their_code() -> None:
    text = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script> 5 litres"
    rows = [Prediction(f"{n} {text}", "q", f"{text} or so", text, False, 5, 9.5, 3) for n in range(40)]
    write_texts(lambda _: rows)
    html()
    shown = browsed(paths.REPORT_PAGE)
    assert "<title>Copywriter: smollm2-135m on practice-catalogue</title>" in shown
    assert 20 <= shown.count("<article>") <= 40
    assert re.search(r'<output id="count">\d\d shown of 40</output>', shown)
    assert "&lt;img src=x" in shown and "<img" not in shown
    assert '<mark class="same">litres</mark>' in shown
    assert "did not stop" in shown
