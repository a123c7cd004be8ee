"""Numbers and model codes: read in many spellings and languages, and found missing where nothing states them."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copywriter.grounding import Stated, distinct, excerpt, mentions, unsupported

SUPPORTED = [
    ("A 10-ohm resistor", "Resistor 10 Ohm"),
    ("10 Ω", "10-ohm"),
    ("For the 6 model", "6 inch case"),  # a bare number claims no unit
    ("1,000 pieces", "1000 pcs"),
    ("1.000 peças", "1,000-piece"),
    ("1 000 мл", "1000 ml"),
    ("1'000 g", "1000 g"),
    ("1.234,5 kg", "1,234.5 kg"),
    ("½ inch", '0.5"'),
    ("1½ in, 1 ½ in", "1-1/2 inch"),
    ('5 1/2" tall', "5.5 inch"),
    ("2,5 kg", "2.5 kg"),
    ("XJ-900 drill", "Drill XJ900"),
    ("the xj 900", "XJ-900"),
    ("Ф-12 насос", "насос Ф 12"),
    ("型番XJ-900です", "ドリル XJ-900"),
    ("2-in-1 tool", "Tool 2 in 1"),
    ("10-year-old", "10 years old"),
    ("12-month warranty", "12 months"),
    ("60x80cm mat", "Mat 60 x 80 cm"),
    ("12V-24V charger", "Charger 12 V or 24 V"),
    ("5'6\" tall", "5 ft 6 in"),
    ("20°C", "20 Celsius"),
    ("50 % off", "50%"),
    ("24/7", "24 hours, 7 days"),
    ("iPhone6 case", "Case for iPhone 6"),
    ("the 900 series", "XJ-900"),  # a bare number may be a part of a code
    ("幅は10センチです", "バケツ 10cm"),
    ("长5厘米重3公斤", "5cm 3 kg"),
    ("１０ｃｍ", "10 cm"),
    ("กว้าง ๑๐ ซม.", "10cm"),
    ("10 cm", "10 centímetros"),
    ("2 Stück à 5 Zoll", "5 inch, 2 pieces"),
    ("Вес 5 кг", "5 kg"),
    ("١٠ قطع", "10"),
    ("3 a day", "3"),
    ("Founded 1995 in Lyon", "Since 1995"),
    ("no number", ""),
    ("", ""),
]
MISSING = [
    ("195 in wide and 2000 inches long", "195, 2000", ["195 in", "2000 inches"]),
    ("6 inches wide", "iPhone 6", ["6 inches"]),  # the number is there, but not with this unit
    ("A 10-ohm resistor", "Resistor 100 Ohm", ["10-ohm"]),
    ("Two 3-packs", "Lamp", ["3-packs"]),
    ("XJ-900", "XJ-900B", ["XJ-900"]),  # another model
    ("XJ-900B", "XJ-900", ["XJ-900B"]),
    ("A4 paper, 4K", "paper 4", ["A4", "4K"]),
    ("5 inch, 5 inches and 7 cm", "", ["5 inch", "7 cm"]),
    ("1.500 ml", "15 ml", ["1.500 ml"]),
    ("1½ in", "½ in and 1 in", ["1½ in"]),
    ("幅は12センチです", "バケツ 10cm", ["12センチ"]),
    ("0,75 litros", "0,5 litros", ["0,75 litros"]),
]


@pytest.mark.parametrize(("text", "stated"), SUPPORTED)
def test_a_number_is_supported_in_another_spelling(text: str, stated: str) -> None:
    assert distinct(text, unsupported(text, Stated([stated]))) == []


@pytest.mark.parametrize(("text", "stated", "expected"), MISSING)
def test_what_nothing_states_is_listed_once_as_written(text: str, stated: str, expected: list[str]) -> None:
    assert distinct(text, unsupported(text, Stated(["", stated]))) == expected


@pytest.mark.parametrize("one", [*SUPPORTED, *MISSING])
def test_a_text_supports_its_own_numbers(one: tuple[str, ...]) -> None:
    assert unsupported(one[0], Stated([one[0]])) == []


def test_a_superscript_is_no_number() -> None:
    assert [one.values for one in mentions("10 m² and ①")] == [(10.0,)]


def test_a_sentence_end_is_no_decimal() -> None:
    assert [one.values for one in mentions("Size 5. 10 days, 3, and 4.")] == [(5.0,), (10.0,), (3.0,), (4.0,)]


@given(st.text(st.sampled_from("0159.,/-'\" xXa²½１cméグ°C\n")))
def test_mentions_are_ordered_places_of_any_text(text: str) -> None:
    places = [(one.start, one.end) for one in mentions(text)]
    assert all(start < end <= len(text) for start, end in places)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))
    assert unsupported(text, Stated([text])) == []


@pytest.mark.parametrize("piece", ["1/", "1-", "1.1,", "x1", "a1-", "1 ", "½", "1'000", "5cm-", "1x"])
def test_no_text_takes_long(piece: str) -> None:
    start = time.process_time()
    mentions(piece * 1_000 + "!")
    assert time.process_time() - start < 2


def test_an_excerpt_holds_the_words_that_were_shown() -> None:
    assert excerpt("Lamp", "It is  blue\nand 60 W", 3) == "Lamp\nIt is blue"
