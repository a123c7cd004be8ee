"""Marks of unsupported numbers in a text that comes in pieces: the text stays, numbers are underlined as a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copywriter.generation.marking import Marker
from copywriter.grounding import Stated

TEXT = "It is 5 1/2 inch wide, the XJ-900 weighs 3 kg. Ends 7"
MARKED = "It is [5 1/2 inch] wide, the [XJ-900] weighs 3 kg. Ends [7]"


def marked(pieces: list[str]) -> str:
    marker = Marker(Stated(["3 kg"]))
    text = "".join(marker.add(piece) for piece in pieces) + marker.end()
    return text.replace("\x1b[4m", "[").replace("\x1b[24m", "]")


@pytest.mark.parametrize("length", [1, 2, 3, 7, 100])
def test_marks_do_not_depend_on_the_pieces(length: int) -> None:
    assert marked([TEXT[at : at + length] for at in range(0, len(TEXT), length)]) == MARKED


@given(st.lists(st.text(st.sampled_from("15 .,/-xk\n½"), max_size=4)))
def test_without_its_marks_the_text_is_unchanged(pieces: list[str]) -> None:
    assert marked(pieces).replace("[", "").replace("]", "") == "".join(pieces)


def test_words_are_shown_two_behind() -> None:
    marker = Marker(Stated([]))
    assert [marker.add(word) for word in ("One ", "two ", "three ")] == ["", "", "One "]
