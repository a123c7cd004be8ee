"""Words and digests: the forms in which texts are compared."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copywriter import text


def test_words_keep_their_marks() -> None:
    assert text.words("Straße 12-in. CAFÉ_x") == ["strasse", "12", "in", "café", "x"]
    assert text.words("हिन्दी, दाल") == ["हिन्दी", "दाल"]


@given(st.text(st.characters(max_codepoint=0xDFF) | st.sampled_from("ab _-é\u0301\u093f1½\1\2\0，😀한")))
def test_words_are_the_runs_of_letters_digits_and_marks(one: str) -> None:
    kept = [c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in one.casefold()]
    assert text.words(one) == "".join(kept).split()


@given(st.text("abXY 12_-.éßÜçñ’“—®½"))
def test_words_of_latin_text_are_those_of_one_pattern(one: str) -> None:
    assert text.words(one) == re.findall(r"[^\W_]+", one.casefold())


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ("赤いLEDライト 500ml", ["赤", "い", "led", "ラ", "イ", "ト", "500ml"]),
        ("中文，日本語。", ["中", "文", "日", "本", "語"]),
        ("กินข้าว5ชิ้น", ["กิ", "น", "ข้", "า", "ว", "5", "ชิ้", "น"]),
        ("ភាសា ຜ້າ မြန်", ["ភា", "សា", "ຜ້", "າ", "မြ", "န်"]),
        ("\u0301あ\u0301a", ["\u0301", "あ\u0301a"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
    ],
)
def test_in_scripts_without_spaces_a_letter_is_a_word(one: str, words: list[str]) -> None:
    assert text.words(one) == words


@given(st.text(st.sampled_from("赤い青カップกิน้ a1é\u0301。 _")))
def test_no_letter_is_lost_or_moved(one: str) -> None:
    kept = [c for c in one.casefold() if c.isalnum() or unicodedata.category(c).startswith("M")]
    assert "".join(text.words(one)) == "".join(kept)


def test_a_digest_knows_where_texts_part() -> None:
    assert text.digest("ab", "c") != text.digest("a", "bc")
    assert len(text.digest("a")) == 16
