"""No product text can break out of its place in report.md."""

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.evaluation.predictions import Prediction
from copywriter.records import Example
from copywriter.report import escaping
from tests.support.reported_run import NASTY, page, rendered, words, write_texts


@pytest.mark.parametrize("text", [*NASTY, "\n".join(NASTY), "\n\n".join(NASTY), "\r\n".join(NASTY)])
def test_a_quotation_shows_the_text_and_nothing_else(text: str) -> None:
    html = rendered(f"before\n\n{escaping.quote(text)}\n\nafter")
    assert set(re.findall(r"</?(\w+)", html)) == {"p", "blockquote"}
    assert words(html) == ["before", *text.split(), "after"]


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from(" \n\t\\`*_{}[]()<>#+-=.!|~&;:'\"$@/1aZé\u202e\x00\u2028"), max_size=30))
def test_no_text_breaks_out(text: str) -> None:
    html = rendered(
        f"# {escaping.escape(text)}\n\n{escaping.quote(text)}\n\n| {escaping.escape(text)} |\n| --- |\n\nafter"
    )
    assert set(re.findall(r"</?(\w+)", html)) <= {"h1", "p", "blockquote", "em", "table", "thead", "tr", "th"}
    assert words(html)[-1] == "after"
    assert "<blockquote>" in html and "<table>" in html


@settings(max_examples=100)
@given(st.text(st.characters(), max_size=40), st.sampled_from(NASTY))
def test_no_example_breaks_out(text: str, nasty: str) -> None:
    shown = escaping.diff([Example("tags", f"```\n{nasty}", text), Example("tags", text, "~~~\n</details>")])
    html = rendered(f"```diff\n{shown}\n```\n\nafter")
    assert set(re.findall(r"</?(\w+)", html)) == {"pre", "code", "p"}
    assert words(html)[-1] == "after"
    assert len(unescape(html).splitlines()) == 7


def test_a_page_of_nasty_texts_keeps_its_sections() -> None:
    line, lines = " ".join(NASTY), "\n".join(NASTY)
    rows = [Prediction(f"{n} {line}", line, lines, lines, False) for n in range(40)]
    plain = rendered(page())
    write_texts(lambda _: rows)
    nasty = rendered(page())
    for tag in ("<h1>", "<h2>", "<h3>", "<table>", "<blockquote>", "<pre>", "<script", "<img", "<a "):
        assert nasty.count(tag) == plain.count(tag), tag


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two three", "one two three"),
        ("one two three four", "one two three …"),
        ("one two threefour", "one two …"),
        ("onetwothreefourfive", "onetwothreefou …"),
        ("one\ntwo\nthree\nfour", "one\ntwo\nthree …"),
        ("  ", ""),
    ],
)
def test_shorten_ends_at_a_word(text: str, shown: str) -> None:
    assert escaping.shorten(text, 14) == shown
