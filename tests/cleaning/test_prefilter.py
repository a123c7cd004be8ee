"""A rule sees the texts that have one of its pairs of bytes; without a prefilter it sees all."""

import string
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.cleaning import prefilter, rules
from copywriter.cleaning.prefilter import Pair, Table
from copywriter.cleaning.rules import Rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *(("a & b", "entities"), ("<b", "tags"), ("['a']", "lists"), ("{", "styles")),
        *(("e\u0301", "nfc"), ("a\tb", "spaces"), ("\x7f", "invisible"), ("\ud800", "broken")),
        *((" a", "spaces"), ("a ", "spaces"), ("a  b", "spaces")),
        *(("a.B", "glued"), ("!À", "glued"), ("a)Я", "glued"), ("see http://", "urls"), ("www.", "urls")),
        *(("--This", "editions"), ("This text", "editions"), ("(C)", "copyright"), ("©", "copyright")),
        *(("COPYRIGHT", "copyright"), ("his fits", "notices"), ("View", "notices")),
    ],
)
def test_a_text_with_a_pair_passes_and_others_do_not(text: str, rule: str) -> None:
    table = Table([rules.RULES[rule].prefilter])
    flags = table.flags(["A tutu.", text, "A. b", "", text + text])
    assert [bool(flag & table.masks[0]) for flag in flags] == [False, True, False, False, True]


def test_plain_text_skips_every_rule() -> None:
    table = Table([rule.prefilter for rule in rules.RULES.values()])
    flags = table.flags(["Neon pink tutu, 12 inches. Soft!"])
    assert not any(flags[0] & mask for mask in table.masks)
    assert not len(table.flags([]))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.binary(min_size=1, max_size=3)), min_size=1, max_size=40),
    st.lists(st.text(st.sampled_from("ab<é \0\ud800"), max_size=9), max_size=9),
)
def test_any_number_of_prefilters_finds_its_pairs(pairs: list[tuple[bytes, bytes]], texts: list[str]) -> None:
    table = Table([(Pair(*pair),) for pair in pairs])
    for text, flags in zip(texts, table.flags(texts), strict=True):
        padded = prefilter.EDGE + text.encode("utf-8", "surrogatepass") + prefilter.EDGE
        for (first, second), mask in zip(pairs, table.masks, strict=True):
            here = any(one in first and two in second for one, two in pairwise(padded))
            assert bool(flags & mask) == here


def test_how_many_texts_are_searched_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table([rule.prefilter for rule in rules.RULES.values()])
    texts = ["a & b", "", "plain", " <", "é"] * 3
    whole = table.flags(texts).tolist()
    monkeypatch.setattr(prefilter, "TEXTS_AT_ONCE", 4)
    assert table.flags(texts).tolist() == whole


def shout(text: str) -> str:
    return text.replace("quiet", "loud")


@pytest.mark.parametrize("pairs", [None, (Pair(b"q", b"u"),)])
def test_one_entry_adds_a_rule_with_or_without_prefilter(pairs: prefilter.Prefilter | None) -> None:
    with_toy = {"toy": Rule(shout, pairs), **rules.RULES}
    settled = rules.settle(["A <b>quiet</b> fan", "A lamp", "quiet"], with_toy)
    assert settled.texts == ["A loud fan", "A lamp", "loud"]
    assert [[name for name, *_ in settled.changes.get(place, ())] for place in range(3)] == [
        ["toy", "tags"],
        [],
        ["toy"],
    ]


def test_a_rule_sees_all_texts_without_a_prefilter_and_few_with_one() -> None:
    seen: list[str] = []

    def note(text: str) -> str:
        seen.append(text)
        return text

    rules.settle(["plain", "quiet", ""], {"toy": Rule(note)})
    rules.settle(["plain", "quiet", ""], {"toy": Rule(note, (Pair(b"q", b"u"),))})
    assert seen == ["plain", "quiet", "", "quiet"]


def without(letter: str, text: str) -> str:
    return text.replace(letter, "")


def test_more_rules_than_a_byte_has_bits_work_together() -> None:
    toys = {f"toy {one}": Rule(partial(without, one), (Pair(one.encode()),)) for one in string.ascii_lowercase}
    settled = rules.settle(["the quick brown fox jumps over the lazy dog", "42"], toys)
    assert settled.texts == [" " * 8, "42"]
    assert [name for name, *_ in settled.changes[0]] == list(toys)
