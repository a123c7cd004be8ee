"""Descriptions from phrase templates: every template can be filled, and a text has proper sentences without repeats."""

import re
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copywriter.fetching import phrases, practice

CATEGORIES = phrases.banks()["categories"]


def templates(bank: object) -> Iterator[str]:
    """All strings of a category, whatever they are for."""
    if isinstance(bank, str):
        yield bank
    elif isinstance(bank, dict | list):
        for value in bank.values() if isinstance(bank, dict) else bank:
            yield from templates(value)


@pytest.mark.parametrize("name", CATEGORIES)
def test_every_template_of_a_category_can_be_filled_for_each_noun(name: str) -> None:
    bank, rng = CATEGORIES[name], Random(1)
    written = {key: bank[key] for key in ("titles", "brief", "leads", "told", "rest")} | {"more": bank.get("more", [])}
    nouns = set()
    for wording in range(300):
        facts = {**practice.article(name, wording, 0).facts, "#": "1"}
        nouns.add(facts["noun"])
        for template in templates([written, bank["items"][facts["noun"]]["says"], list(bank["says"].values())]):
            assert not set("<>|") & set(phrases.fill(template, facts, rng))
    assert nouns == set(bank["items"])


@given(st.sampled_from(sorted(CATEGORIES)), st.integers(0, 2**32 - 1), st.integers(0, 6_000))
def test_a_product_is_written_about_in_proper_sentences(name: str, wording: int, length: int) -> None:
    item = practice.article(name, wording, length)
    text = practice.description(item)
    assert text.isascii()
    assert text[0] == text[0].upper()
    assert text[-1] in '.?!"'
    assert not re.search(
        r"  |[<>|#]|\b[Aa] [aeio]\w|\b[Aa]n [b-df-gj-np-tv-z]|\.\.|,,| ,|\b1 (pieces|days|pages)\b", text
    )
    sentences = phrases.JOINT.split(text)
    assert len(set(sentences)) == len(sentences)
    if length >= 70:
        assert length <= len(text) + 1 < length + 400
    assert 12 <= len(item.title) <= 140
    assert item == practice.article(name, wording, length)


def test_an_enormous_description_says_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    enormous = practice.article("kitchen", 7, 190_000)
    sentences = phrases.JOINT.split(practice.description(enormous))
    assert len(set(sentences)) == len(sentences) > 1_000
    poor = {**phrases.banks(), "notes": ["It is good.", "Note <#> agrees."]}
    monkeypatch.setattr(practice, "banks", lambda: poor)
    sentences = phrases.JOINT.split(practice.description(practice.article("kitchen", 7, 6_000)))
    assert sentences.count("It is good.") == 1


@given(st.sampled_from(sorted(CATEGORIES)), st.integers(0, 2**32 - 1))
def test_a_sister_differs_in_one_fact_that_its_title_shows(name: str, wording: int) -> None:
    item = practice.article(name, wording, 300)
    other = practice.sister(item, Random(wording))
    changed = [fact for fact in item.facts if item.facts[fact] != other.facts[fact]]
    assert (other.title != item.title) == bool(changed)
    assert len(changed) <= 1
    assert set(changed) <= set(CATEGORIES[name]["vary"])


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a <material> cup", "An iron cup"),
        ("a <Material> in a <size> box", "An Iron in an 8 cm box"),
        ("a <7..7> kg unit", "A 7 kg unit"),
        ("<a|a> useful <a <material>|a <material>> one", "A useful an iron one"),
        ("made for <Audience>", "Made for Friends of the House"),
    ],
)
def test_templates_are_filled(template: str, expected: str) -> None:
    facts = {"material": "iron", "size": "8 cm", "audience": "friends of the house"}
    assert phrases.sentence(template, facts, Random(0)) == expected


def test_chance_takes_each_side() -> None:
    rng = Random(3)
    drawn = Counter(phrases.fill("<left|right <2..4>|>", {}, rng) for _ in range(3_000))
    assert drawn.keys() == {"left", "right 2", "right 3", "right 4", ""}
    assert drawn["left"] == pytest.approx(1_000, abs=120)
    assert drawn["right 3"] == pytest.approx(333, abs=80)
