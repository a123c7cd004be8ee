"""Cleaning of random and hostile texts: finished after one call, no word cut, in linear time."""

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from copywriter.cleaning import prefilter, rules

FRAGMENTS = [
    *(
        "<",
        ">",
        "&",
        ";",
        "#",
        "!",
        "/",
        "-",
        ".",
        " x",
        "A",
        "é",
        "®",
        "Ã",
        "Â",
        "â",
        "€",
        "’",
        "”",
        "  ",
        "\t",
        "\x85",
    ),
    *("\x00", "\x1b", "\u200b", "\u200d", "\ufffd", "\ue000", "\u0301", "\u0958", chr(0xD800), chr(0xDFFF), "\x9d"),
    *("amp;", "#38;", "&lt;", "&#x3c;", "&nbsp;", "<b", "<!--", "-->", "<script>", "</script>", "Ã©", "â€™", "d.Start"),
    *("Copyright © ", "(c) 1999 ", "--This ", " edition.", "View larger ", "All rights reserved", "This fits your ."),
    *("['", "', '", "']", '["', '"]', "\\", "\\u00e9", "{", "}", "{color: ", ".a ", "p", "http://", "www.", "(", ")"),
    *(
        "\\n",
        "\\t",
        '\\"',
        "\\/",
        "\\u0041",
        "\\d",
        "C:",
        "_x000D_",
        "_x005F_",
        "x000d_",
        "{{",
        "}}",
        "{%",
        "%}",
        "{{a}}",
    ),
    *(
        "[vc_a]",
        "[/vc_a]",
        "[b]",
        "[/b]",
        '[g a="1"]',
        "[",
        "]",
        "[a](/b)",
        "](",
        "**",
        "*",
        "__",
        "~~",
        "`",
        "# ",
        "\n",
        "---",
    ),
    *(
        "<li>",
        "</li>",
        "<ul>",
        "</p>",
        "<svg>",
        "</svg>",
        "<a-b>",
        "</a-b>",
        '<a b="',
        "<![CDATA[",
        "]]>",
        "</>",
        "<title>",
    ),
    *("Make sure this fits by entering your model number.", "For more visit ", "at ", ": ", "a.b/C", "?", "=", "|"),
]
nasty = st.one_of(
    st.text(st.characters(), max_size=60),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(st.characters(), max_size=3)), max_size=30).map("".join),
)


@settings(max_examples=400, deadline=None)
@given(nasty)
@example("<<<b>b>b>")
@example("---\n&#92;</>\u200b")
@example("<b <i>\\n{{a}}[b]</b>**x**[/b]")
@example("&<b>amp;lt;b&gt;")
@example("\u200d\u200d\u200dé\u200d")
@example("['[\\'a\\']']")
def test_cleaning_is_done_after_one_call(dirty: str) -> None:
    cleaned = rules.clean(dirty)
    assert rules.clean(cleaned) == cleaned
    assert not any(unicodedata.category(character) in {"Cc", "Cs", "Co"} for character in cleaned)
    assert cleaned == " ".join(cleaned.split())
    assert unicodedata.is_normalized("NFC", cleaned)


@settings(max_examples=200, deadline=None)
@given(st.lists(nasty, max_size=6), st.sets(st.sampled_from([name for name in rules.RULES if name != "broken"])))
def test_texts_settle_alone_as_together_under_any_rules(texts: list[str], without: set[str]) -> None:
    chosen = rules.chosen(without)
    together = rules.settle(texts, chosen)
    assert together.texts == [rules.settle([text], chosen).texts[0] for text in texts]
    assert rules.settle(together.texts, chosen) == (together.texts, {}, frozenset())
    for changes in together.changes.values():
        assert {name for name, _, _ in changes} <= set(chosen)
        assert all(before != after for _, before, after in changes)
    "".join(together.texts).encode()  # whatever is left out, no half of a code point stays


@settings(max_examples=1_000, deadline=None)
@given(nasty, st.sampled_from(list(rules.RULES.values())))
def test_a_rule_changes_no_text_that_fails_its_prefilter(text: str, rule: rules.Rule) -> None:
    if rule.apply(text) != text:
        table = prefilter.table((rule.prefilter,))
        assert table.flags(["before", text, "after"])[1] & table.masks[0]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(rules.RULES.values())), st.text("Ab1 .’“”–—…®™°", max_size=40))
def test_no_rule_breaks_plain_words(rule: rules.Rule, typography: str) -> None:
    assert rule.apply("Neon pink tutu, 12 inches. Soft!") == "Neon pink tutu, 12 inches. Soft!"
    if rule is rules.RULES["mojibake"]:
        assert rule.apply(typography) == typography


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=12), nasty)
def test_no_word_is_cut(words: list[str], dirt: str) -> None:
    # What stands apart from dirt comes out whole; dirt may swallow what follows it, so the words come first.
    text = " ".join(words) + " ; " + dirt
    cleaned = rules.clean(text)
    assert cleaned == "" or cleaned.split(" ;")[0] == " ".join(words)


@pytest.mark.parametrize(
    "layer",
    [
        *('<a b="', "<svg>", "<title>", "<li>", "<x-y>", "</>", "\\n", "C:\\n", "\\u0041", "_x005F_", "a\\"),
        *(
            "{{a",
            "{{",
            "{% a ",
            "[a ",
            "[vc_a]",
            '[a b="',
            "[b]x",
            "**a",
            "*a ",
            "__a",
            "`",
            "# ",
            "[a](",
            "\n---",
            "\\",
            "``` ",
        ),
        *("<", "<b", "&amp;", "<!--", "\u200d", "Ã©", "View larger ", "Copyright © ", "end.Start", "a.A", "\ud800"),
        *(
            "['",
            "', '",
            "{",
            "{color:",
            ".a ",
            "p, ",
            "http://",
            "www.a.",
            "For visit ",
            "at ",
            "--This ",
            "(c) ",
            "(",
            "[ ",
        ),
    ],
)
def test_long_hostile_text_takes_no_time(layer: str) -> None:
    started = time.process_time()
    rules.clean(layer * 2_000)
    rules.clean(layer * 1_000 + "}" + ">" * 1_000 + "']")
    assert time.process_time() - started < 3  # a tenth of it here; a rule of quadratic time takes minutes
