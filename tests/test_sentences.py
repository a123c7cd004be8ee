"""Sentences of a text: where they end in any script, and that nothing of the text is lost."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copywriter import sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences.spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It holds 4.5 l. It is blue!  Is it?", ["It holds 4.5 l.", "It is blue!", "Is it?"]),
        ('He said "Buy it." Nobody did.', ['He said "Buy it."', "Nobody did."]),
        ("one line\n\nanother line", ["one line", "another line"]),
        ("Soft | Light; dries fast • Green", ["Soft |", "Light;", "dries fast •", "Green"]),
        ("Fits model No. 5 of ca. ten.", ["Fits model No. 5 of ca. ten."]),
        ("It is 5 in. The box is not.", ["It is 5 in.", "The box is not."]),
        ("made by hand. dries fast.", ["made by hand. dries fast."]),  # "hand." could be an abbreviation
        ("it is waterproof. it dries.", ["it is waterproof.", "it dries."]),
        ("See www.example.com for more.", ["See www.example.com for more."]),
        ("重さは3キロ。色は青。", ["重さは3キロ。", "色は青。"]),
        ("नीला है। हल्का है।", ["नीला है।", "हल्का है।"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_where_sentences_end(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@given(st.text(st.sampled_from('aB 5.!?\n|;。)"•'), max_size=40))
def test_every_character_but_white_space_is_in_one_sentence(text: str) -> None:
    found = list(sentences.spans(text))
    assert all(start < end for start, end in found)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(found))
    assert all(part == part.strip() for part in split(text))
    assert "".join("".join(part.split()) for part in split(text)) == "".join(text.split())
