"""Each rule of cleaning alone: the texts that it changes, those that it leaves, and how it is left out."""

import pytest

from copywriter.cleaning import rules
from copywriter.errors import UserError

BY_RULE = {
    "broken": [("a\0b\ud83dc", "abc"), ("\udc00", ""), ("whole 👜", "whole 👜")],
    "lists": [
        ("['Of steel.', 'Will not rust.']", "Of steel. Will not rust."),
        ('["Of steel.", "Will not rust."]', "Of steel. Will not rust."),
        ("['Cook's pot', \"Cook's lid\"]", "Cook's pot Cook's lid"),
        ("['The cook's pot', 'holds 5\" tins']", "The cook's pot holds 5\" tins"),
        (r"['caf\u00e9 \xe9 \ud83d\udc5c', 'two\nlines \'so\'', '\n ', '']", "café é 👜 two lines 'so'"),
        ("  [ 'One' , 'two' , ]  ", "One two"),
        ("['One', 2]", "['One', 2]"),
        ("See ['One', 'two']", "See ['One', 'two']"),
    ],
    "entities": [
        ("Salt &amp; Pepper &eacute; &#233; &#xE9;", "Salt & Pepper é é é"),
        ("6&amp;amp;quot; pot", '6" pot'),
        ("AT&T &unknown; &copy=1", "AT&T &unknown; &copy=1"),
    ],
    "escapes": [
        (r"A mug.\nHolds 2 l.\r\n\tRed", "A mug.\nHolds 2 l.\n\tRed"),
        (
            r"A 27\" screen, \"flat\", Cook\'s and\/or http:\/\/shop.example",
            'A 27" screen, "flat", Cook\'s and/or http://shop.example',
        ),
        (r"caf\u00e9 \ud83d\udc5c a\\nb\\\"c", 'café 👜 a\nb"c'),
        (
            "Red._x000D_\nBlue_x005F_x0003_Grey_x000a_ my_x005F_name ABC_x1234_",
            "Red.\n\nBlue Grey\n my_name ABC_x1234_",
        ),
        (r"\N", ""),
        (r"Vitamin C:\nGood", "Vitamin C:\nGood"),
        (r"赤い。\n価格\500\n終", "赤い。\n価格\\500\n終"),
        *((kept, kept) for kept in (r'Run C:\new folder\table or "C:\temp\" or \\nas\new\tools',)),
        *(
            (kept, kept)
            for kept in (r"^\d+\n$ and \d", r"¯\_(ツ)_/¯ /\/\ \/", r"path\to\file ..\new %TEMP%\new docs\readme.txt")
        ),
        *((kept, kept) for kept in (r"5\times3", r'type "\n" or `\t`', r"(1kg\2.2lbs)", r"C:\\new\\table")),
    ],
    "templates": [
        ('{{widget type="Block" id="4"}}A jug, {{media url="a/b.jpg"}}red', "A jug, red"),
        ("Buy {{ product.title | upcase }} or{{ item }}this {{{raw}}} {{#if x}}now{{/if}}", "Buy  or this  now"),
        ("Red<?php if ($a > 3) { ?> mug<?= $x ?>, <%= item.name %>clay <% of < 3 %", "Red mug, clay <% of < 3 %"),
        ("{%- if a > b -%}Red{% endif %}{% comment %}draft{% endcomment %} mug", "Red mug"),
        (
            "use {{ in prose }} {{double braces}} {{ alone, {x} {%",
            "use {{ in prose }} {{double braces}} {{ alone, {x} {%",
        ),
    ],
    "shortcodes": [
        ("[list][*]Red[*]Blue[/list][img]a/b.jpg[/img]", " Red Blue"),
        ("any size [*], a [list]", "any size [*], a [list]"),
        ("[vc_row][vc_column_text]A cup.[/vc_column_text][/vc_row]", "A cup."),
        ('[gallery ids="1,2"]Bowl[caption width="3"]Blue[/caption] [et_pb_x a="]"]', "Bowl Blue "),
        ("[b]Bold[/b] [url=http://shop.example]link[/url][gallery]", "Bold link"),
        ("[vc_raw_html]JTNDYiUzRQ==[/vc_raw_html]Tea", "Tea"),
        ("[x] [new] [1] [size 4] [a=b] [sic] x[my_i] [[y]]", "[x] [new] [1] [size 4] [a=b] [sic] x[my_i] [[y]]"),
    ],
    "blocks": [
        ('<p>A<svg viewBox="0 0"><path d="M1"/></svg> cup<title>Shop</title></p>', "<p>A  cup </p>"),
        ("<noscript><img src=x></noscript>Pan<iframe src='a>b'></iframe>", " Pan "),
        ("<svg>An icon <titled> <svg-icon>", "<svg>An icon <titled> <svg-icon>"),
        ("Lid <!-- a > b --> fits", "Lid   fits"),
        ("Pan<SCRIPT src='x'>if (a < b) {}</SCRIPT>lid<style>p {}</style>", "Pan lid "),
        ("Lid fits <!-- never closed", "Lid fits  "),
        ("Lid <-- fits <scripts>", "Lid <-- fits <scripts>"),
    ],
    "tags": [
        ('<?xml:namespace prefix="o" />Red <?x y?>mug, <? and <?', " Red  mug, <? and <?"),
        ("<p>A <b>b</b><br/>c</p>", " A b c "),
        ('<img alt="size > 10 cm" src="b.jpg">A mug', " A mug"),
        ('<product-card data-id="4">A bowl</product-card><o:p></o:p>', " A bowl "),
        ("<ul><li>Red</li><li>Safe!</li><li><p>Blue</p></ul>more", "  Red.  Safe!   Blue. more"),
        ("<dl><dt>Size</dt><dd>9 cm</dd></dl><li>赤い</li><li>ถ้วย</li>", "  Size  9 cm.   赤い。  ถ้วย "),
        ("<td>A</td><td>B</td><![CDATA[C <i>d</i>]]>", " A  B  C d "),
        ("<!DOCTYPE html><?xml:namespace prefix=o />A", "  A"),
        ('Cut <img src="http://shop', "Cut  "),
        ('A <p class="x>missing</p> mark', "A  missing  mark"),
        *(
            (kept, kept)
            for kept in ("I <3 x < y > z", "a <b and c> d", "<Enter> <jo@shop.example> <x-y> <br", "</> </3> <! no")
        ),
    ],
    "markdown": [
        ("Sizes\n| Size | Weight |\n|:--|---:|\n| S | 2 kg |\nEnd", "Sizes\n Size Weight \n  S 2 kg \nEnd"),
        ("Size | Weight\n---|---\nS | 2 kg", "Size Weight\n S 2 kg"),
        ("Red | Blue\nS | M", "Red | Blue\nS | M"),
        ("# Cup\n**Red** and *blue*, __Fine__ ~~old~~ `x`", "Cup\nRed and blue, Fine old x"),
        ("[shop](https://shop.example/a_(b) 'x') ![photo](a.png)cup", "shop  cup"),
        ("これは**太字**です", "これは太字です"),
        ("A\n---\n```sh\nB\n```\n***\n## C ##", "A\n\nB\n\nC ##"),
        *(
            (kept, kept)
            for kept in (
                "2*3*4 2 ** 3 a * b C# 5",
                "# 8 x 1 screws #1",
                "note* and *other",
                "__init__ ____ [sic](note)",
            )
        ),
    ],
    "styles": [
        ("Strong. .note {color: #fff;font-size: 9px}ul.a li, p:first-child { margin: 0 } Light.", "Strong.    Light."),
        ("@media (max-width: 9em) { .a { width: 1px; } } Light.", "  Light."),
        ("@media print {   } Light.", "  Light."),
        ("Sizes {S: 10, M: 12}, a {part}", "Sizes {S: 10, M: 12}, a {part}"),
    ],
    "mojibake": [("CafÃ© donâ€™t", "Café don’t"), ("Ação, João, Größe", "Ação, João, Größe")],
    "invisible": [("zero\u200bwidth\x07 \ufeffna\ufffdve", "zerowidth nave"), ("❤️‍🔥 می‌خواهم", "❤️‍🔥 می‌خواهم")],
    "nfc": [("cafe\u0301", "café"), ("\u1100\u1161", "가"), ("café", "café")],
    "spaces": [(" a\t b\xa0\u3000c\r\n", "a b c"), ("a b", "a b")],
    "glued": [
        ("Will not rust.Comes in blue!Buy it?Yes", "Will not rust. Comes in blue! Buy it? Yes"),
        ("(a set).Each one. «Novo.»Azul", "(a set). Each one. «Novo.» Azul"),
        ("U.S.A. e.g.This v2.0.Beta St.Ives readme.TXT a.B", "U.S.A. e.g.This v2.0.Beta St.Ives readme.TXT a.B"),
        (
            "http://shop.example/a.Php?b=c.Do www.shop.example/End.Of",
            "http://shop.example/a.Php?b=c.Do www.shop.example/End.Of",
        ),
        ("http://shop.example/pot.Comes in blue.Buy", "http://shop.example/pot.Comes in blue. Buy"),
    ],
    "urls": [
        ("Wipe it. For more hints visit https://shop.example/hints?a=b.", "Wipe it."),
        ("Prints with the sheet at www.shop.example/sheets. Of paper.", "Prints with the sheet. Of paper."),
        ("A pot (http://shop.example/pot) and lid", "A pot and lid"),
        ("http://shop.example/a,b.html", ""),
        ("Made by shop.example", "Made by shop.example"),
    ],
    "editions": [
        ("A tale. --This text refers to the Paperback edition.", "A tale."),
        ("Old. --This text refers to an out of print or unavailable edition of this title. New.", "Old. New."),
        ("Old.--From the Hardcover edition.New", "Old. New"),
        ("The Limited edition of 500", "The Limited edition of 500"),
    ],
    "copyright": [
        ("Fine. Copyright 1999 Acorn & Oak, Inc. More.", "Fine. More."),
        ("Fine. -- Copyright ©1998, Oakwood Associates, LP. All rights reserved.", "Fine."),
        ("Fine. (c) 1998-2003 Acorn Press. More.", "Fine. More."),
        ("Fine. Copyright 2009 acorn.example and its friends. More.", "Fine. More."),
        ("Fine. (C) Dr. Acorn (TM) All Rights Reserved", "Fine. (C) Dr. Acorn (TM) All Rights Reserved"),
        ("Fine. (c) Acorn (TM) All Rights Reserved", "Fine."),
        ("copyright law; a 501(c)3 shop; © 2003; part (c)", "copyright law; a 501(c)3 shop; © 2003; part (c)"),
    ],
    "notices": [
        ("Make sure this fits by entering your model number. | Of steel | Blue", "Of steel | Blue"),
        ("Enter your model number to make sure this fits. Of steel", "Of steel"),
        ("This fits your . Of steel", "Of steel"),
        ("Boards. View larger View larger Combo", "Boards. Combo"),
        ("View larger images on it; this fits your car", "View larger images on it; this fits your car"),
    ],
}


@pytest.mark.parametrize(
    ("name", "before", "after"), [(name, *case) for name, cases in BY_RULE.items() for case in cases]
)
def test_each_rule_alone(name: str, before: str, after: str) -> None:
    assert rules.RULES[name].apply(before) == after


def test_every_rule_has_a_text_it_changes_and_one_it_keeps() -> None:
    assert set(BY_RULE) == set(rules.RULES)
    for name, cases in BY_RULE.items():
        assert any(before != after for before, after in cases), name
        assert any(before == after for before, after in cases), name


@pytest.mark.parametrize(("name", "dirty"), [(name, before) for name, cases in BY_RULE.items() for before, _ in cases])
def test_a_rule_twice_is_the_rule_once(name: str, dirty: str) -> None:
    once = rules.RULES[name].apply(dirty)
    assert rules.RULES[name].apply(once) == once


def test_a_rule_left_out_does_nothing() -> None:
    dirty = "A <b>pot</b> at http://shop.example/pot"
    assert rules.settle([dirty], rules.chosen(["urls"])).texts == ["A pot at http://shop.example/pot"]
    assert rules.settle([dirty], rules.chosen(["tags", "urls"])).texts == [dirty]


@pytest.mark.parametrize("name", ["tag", "broken", ""])
def test_a_name_that_is_no_rule_lists_the_rules(name: str) -> None:
    with pytest.raises(UserError) as error:
        rules.chosen(["tags", name])
    assert str(error.value).startswith(f"clean.without names {name!r}; the rules that can be left out are lists, ")
    assert "broken" not in str(error.value).partition(";")[2]
