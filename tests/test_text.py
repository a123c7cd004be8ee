"""Words and digests: the forms in which texts are compared."""

from copywriter import text


def test_words_keep_their_marks() -> None:
    assert text.words("Straße 12-in. CAFÉ_x") == ["strasse", "12", "in", "café", "x"]
    assert text.words("हिन्दी, दाल") == ["हिन्दी", "दाल"]


def test_a_digest_knows_where_texts_part() -> None:
    assert text.digest("ab", "c") != text.digest("a", "bc")
    assert len(text.digest("a")) == 16
