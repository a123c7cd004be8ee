"""The pairs that are shown are the same however rows are parted, hold the change, and cut no word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.cleaning import examples
from copywriter.records import Example

LONG = " ".join(f"word{number}" for number in range(100))


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("A &amp; B", "A & B", ("A &amp; B", "A & B")),
        ("a  b", "a b", ("a  b", "a b")),
        ("end.Start", "end. Start", ("end.Start", "end. Start")),
        ("x gone", "x", ("x gone", "x")),
        ("w" * 500, "v" * 500, None),
        ("w" * 500 + "  x", "w" * 500 + " x", ("…  x", "… x")),
        ("a " + "w" * 500, "a " + "v" * 500, None),
    ],
)
def test_short_texts_are_shown_whole_and_long_words_never(
    before: str, after: str, shown: tuple[str, str] | None
) -> None:
    assert examples.excerpt("rule", before, after) == (shown and Example("rule", *shown))


def test_a_long_text_is_cut_at_words_on_both_sides_of_the_change() -> None:
    shown = examples.excerpt("tags", f"{LONG} <b>new</b> {LONG}", f"{LONG} new {LONG}")
    assert shown
    assert shown.before.startswith("… word9") and " <b>new</b> word0 " in shown.before
    assert shown.after.startswith("… word9") and " new word0 " in shown.after
    for part in shown[1:]:
        assert part.endswith(" …")
        assert len(part) <= examples.WINDOW + 4
        assert set(part.split()) <= {*LONG.split(), "<b>new</b>", "new", "…"}


@settings(max_examples=300)
@given(st.lists(st.text("ab \n", max_size=90), min_size=2, max_size=8), st.text("ab<> ", max_size=9), st.data())
def test_no_word_is_cut_and_the_change_is_seen(parts: list[str], dirt: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(parts)))
    before = "".join([*parts[:place], dirt, *parts[place:]])
    after = "".join(parts)
    shown = examples.excerpt("rule", before, after)
    if shown is None or before == after:
        return
    assert shown.before != shown.after
    for part, whole in ((shown.before, before), (shown.after, after)):
        assert part.removeprefix("… ").removesuffix(" …") in whole
        assert set(part.split()) - {"…"} <= set(whole.split())


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 99)), max_size=120), st.integers(1, 7))
def test_the_choice_does_not_depend_on_how_rows_are_split(rows: list[tuple[str, int]], parts: int) -> None:
    def chosen(some: list[tuple[str, int]]) -> examples.Examples:
        changes: dict[bytes, dict[str, tuple[str, str]]] = {}
        for rule, number in some:
            changes.setdefault(bytes([number]), {})[rule] = f"{number} &amp;", f"{number} &"
        return examples.choose(changes)

    merged: examples.Examples = {}
    for part in range(parts):
        merged = examples.merge(merged, chosen(rows[part::parts]))
    assert merged == chosen(rows)
    assert all(len(pairs) <= examples.PAIRS for pairs in merged.values())
