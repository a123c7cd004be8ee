"""Cleaning mends what catalogues do to text, leaves good text alone, and is done after one call."""

import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from copywriter import text

MENDED = {
    "entity": ("Salt &amp; Pepper &eacute;clair &#233; &#xE9;", "Salt & Pepper éclair é é"),
    "entity encoded twice": ("6&amp;quot; pot", '6" pot'),
    "entity encoded four times": ("A &amp;amp;amp;amp; B", "A & B"),
    "entity encoded in numbers": ("A &#38;#x26;amp; B", "A & B"),
    "entity of Windows-1252": ("9 &#150; 12 &#153;", "9 – 12 ™"),
    "entity of no character": ("a &#0; b &#xD800; c", "a b c"),
    "no-break space": ("12&nbsp;oz\xa0tin", "12 oz tin"),
    "mojibake in entities": ("it&#226;&#8364;&#8482;s", "it’s"),
    "tags": ("<p>A <b>bold</b> <a href='x'>link</a>.</p>", "A bold link."),
    "tags that were encoded": ("&lt;p&gt;Warm&lt;/p&gt;", "Warm"),
    "block tags part words": ("<ul><li>Red</li><li>Blue</li></ul>one<br/>two", "Red Blue one two"),
    "inline tags do not": ("wa<b>ter</b>proof H<sub>2</sub>O", "waterproof H2O"),
    "office tags": ('Desk<o:p></o:p> <?xml:namespace prefix = o ns = "urn:x" />lamp', "Desk lamp"),
    "shouted tags": ("Two<BR>lines<HR NOSHADE>", "Two lines"),
    "comment": ("Lid <!-- .h1 {color: #000} --> fits", "Lid fits"),
    "comment without an end": ("Lid fits <!-- .h1 {color", "Lid fits"),
    "script": ("Pan<script type='x'>if (a < b) { go('<b>'); }</script> lid", "Pan lid"),
    "style": ("<style>p > a {}</style>Pan", "Pan"),
    "mojibake": ("CafÃ© donâ€™t â€œquoteâ€\x9d", "Café don’t “quote”"),
    "mojibake of mojibake": ("CafÃƒÂ©", "Café"),
    "controls": ("a\x00b\x07c \x1bd\x7f \x9d", "abc d"),
    "zero-width": ("zero\u200bwidth\ufeff, soft\xadhyphen", "zerowidth, softhyphen"),
    "direction marks": ("\u202eleft\u202c \u2066right\u2069", "left right"),
    "replacement character": ("na\ufffdve", "nave"),
    "private use": ("tick \uf0b7 box", "tick box"),
    "lone surrogate": ("a\ud83db", "ab"),
    "decomposed accents": ("cafe\u0301", "café"),
    "white space": (" a\t\tb\r\n\r\n c\u3000d\u2028e ", "a b c d e"),
    "glued sentences": (
        "Will not rust.Comes in blue.A gift!Buy now?Yes",
        "Will not rust. Comes in blue. A gift! Buy now? Yes",
    ),
    "glued after an abbreviation": ("made of ABS.Prints well", "made of ABS. Prints well"),
    "glued after a bracket": ("(set of 3).Each is new", "(set of 3). Each is new"),
    "glued accents": ("más grande.Él lo sabe", "más grande. Él lo sabe"),
    "glued Cyrillic": ("лёгкий.Новый", "лёгкий. Новый"),
    "glued after tags": ("Soft.<b>Warm</b> too", "Soft. Warm too"),
    "edition": ("A tale. --This text refers to the Paperback edition.", "A tale."),
    "edition, long": ("Old. --This text refers to an out of print or unavailable edition of this title.", "Old."),
    "edition, doubled": ("This text refers to the Kindle Edition edition. More.", "More."),
    "edition, short": ("A tale. --From the Hardcover edition.", "A tale."),
    "model number": ("Make sure this fits by entering your model number. | Steel", "Steel"),
    "larger view": ("Boards.View larger Combo boards", "Boards. Combo boards"),
    "copyright": ("Fine. Copyright 1999 Acorn & Oak, Inc. More.", "Fine. More."),
    "copyright, initials": ("Fine. Copyright (c) 1999 by J. R. Acorn.", "Fine."),
    "copyright, reserved": ("Fine. © Acorn Association. All rights reserved.", "Fine."),
}
KEPT = [
    "I <3 it; 0 < x < y > z; <2W; a <b and c> d; 5 <= 6; <> dot",
    "press <Enter>, write to <jo@shop.example>",
    "AT&T, R&D;, Q&A, salt&notebook, a&copy=1, &unknown; & so on",
    "U.S.A. 3.5 v2.0.Beta S.H.Figure E.Coli Dr.Meter St.Ives Chris.W lamp",
    "www.site.Com site.Com Node.JS readme.TXT Jo.Smith@shop.example https://a.example/b.Cd",
    "Yes... no?! 1.2.3 10:30 a.m.",
    "Très élégant — naïve café, 5′ × 3″ ½ ®™ °C µm “x” ‘y’ … •",
    "Größe und Ärmel, Über Öl. São João. Ελληνικά. Русский текст. 中文，日本語。한국어",
    "हिन्दी में विवरण 🇧🇷 👩🏽‍🔬 ❤️‍🔥",
    "می‌خواهم",
    "The Limited edition of 500; copyright law; (c) is a letter; © 2003",
    "View larger images on the screen",
    "--- two -- three",
]


@pytest.mark.parametrize(("dirty", "expected"), MENDED.values(), ids=MENDED)
def test_dirt_is_mended(dirty: str, expected: str) -> None:
    assert text.clean(dirty) == expected


@pytest.mark.parametrize("good", KEPT)
def test_good_text_stays(good: str) -> None:
    assert text.clean(good) == good


FRAGMENTS = [
    *("<", ">", "&", ";", "#", "!", "/", "-", ".", " x", "A", "é", "®", "Ã", "Â", "â", "€", "  ", "\t", "\x85", "\x9d"),
    *("\x00", "\x1b", "\u200b", "\u200d", "\ufffd", "\ue000", "\u0301", "\u0958", chr(0xD800), chr(0xDFFF)),
    *("amp;", "#38;", "&lt;", "&#x3c;", "&nbsp;", "<b", "<!--", "-->", "<script>", "</script>", "Ã©", "â€™", "d.Start"),
    *("Copyright © ", "--This ", " edition.", "View larger ", "Make sure this fits by entering your model number."),
]
anything = st.text(st.characters(), max_size=60)
markup_like = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(st.characters(), max_size=3)), max_size=30)


@settings(max_examples=400, deadline=None)
@given(st.one_of(anything, markup_like.map("".join)))
@example("<<<b>b>b>")
@example("&<b>amp;lt;b&gt;")
@example("\u200d\u200d\u200dé\u200d")
def test_cleaning_is_done_after_one_call(dirty: str) -> None:
    cleaned = text.clean(dirty)
    assert text.clean(cleaned) == cleaned
    assert not any(unicodedata.category(character) in {"Cc", "Cs", "Co"} for character in cleaned)
    assert cleaned == " ".join(cleaned.split())
    assert unicodedata.is_normalized("NFC", cleaned)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([rule for _, rule in text.RULES]), st.one_of(anything, markup_like.map("".join)))
def test_no_rule_breaks_plain_words(rule: Callable[[str], str], dirty: str) -> None:
    assert isinstance(rule(dirty), str)
    assert rule("Neon pink tutu, 12 inches. Soft!") == "Neon pink tutu, 12 inches. Soft!"


@pytest.mark.parametrize(
    "layer", ["<", "<b", "&amp;", "<!--", "\u200d", "Ã©", "View larger ", "Copyright © ", "end.Start", "a.A", "\ud800"]
)
def test_long_hostile_text_takes_no_time(layer: str) -> None:
    started = time.process_time()
    text.clean(layer * 5_000)
    text.clean(layer * 2_000 + ">" * 2_000)
    assert time.process_time() - started < 3  # a tenth of it here; a rule of quadratic time takes minutes


def test_what_is_nested_without_end_is_emptied() -> None:
    assert text.clean("<" * 100 + "b>" * 100) == ""


@pytest.mark.parametrize(
    ("title", "description", "reason"),
    [
        ("Tutu", "Three layers.", None),
        ("", "Three layers.", "no title"),
        ("--- !", "Three layers.", "no title"),
        ("", "", "no title"),
        ("Tutu", "", "no description"),
        ("Tutu", ". * .", "no description"),
        ("Pink tutu", "PINK TUTU.", "description repeats title"),
        ("Pink tutu", "Pink, tutu", "description repeats title"),
        ("Pink tutu", "Pink tutu for girls", None),
        ("中文", "描述", None),
        ("7", "8", None),
    ],
)
def test_reasons(title: str, description: str, reason: str | None) -> None:
    assert text.reason(title, description) == reason
    assert reason is None or reason in text.REASONS


def test_words_keep_their_marks() -> None:
    assert text.words("Straße 12-in. CAFÉ_x") == ["strasse", "12", "in", "café", "x"]
    assert text.words("हिन्दी, दाल") == ["हिन्दी", "दाल"]


def test_a_digest_knows_where_texts_part() -> None:
    assert text.digest("ab", "c") != text.digest("a", "bc")
    assert len(text.digest("a")) == 16
