"""All rules together: they repair faults of catalogue texts, leave good texts alone, and say why a row is dropped."""

import pytest

from copywriter.cleaning import rules

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
    "block tags part words, items are sentences": (
        "<ul><li>Red</li><li>Blue</li></ul>one<br/>two",
        "Red. Blue. one two",
    ),
    "inline tags do not": ("wa<b>ter</b>proof H<sub>2</sub>O", "waterproof H2O"),
    "office tags": ('Desk<o:p></o:p> <?xml:namespace prefix = o ns = "urn:x" />lamp', "Desk lamp"),
    "shouted tags": ("Two<BR>lines<HR NOSHADE>", "Two lines"),
    "comment": ("Lid <!-- .h1 {color: #000} --> fits", "Lid fits"),
    "comment without an end": ("Lid fits <!-- .h1 {color", "Lid fits"),
    "script": ("Pan<script type='x'>if (a < b) { go('<b>'); }</script> lid", "Pan lid"),
    "style": ("<style>p > a {}</style>Pan", "Pan"),
    "literal line ends in HTML": (
        r"A green cup.\nHolds 3 l.\n\n<ul>\n<li>Oven safe</li>\n<li>Stackable</li>\n</ul>",
        "A green cup. Holds 3 l. Oven safe. Stackable.",
    ),
    "escaped quotes": (r"A 24\" lamp, \'warm\' <a href=\"x\">light<\/a>", "A 24\" lamp, 'warm' light"),
    "Excel's line ends": ("Blue._x000D_\nRound._x000D_", "Blue. Round."),
    "drawing, figure, picture": (
        "<figure><svg><path d='M1'/><text>x</text></svg><picture><source srcset='a 1x'></picture>"
        "<figcaption>Lid</figcaption></figure><p>Fits.</p>",
        "Lid Fits.",
    ),
    "custom element": ('<shop-card data-id="4">A bowl.</shop-card>', "A bowl."),
    "template in an attribute": ('<img src="{{media url="a/b.jpg"}}" alt="2 > 1" />Jug', "Jug"),
    "page builder": ('[vc_row el="&quot;x&quot;"][vc_column]A cup.[/vc_column][/vc_row]', "A cup."),
    "Markdown": ("# About\n**Strong** and [light](https://shop.example/x)", "About Strong and light"),
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
    "site.Com Node.JS readme.TXT Jo.Smith@shop.example StarTek.com brackets",
    "an end in a year, 1999.The rest; size 3.Made; vs.X",
    "{size: 10} {} { note } f(x) { return x }",
    "[new] ['quoted' word] in brackets [1], ['one'",
    "http and www and see: this",
    "-- This was long ago. The third edition of his book --",
    "ÅNGSTRÖM, İstanbul, ß, ﬁne",
    "Yes... no?! 1.2.3 10:30 a.m.",
    "Très élégant — naïve café, 5′ × 3″ ½ ®™ °C µm “x” ‘y’ … •",
    "Größe und Ärmel, Über Öl. São João. Ελληνικά. Русский текст. 中文，日本語。한국어",
    "हिन्दी में विवरण 🇧🇷 👩🏽‍🔬 ❤️‍🔥",
    "می‌خواهم",
    "The Limited edition of 500; copyright law; (c) is a letter; © 2003",
    "View larger images on the screen",
    "--- two -- three",
    r"Copy C:\new folder\table to \\nas\tools; match \d+\n",
    "{{ in prose }} [x] [1] [size: L] {note} 2*3*4 a * b C# 5 # 8 x 1 in snake_case __init__ <- 3",
    "a < b, 5 > 3, <3, i<n and n>i, x[i] = y[my_i]",
]


@pytest.mark.parametrize(("dirty", "expected"), MENDED.values(), ids=MENDED)
def test_dirt_is_mended(dirty: str, expected: str) -> None:
    assert rules.clean(dirty) == expected


@pytest.mark.parametrize("good", KEPT)
def test_good_text_stays(good: str) -> None:
    assert rules.clean(good) == good


def test_endlessly_nested_markup_is_emptied() -> None:
    settled = rules.settle(["plain", "<" * 100 + "b>" * 100], rules.RULES)
    assert settled.texts == ["plain", ""]
    assert settled.unsettled == {1}
    verdicts = rules.judge([("Tutu", "<" * 100 + "b>" * 100), (None, None)], rules.RULES)
    assert [verdict.reason for verdict in verdicts] == [rules.UNSETTLED, "no title"]


def test_changes_name_their_rules_in_order() -> None:
    settled = rules.settle(["A &lt;b&gt;pot&lt;/b&gt;  of steel.Blue"], rules.RULES)
    assert [name for name, _, _ in settled.changes[0]] == ["entities", "tags", "spaces", "glued"]
    assert settled.changes[0][1] == ("tags", "A <b>pot</b>  of steel.Blue", "A pot  of steel.Blue")


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
        ("赤いマグ", "赤い、マグ。", "description repeats title"),
        ("赤いマグ", "マグは赤い。", None),
        ("แก้ว", "แก้ว!", "description repeats title"),
        ("杯", "茶", None),
        ("7", "8", None),
    ],
)
def test_reasons(title: str, description: str, reason: str | None) -> None:
    assert rules.reason(title, description) == reason
    assert reason is None or reason in rules.REASONS
