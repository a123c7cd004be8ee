"""The practice catalogue: equal bytes everywhere, the official schema and dirt, and titles that tell of their texts."""

import hashlib
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from copywriter.fetching import phrases, practice

LINES = 80_000
# Of 2,000 lines with seed 42. What changes it also changes the hash of 80,000 lines that sources.yaml pins.
SHA256 = "6af86e2f817c1d0a832d0b74f911a4143d7af74df54d110dadac61df5512e950"
CATEGORIES = phrases.banks()["categories"]

Row = dict[str, Any]


def is_row(value: object) -> bool:
    """Whether a value has all keys of the official schema, with their types."""
    if not isinstance(value, dict) or value.keys() != {"uid", "title", "content", "target_ind", "target_rel"}:
        return False
    return all(isinstance(value[key], str) for key in ("uid", "title", "content")) and all(
        isinstance(value[key], list) for key in ("target_ind", "target_rel")
    )


def parse(line: str) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def quantile(values: list[int], share: float) -> int:
    return sorted(values)[int(share * len(values))]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return list(practice.rows(LINES, 42))


@pytest.fixture(scope="module")
def rows(lines: list[str]) -> list[Row]:
    return [value for value in map(parse, lines) if isinstance(value, dict) and is_row(value)]


@pytest.fixture(scope="module")
def both(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["title"] and row["content"]]


@pytest.fixture(scope="module")
def contents(rows: list[Row]) -> list[str]:
    return [row["content"] for row in rows if row["content"]]


def test_bytes_are_the_same_everywhere(tmp_path: Path) -> None:
    practice.write(tmp_path / "first.json", 2_000, 42)
    practice.write(tmp_path / "second.json", 2_000, 42)
    written = (tmp_path / "first.json").read_bytes()
    assert written == (tmp_path / "second.json").read_bytes()
    assert hashlib.sha256(written).hexdigest() == SHA256
    assert written.count(b"\n") == 2_000
    assert written.endswith(b"\n")
    assert b"\r" not in written


def test_another_seed_gives_other_products() -> None:
    titles = [{row["title"] for row in map(json.loads, practice.rows(100, seed))} - {""} for seed in (1, 2)]
    assert not titles[0] & titles[1]


def test_rows_have_the_official_schema(rows: list[Row]) -> None:
    for row in rows:
        assert re.fullmatch(r"[A-Z0-9]{10}", row["uid"])
        assert set(map(type, row["target_ind"])) == {int}
        assert all(low < high for low, high in pairwise([-1, *row["target_ind"], practice.LABELS]))
        assert row["target_rel"] == [1.0] * len(row["target_ind"])
    assert sum(len(row["target_ind"]) for row in rows) / len(rows) == pytest.approx(22, abs=0.5)


def test_a_uid_comes_again_only_with_its_whole_row(rows: list[Row]) -> None:
    distinct = {json.dumps(row) for row in rows}
    assert len({row["uid"] for row in rows}) == len(distinct)
    assert 100 < len(rows) - len(distinct) < 1_000


def test_a_few_lines_are_malformed_in_several_ways(lines: list[str]) -> None:
    bad = [line for line in lines if not is_row(parse(line))]
    assert 15 <= len(bad) <= 80  # about 0.05%
    kinds = Counter("no JSON" if parse(line) is None else type(parse(line)).__name__ for line in bad)
    assert kinds["no JSON"] >= 5
    assert kinds["dict"] >= 5
    assert any(line.startswith('{"uid": "P') and parse(line) is None for line in bad)  # cut off
    assert any("title" not in value for value in map(parse, bad) if isinstance(value, dict))


def test_as_many_texts_are_missing_as_in_the_official_set(rows: list[Row], both: list[Row]) -> None:
    assert sum(not row["title"] for row in rows) / len(rows) == pytest.approx(0.056, abs=0.004)
    assert sum(not row["content"] for row in rows) / len(rows) == pytest.approx(0.333, abs=0.006)
    assert len(both) / len(rows) == pytest.approx(0.618, abs=0.006)
    blank = [text for row in rows for text in (row["title"], row["content"]) if text and not text.strip()]
    assert 20 <= len(blank) <= 100


def test_titles_come_again_in_three_ways(both: list[Row]) -> None:
    titles = {row["title"] for row in both}
    assert 1 - len(titles) / len(both) == pytest.approx(0.029, abs=0.003)
    texts = {(row["title"], row["content"]) for row in both}
    assert len(texts) - len(titles) > 200  # the same title with another text
    products = {(row["uid"], row["title"], row["content"]) for row in both}
    assert len(products) - len(texts) > 200  # the same texts under another uid
    assert len(both) - len(products) > 200  # the same row


def test_sister_products_share_title_and_text_but_for_a_word(both: list[Row]) -> None:
    """Of the sisters, 5% of the products, those are found here whose titles differ in one word exactly."""
    earlier: dict[str, tuple[str, set[str]]] = {}  # by a title without one of its words
    sisters = 0
    for row in both:
        words, told = row["title"].split(), set(row["content"].split())
        masks = [" ".join([*words[:at], *words[at + 1 :]]) + f" without {at}" for at in range(len(words))]
        near = [earlier[mask] for mask in masks if mask in earlier]
        sisters += any(
            title != row["title"] and len(told & other) > 0.7 * len(told | other) and len(told) > 30
            for title, other in near
        )
        earlier |= dict.fromkeys(masks, (row["title"], told))
    assert sisters / len(both) > 0.007  # 0.0001 without any sisters


@pytest.mark.parametrize(
    ("dirt", "official", "tolerance"),
    [
        (r"&#?\w+;", 0.17, 0.01),
        (r"&amp;(#\w+|amp|quot|mdash|rsquo|copy);", 0.006, 0.005),
        (r" {2,}", 0.18, 0.01),
        (r"[a-z][.!?][A-Z]", 0.18, 0.015),
        (r"<(b|br|p|li|ul)\b", 0.035, 0.01),
        (r"[Cc]opyright |\(c\) |&copy; |&#169; ", 0.10, 0.012),
        (r"(--|&mdash;)?(The notes above|This description belongs|What is said here|From the jacket)", 0.10, 0.015),
        ("[\x00-\x08\x0b\x0e-\x1f\x7f\u00ad\u200b\u200d\ufeff]", 0.005, 0.0015),
        (r"â€|Â", 0.005, 0.0025),
        (r"ção|ê|ñ|ö|ü|ß|ó", 0.006, 0.003),
    ],
)
def test_contents_are_as_dirty_as_the_official_ones(
    contents: list[str], dirt: str, official: float, tolerance: float
) -> None:
    found = re.compile(dirt)
    assert sum(bool(found.search(text)) for text in contents) / len(contents) == pytest.approx(official, abs=tolerance)


def test_the_head_has_twice_the_edition_notes_of_the_rest(rows: list[Row]) -> None:
    def share(some: list[Row]) -> float:
        texts = [row["content"] for row in some if row["content"]]
        return sum("edition." in text[-60:] or "edition.<" in text[-70:] for text in texts) / len(texts)

    head = rows[: int(LINES * 0.15)]
    assert share(head) > 0.2
    assert share(head) > 2 * share(rows[len(head) :])


def test_lengths_are_spread_as_the_official_ones(both: list[Row], contents: list[str]) -> None:
    titles = [len(row["title"]) for row in both]
    assert quantile(titles, 0.5) == pytest.approx(54, abs=3)
    assert quantile(titles, 0.01) < 25
    assert 1_500 < max(titles) < 2_000
    sizes = [len(text) for text in contents]
    assert quantile(sizes, 0.25) == pytest.approx(194, rel=0.05)
    assert quantile(sizes, 0.5) == pytest.approx(398, rel=0.05)
    assert quantile(sizes, 0.75) == pytest.approx(805, rel=0.05)
    assert 10_000 < quantile(sizes, 0.999) < 20_000
    enormous = [size for size in sizes if size > 50_000]
    assert 3 <= len(enormous) <= 8
    assert 150_000 < max(enormous) < 205_000


def test_nothing_but_dirt_leaves_ascii(contents: list[str]) -> None:
    assert 0.008 < sum(not text.isascii() for text in contents) / len(contents) < 0.02


def test_all_categories_are_there_and_books_are_the_heaviest(contents: list[str]) -> None:
    """A category is known by sentences without slots, which no other has."""
    marks = {
        text: name
        for name, bank in CATEGORIES.items()
        for item in bank["items"].values()
        for text in item["says"]
        if "<" not in text
    }
    mark = re.compile("|".join(map(re.escape, marks)))
    found = Counter(marks[hit[0]] for hit in map(mark.search, contents) if hit)
    assert found.keys() == CATEGORIES.keys()
    assert len(found) >= 24
    assert min(found.values()) > 100
    books = {name for name, bank in CATEGORIES.items() if "edition" in bank.get("notices", [])}
    assert sum(count for name, count in found.items() if name in books) > 0.35 * sum(found.values())


def test_a_title_tells_much_of_its_own_description_and_little_of_another() -> None:
    def words(text: str) -> set[str]:
        return {word for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in ("the", "and", "for", "with")}

    rng, names = Random(0), sorted(CATEGORIES)
    items = [practice.article(name, phrases.draw(2**32, rng), 400) for name in names * 10]
    titles = [words(item.title) for item in items]
    texts = [words(practice.description(item)) for item in items]

    def told(shift: int) -> float:
        shares = [len(title & texts[at - shift]) / len(title) for at, title in enumerate(titles)]
        return sum(shares) / len(shares)

    assert told(0) > 0.6  # its own
    assert told(len(names)) < 0.6 * told(0)  # another product of its category
    assert told(1) < 0.2 * told(0)  # another category
