"""Of equal titles the first row stays, and every later one has its reason."""

from hypothesis import given
from hypothesis import strategies as st

from copywriter.cleaning import duplicates


def reasons(*rows: tuple[str, str]) -> list[str | None]:
    seen = duplicates.Seen()
    return [seen.reason(duplicates.key(*row)) for row in rows]


def test_pairs_and_titles_that_come_again() -> None:
    assert reasons(
        ("Tutu", "One."), ("tutu", "Two."), ("tutu", "Two."), ("Tutu", "One."), ("Bib", "One."), ("TUTU", "One.")
    ) == [None, "duplicate title", "duplicate pair", "duplicate pair", None, "duplicate title"]


def test_pairs_and_titles_come_again_in_other_scripts() -> None:
    assert reasons(
        ("赤いマグ", "陶器です。"),
        ("赤いマグ", "陶器です。"),
        ("赤いマグ", "別の文。"),
        ("แก้ว", "สีแดง"),
        ("แก้ว", "สีฟ้า"),
    ) == [None, "duplicate pair", "duplicate title", None, "duplicate title"]


@given(st.lists(st.tuples(st.sampled_from(["a", "A", "b"]), st.sampled_from(["x", "y", "X"])), max_size=12))
def test_reasons_are_those_of_a_search_of_all_rows_before(
    rows: list[tuple[str, str]],
) -> None:
    for number, (row, reason) in enumerate(zip(rows, reasons(*rows), strict=True)):
        before = rows[:number]
        title_came = row[0].lower() in [title.lower() for title, _ in before]
        assert reason == ("duplicate pair" if row in before else "duplicate title" if title_came else None)
