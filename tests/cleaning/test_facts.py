"""Facts become lines of one cleaned value each, whatever their file holds; what is not kept whole is counted."""

import datetime

import pytest

from copywriter.cleaning import facts, rules
from copywriter.cleaning.facts import Cleaner


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ("Acme", "Acme"),
        (None, ""),
        (42, "42"),
        (42.0, "42"),
        (2.5, "2.5"),
        (float("nan"), ""),
        (float("inf"), "inf"),
        (True, "yes"),
        (False, "no"),
        (b"M\xc3\xbcller", "Müller"),
        (["S", "M", None, " ", "L"], "S, M, L"),
        (["a", ["b", 3]], "a, b, 3"),
        ("['red', 'blue']", "red, blue"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_a_value_of_any_kind_is_a_text(held: object, text: str) -> None:
    assert facts.text_of(held) == text


def test_lines_come_in_the_order_of_the_names_without_empty_ones() -> None:
    cleaner = Cleaner(["brand", "size", "colour"])
    rows = [("Acme", 42, "red"), (None, "-", "blue"), ("", " ", "…"), ("<b>R&amp;D</b>\n Ltd", ["S", "M"], None)]
    assert cleaner.lines(rows) == [
        "brand: Acme\nsize: 42\ncolour: red",
        "colour: blue",
        "",
        "brand: R&D Ltd\nsize: S, M",
    ]


def test_values_are_cleaned_by_the_rules_that_were_chosen() -> None:
    assert Cleaner(["brand"], rules.chosen(["entities"])).lines([("R&amp;D",)]) == ["brand: R&amp;D"]


def test_a_long_value_is_cut_at_a_word_and_counted() -> None:
    cleaner = Cleaner(["tags"])
    words = ", ".join(f"tag{number}" for number in range(99))
    (line,) = cleaner.lines([(words,)])
    value = line.removeprefix("tags: ")
    assert words.startswith(f"{value}, ") and facts.MAX_CHARACTERS - 8 < len(value) <= facts.MAX_CHARACTERS
    assert cleaner.lines([("x" * 300,)]) == [f"tags: {'x' * facts.MAX_CHARACTERS}"]
    assert cleaner.counts["tags"] == {facts.TRUNCATED: 2}


def test_an_object_is_no_value_and_counted() -> None:
    cleaner = Cleaner(["brand"])
    assert cleaner.lines([({"name": "Acme"},), ([{"name": "Acme"}],)]) == ["", ""]
    assert cleaner.counts["brand"] == {facts.UNREADABLE: 2}


def test_facts_of_one_product_are_put_in_order() -> None:
    assert facts.ordered({"size": "M", "brand": "Acme"}, ["brand", "colour", "size"]) == "brand: Acme\nsize: M"
    with pytest.raises(TypeError):
        facts.ordered({"brand": {"name": "Acme"}}, ["brand"])
