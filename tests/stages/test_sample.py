"""A sample is drawn by content and seed alone: each row as likely as another, whatever the order of the file."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from copywriter import records, text
from copywriter.errors import UserError
from copywriter.records import Product
from stages import sample
from tests.conftest import changed

ROWS = [Product(f"Title {number}", f"Description {number}") for number in range(40)]


def drawn(rows: list[Product], size: int, seed: int) -> list[Product]:
    return [rows[number] for number in sample.draw([table(rows)], size, seed)]


def table(rows: list[Product]) -> pa.Table:
    return records.table([(row.title, row.description) for row in rows])


def test_each_row_is_equally_likely() -> None:
    seeds, size = 2_000, 10
    counts = Counter(row for seed in range(seeds) for row in drawn(ROWS, size, seed))
    expected = seeds * size / len(ROWS)
    variance = expected * (1 - size / len(ROWS))
    statistic = sum((counts[row] - expected) ** 2 / variance for row in ROWS) * (len(ROWS) - 1) / len(ROWS)
    assert 15 < statistic < 75  # chi-square with 39 degrees of freedom: outside once in some ten thousand


def test_places_in_the_sample_are_equally_likely_too() -> None:
    first = Counter(drawn(ROWS, 3, seed)[0] for seed in range(2_000))
    assert all(20 <= first[row] <= 90 for row in ROWS)  # 50 expected, standard deviation 7


def test_the_order_of_the_file_does_not_matter() -> None:
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    assert drawn(shuffled, 10, 42) == drawn(ROWS, 10, 42)


def test_a_larger_sample_begins_with_the_smaller() -> None:
    assert drawn(ROWS, 20, 42)[:10] == drawn(ROWS, 10, 42)


def test_another_seed_draws_other_rows() -> None:
    assert drawn(ROWS, 10, 42) != drawn(ROWS, 10, 43)


def test_the_committed_draw_stays() -> None:
    assert sample.draw([table(ROWS)], 5, 42).tolist() == [19, 1, 15, 38, 9]
    assert sample.draw(map(table, (ROWS[:7], [], ROWS[7:])), 5, 42).tolist() == [19, 1, 15, 38, 9]


def test_rows_have_the_digests_of_their_texts() -> None:
    rows = [*ROWS, Product("Ação 👜", "中文 " * 999)]
    assert list(sample.digests(table(rows)[1:], 7)) == [text.digest("7", r.title, r.description) for r in rows[1:]]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "clean.parquet", tmp_path / "sample.parquet"


@pytest.mark.parametrize("at_once", [1, 3, 7, 200_000])
@pytest.mark.parametrize("numbers", [[], [0], [39], [5, 3, 39, 0, 17], [*range(39, -1, -1)]])
def test_rows_are_taken_in_the_order_of_their_numbers(
    files: tuple[Path, Path], numbers: list[int], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(records, "ROWS_PER_GROUP", 16)
    records.write_products(files[0], ROWS)
    tables = list(sample.take(files[0], np.array(numbers, np.int64)))
    assert [title for table in tables for title in table["title"].to_pylist()] == [ROWS[n].title for n in numbers]
    assert all(0 < len(table) <= at_once for table in tables)


def test_a_run_writes_the_sample(files: tuple[Path, Path]) -> None:
    records.write_products(files[0], ROWS)
    assert sample.run(changed(sample__size=10), *files) == "10 rows drawn"
    assert records.read_products(files[1]) == drawn(ROWS, 10, changed().seed)


def test_the_bytes_depend_neither_on_the_order_of_the_file_nor_on_memory(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = set()
    for seed, at_once in enumerate((3, 8, 200_000)):
        monkeypatch.setattr(sample, "ROWS_AT_ONCE", at_once)
        records.write_products(files[0], random.Random(seed).sample(ROWS, len(ROWS)))
        sample.run(changed(sample__size=21), *files)
        written.add(files[1].read_bytes())
    assert len(written) == 1


def test_more_rows_than_there_are_takes_all_and_says_so(files: tuple[Path, Path]) -> None:
    records.write_products(files[0], ROWS)
    summary = sample.run(changed(sample__size=41), *files)
    assert summary == "all 40 rows taken; sample.size is 41"
    assert set(records.read_products(files[1])) == set(ROWS)


def test_a_missing_catalogue_is_named(files: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match=r"clean.parquet is missing; run 'dvc repro"):
        sample.run(changed(), *files)
