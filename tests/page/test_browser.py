"""The page in a real Chromium: write, compare, fail, tables, narrow, dark, by keyboard, and nothing leaves the host."""

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from copywriter.generation.answers import printable
from copywriter.generation.generate import Generated
from copywriter.generation.inference import InferenceModel, request
from tests.page.conftest import ATTACK, Opener, Served

FIELD = "#title textarea, #title input"
SIZES = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 390, "height": 800}}


@pytest.fixture
def visit(site: Served, opened: Opener) -> Callable[..., Tab]:
    """Opens the page in a window of its own and waits for its form."""

    def go(**settings: Any) -> Tab:
        tab = opened(**settings).new_page()
        tab.goto(site.address)
        tab.wait_for_selector(FIELD)
        return tab

    return go


def write(tab: Tab, title: str, end: str = "Finished.") -> None:
    tab.fill(FIELD, title)
    tab.press(FIELD, "Enter")
    expect(tab.locator("#status")).to_contain_text(end)


def models(site: Served) -> dict[str, InferenceModel]:
    found = site.page.worker.models
    assert found
    return found


def expected(site: Served, name: str, title: str) -> str:
    """The text that `ask` prints."""
    (text,) = models(site)[name].texts([request(title)])
    return printable(text.text)


def test_base_and_tuned_stand_side_by_side_with_their_sources(site: Served, visit: Callable[..., Tab]) -> None:
    tab = visit(viewport=SIZES["wide"])
    tab.get_by_role("button", name="Bucket model 51", exact=True).click()  # a title of the test set
    expect(tab.locator(FIELD)).to_have_value("Bucket model 51")
    write(tab, "Bucket model 7 of iron")
    texts = {name: tab.locator(f"#text-{name}").text_content() for name in ("tuned", "base")}
    assert texts == {name: expected(site, name, "Bucket model 7 of iron") for name in texts}
    assert texts["tuned"] != texts["base"]
    left, right = (tab.locator(f"#panel-{name}").bounding_box() for name in ("tuned", "base"))
    assert left and right and left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    (source,) = models(site)["tuned"].sources(request("Bucket model 7 of iron"))
    expect(tab.locator("#sources summary")).to_have_text(f"{source.product.title} similarity {source.similarity:.2f}")


def test_base_can_be_left_out_and_facts_and_question_are_asked(site: Served, visit: Callable[..., Tab]) -> None:
    tab = visit()
    tab.get_by_label("Also show the base").uncheck()
    tab.fill("#facts textarea", "Brand=Acme\n material = wool")
    tab.get_by_text("Settings").click()
    tab.get_by_label("Your own question").fill("Sell it.")
    write(tab, "Bucket 9")
    with tab.expect_download() as saved:
        tab.click("#download-jsonl")
    (row,) = [json.loads(line) for line in Path(saved.value.path()).read_text().splitlines()]
    assert row["facts"] == {"material": "wool", "brand": "Acme"}
    assert (row["title"], row["question"], list(row)[-1]) == ("Bucket 9", "Sell it.", "tuned")
    one = request("Bucket 9", "Sell it.", "material: wool\nbrand: Acme")
    assert row["tuned"]["written"] == next(iter(models(site)["tuned"].texts([one]))).text
    assert tab.locator("#text-base").count() == 0


def test_a_number_from_nowhere_is_marked_and_markup_of_texts_is_text(
    site: Served, visit: Callable[..., Tab], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"It weighs 77 kg. {ATTACK}"

    def stream(*_: object, **__: object) -> Iterator[tuple[str, Any]]:
        yield text[:10], None
        yield text[10:], Generated(text, True, 9)

    monkeypatch.setattr(InferenceModel, "stream", stream)
    tab = visit()
    write(tab, f"Bucket model 5 {ATTACK}")
    expect(tab.locator("#text-tuned")).to_have_text(text)
    assert tab.locator("#text-tuned mark").all_text_contents()[0] == "77 kg"
    tab.locator("#sources summary").click()
    assert ATTACK in (tab.locator("#sources").text_content() or "")
    tab.fill("#facts textarea", "<script>hacked()</script>=x")
    write(tab, "Bucket", "'<script>hacked()</script>' is not a fact")
    assert tab.evaluate("typeof window.hacked") == "undefined"


@pytest.mark.parametrize(
    ("title", "facts", "message"),
    [
        ("!!!", "", "has no letter or digit"),
        ("x" * 501, "", "the title has 501 characters; give at most 500"),
        ("Bucket", "red", "line 1 of the facts is 'red'; write NAME=VALUE"),
        ("Bucket", "colour=red", "'colour' is not a fact of the adapter; it knows material, brand"),
    ],
)
def test_a_mistake_is_one_sentence_and_the_page_goes_on(
    visit: Callable[..., Tab], title: str, facts: str, message: str
) -> None:
    tab = visit()
    tab.evaluate("document.querySelectorAll('[maxlength]').forEach(one => one.removeAttribute('maxlength'))")
    tab.fill("#facts textarea", facts)
    write(tab, title, message)
    expect(tab.locator("#status [role=alert]")).to_have_count(1)
    tab.fill("#facts textarea", "")
    write(tab, "Bucket")


def test_a_table_becomes_a_table_with_texts(site: Served, visit: Callable[..., Tab], tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(
        "SKU;Title;brand\n1;Bucket one;Acme\n2;!!!;\n3;Bucket;two;many\n4;Bucket four;\n"
    )
    tab = visit()
    tab.get_by_role("tab", name="A table").click()
    tab.set_input_files("#file input", tmp_path / "shop.csv")
    expect(tab.locator("#read")).to_contain_text("3 rows, titles in the column “Title”")
    expect(tab.locator("#read")).to_contain_text("line 4: wrong number of fields (4 fields, header has 3)")
    tab.click("#write-table")
    expect(tab.locator("#progress")).to_contain_text("4 of 4 rows, 2 without a text")
    with tab.expect_download() as saved:
        tab.click("#download-csv")
    text = Path(saved.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["SKU", "Title", "brand", "written", "unsupported", "error"]
    assert [row["SKU"] for row in rows] == ["1", "2", "", "4"]
    one = request("Bucket one", None, "brand: Acme")
    assert rows[0]["written"] == next(iter(models(site)["tuned"].texts([one]))).text
    assert rows[3]["written"] == expected(site, "tuned", "Bucket four")
    assert "no letter or digit" in rows[1]["error"] and rows[2]["error"].startswith("line 4: wrong number")
    assert not list(Path(str(site.page.uploads)).rglob("*.csv"))  # nothing of it stays on the disk


CONTRASTS = """() => {
  const light = (c) => { const v = c.map(x => (x /= 255) <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const rgb = (s) => s.match(/[\\d.]+/g).map(Number);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] == 1) return c.slice(0, 3); }
    return [255, 255, 255]; };
  return [...document.querySelectorAll('h1, h3, p, mark, summary, .written, .similarity, button, label span')]
    .filter(e => e.offsetParent && e.textContent.trim()).map(e => {
      const [a, b] = [light(rgb(getComputedStyle(e).color).slice(0, 3)), light(behind(e))];
      return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.className + ' ' + e.textContent.slice(0, 30)]; });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_text_can_be_read_wide_and_narrow_light_and_dark(
    visit: Callable[..., Tab], scheme: str, size: str
) -> None:
    tab = visit(viewport=SIZES[size], color_scheme=scheme)
    write(tab, "Bucket model 7 of iron")
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background.strip("rgba()").split(",")[:3])) < 200) == (scheme == "dark")
    assert [one for one in tab.evaluate(CONTRASTS) if one[0] < 4.5] == []
    rights = "[...document.querySelectorAll('p, button, .scroll')].map(one => one.getBoundingClientRect().right)"
    for name in ("One product", "A table", "Scores"):
        tab.get_by_role("tab", name=name).click()
        assert max(tab.evaluate(rights)) <= SIZES[size]["width"], name
        assert tab.evaluate("document.documentElement.scrollWidth") == SIZES[size]["width"], name


def test_the_keyboard_alone_is_enough(site: Served, visit: Callable[..., Tab]) -> None:
    tab = visit(permissions=["clipboard-read", "clipboard-write"])
    tab.locator(FIELD).focus()
    tab.keyboard.type("Bucket model 7")
    reached = []
    for _ in range(30):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.parentElement.id"))
        outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if reached[-1] == "write":
            assert outline != "none"
            tab.keyboard.press("Enter")
            expect(tab.locator("#status")).to_contain_text("Finished.")
        if reached[-1] == "copy-tuned":
            tab.keyboard.press("Space")
            break
    assert [one for one in reached if one in ("write", "stop", "copy-tuned")] == ["write", "stop", "copy-tuned"]
    tab.wait_for_function("navigator.clipboard.readText().then(text => text.length > 0)")
    assert tab.evaluate("navigator.clipboard.readText()") == expected(site, "tuned", "Bucket model 7")


def test_no_request_leaves_the_host(site: Served, opened: Opener) -> None:
    context = opened()
    asked: list[str] = []
    context.on("request", lambda one: asked.append(one.url))
    tab = context.new_page()
    problems: list[str] = []
    tab.on("console", lambda one: problems.append(one.text) if one.type == "error" else None)
    tab.goto(site.address)
    for name in ("Scores", "A table", "One product"):
        tab.get_by_role("tab", name=name).click()
    write(tab, "Bucket")
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((site.address, "data:", "blob:"))] == []
    hints = "[...document.querySelectorAll('link, script, iframe, img')].map(one => one.href || one.src || '')"
    assert [url for url in tab.evaluate(hints) if url and not url.startswith((site.address, "data:"))] == []
    assert problems == []
    assert tab.evaluate("fetch('http://example.com/').then(() => 'sent', () => 'refused')") == "refused"


def test_stop_and_a_closed_window_free_the_model(
    site: Served, visit: Callable[..., Tab], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    def endless(*_: object, **__: object) -> Iterator[tuple[str, None]]:
        try:
            while True:
                time.sleep(0.01)  # about as long as a model takes
                yield "word ", None
        finally:
            closed.append("closed")

    with monkeypatch.context() as patch:
        patch.setattr(InferenceModel, "stream", endless)
        for count in (2, 4):
            tab = visit()
            write(tab, "Bucket", "Writing")
            expect(tab.locator("#text-tuned")).to_contain_text("word word")
            if count == 2:
                tab.click("#stop")
                expect(tab.locator("#status")).to_contain_text("Stopped.")
            else:
                tab.close()
            assert site.page.worker.wait_until_idle(20)
            assert len(closed) == count  # base and tuned
    write(visit(), "Bucket")
