"""Words and digests: the forms in which texts are compared."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from copywriter import text


def test_words_keep_their_marks() -> None:
    assert text.words("Straße 12-in. CAFÉ_x") == ["strasse", "12", "in", "café", "x"]
    assert text.words("हिन्दी, दाल") == ["हिन्दी", "दाल"]


@given(st.text(st.characters() | st.sampled_from("ab _-é中\u0301\u093f1½")))
def test_words_are_the_runs_of_letters_digits_and_marks(one: str) -> None:
    kept = [c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in one.casefold()]
    assert text.words(one) == "".join(kept).split()


def test_a_digest_knows_where_texts_part() -> None:
    assert text.digest("ab", "c") != text.digest("a", "bc")
    assert len(text.digest("a")) == 16
