"""The catalogue to measure with: the official shape, whatever the number of processes."""

import gzip
import json
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import make_catalogue
from copywriter.records import Product
from copywriter.splitting import families

ROWS = 12_000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("catalogue") / "trn.json.gz"
    make_catalogue.write(file, ROWS, seed=3, processes=2)
    return file


@pytest.fixture(scope="module")
def rows(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@pytest.fixture(scope="module")
def both(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["title"] and row["content"]]


def test_rows_have_the_official_schema(rows: list[dict[str, Any]]) -> None:
    assert len(rows) == ROWS
    for row in rows:
        assert list(row) == ["uid", "title", "content", "target_ind", "target_rel"]
        assert len(row["target_ind"]) == len(row["target_rel"]) >= 1
    assert np.mean([len(row["target_ind"]) for row in rows]) == pytest.approx(22, abs=0.5)


def test_a_line_takes_as_many_bytes_as_in_the_official_file(file: Path) -> None:
    with gzip.open(file) as stream:
        assert len(stream.read()) / ROWS == pytest.approx(1.89e9 / 2_248_619, rel=0.06)


def test_empty_texts_and_duplicate_titles_are_as_frequent_as_official(
    rows: list[dict[str, Any]], both: list[dict[str, Any]]
) -> None:
    official = 2_248_619
    counts = {
        "no title": (sum(not row["title"] for row in rows), 126_834),
        "no content": (sum(not row["content"] for row in rows), 749_901),
        "both": (len(both), 1_390_100),
        "duplicate title": (len(both) - len({row["title"] for row in both}), 39_961),
    }
    assert {name: here for name, (here, _) in counts.items()} == pytest.approx(
        {name: there * ROWS / official for name, (_, there) in counts.items()}, abs=2
    )


@pytest.mark.parametrize(
    ("dirt", "official"),
    [
        (r"&#?\w+;", 0.17),
        (r" {2,}", 0.18),
        (r"[a-z][.!?][A-Z]", 0.18),
        (r"The notes above|This description belongs|What is said here|From the jacket", 0.24),
        (r"(?i)copyright |\(c\) |&copy; |&#169; ", 0.16),
    ],
)
def test_contents_are_as_dirty_as_the_official_ones(rows: list[dict[str, Any]], dirt: str, official: float) -> None:
    found = [bool(re.search(dirt, row["content"])) for row in rows if row["content"]]
    assert np.mean(found) == pytest.approx(official, abs=0.015)


def test_lengths_are_spread_as_the_official_ones(rows: list[dict[str, Any]]) -> None:
    titles = [len(row["title"]) for row in rows if row["title"]]
    assert np.median(titles) == pytest.approx(54, abs=3)
    assert 1_000 < max(titles) < 2_000
    contents = [len(row["content"]) for row in rows if row["content"]]
    assert np.percentile(contents, [25, 50, 75]) == pytest.approx([194, 398, 805], rel=0.06)
    assert 190_000 < max(contents) < 205_000


def test_near_duplicates_are_planted(both: list[dict[str, Any]]) -> None:
    """Two kinds: the same content under another title, and nearly the same content (a sister product)."""
    of_content: dict[str, set[str]] = {}
    for row in both:
        of_content.setdefault(row["content"], set()).add(row["title"])
    long = {content: titles for content, titles in of_content.items() if len(content) > 300}
    assert sum(len(titles) - 1 for titles in long.values()) > 20
    sentences = Counter(
        frozenset(re.findall(r"[A-Z][^.<&]{40,}(?=\.)", content)) for content in long if content.isascii()
    )
    assert sum(count - 1 for shared, count in sentences.items() if len(shared) > 3) > 10


def test_with_a_long_tail_templates_no_longer_join_families(
    file: Path, both: list[dict[str, Any]], tmp_path: Path
) -> None:
    make_catalogue.write(tmp_path / "tail.json.gz", ROWS, seed=3, processes=2, rare=True)
    with gzip.open(tmp_path / "tail.json.gz", "rt", encoding="utf-8") as stream:
        rare = [row for row in map(json.loads, stream) if row["title"] and row["content"]]
    assert len(rare) == len(both)

    def sizes(rows: list[dict[str, Any]]) -> Counter[int]:
        products = [Product(row["title"], row["content"]) for row in rows]
        return Counter(families.families(products).tolist())

    joined, apart = sizes(both), sizes(rare)
    assert max(apart.values()) < max(joined.values()) / 2
    planted = (make_catalogue.DUPLICATES + make_catalogue.SISTERS + make_catalogue.SAME_CONTENTS) / 1_390_100
    assert 0.5 * planted < 1 - len(apart) / len(rare) < 1 - len(joined) / len(both)


def test_the_tail_is_the_same_for_any_number_of_processes(tmp_path: Path) -> None:
    for name, processes in (("one", 1), ("two", 2)):
        make_catalogue.write(tmp_path / f"{name}.gz", 5_000, 5, processes, rare=True)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_the_bytes_depend_on_seed_and_rows_alone(tmp_path: Path) -> None:
    for name, seed, processes in (("one", 5, 1), ("two", 5, 2), ("other", 6, 2)):
        make_catalogue.write(tmp_path / f"{name}.gz", 5_000, seed, processes)
    one, two, other = ((tmp_path / f"{name}.gz").read_bytes() for name in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_a_zip_has_the_official_member_inside(tmp_path: Path) -> None:
    make_catalogue.write(tmp_path / "raw.zip", 50, 1, 1)
    make_catalogue.write(tmp_path / "trn.json.gz", 50, 1, 1)
    with zipfile.ZipFile(tmp_path / "raw.zip") as archive:
        assert archive.namelist() == ["LF-Amazon-1.3M/trn.json.gz"]
        assert archive.read("LF-Amazon-1.3M/trn.json.gz") == (tmp_path / "trn.json.gz").read_bytes()
