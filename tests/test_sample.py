"""A sample is drawn by content and seed alone: each row as likely as another, whatever the order of the file."""

import random
from collections import Counter
from pathlib import Path

import pytest

from copywriter import records
from copywriter.records import Product
from copywriter.stage import UserError
from stages import sample
from tests.conftest import changed

ROWS = [Product(f"Title {number}", f"Description {number}") for number in range(40)]


def test_each_row_is_equally_likely() -> None:
    seeds, size = 2_000, 10
    drawn = Counter(row for seed in range(seeds) for row in sample.draw(ROWS, size, seed))
    expected = seeds * size / len(ROWS)
    variance = expected * (1 - size / len(ROWS))
    statistic = sum((drawn[row] - expected) ** 2 / variance for row in ROWS) * (len(ROWS) - 1) / len(ROWS)
    assert 15 < statistic < 75  # chi-square with 39 degrees of freedom: outside once in some ten thousand


def test_places_in_the_sample_are_equally_likely_too() -> None:
    first = Counter(sample.draw(ROWS, 3, seed)[0] for seed in range(2_000))
    assert all(20 <= first[row] <= 90 for row in ROWS)  # 50 expected, standard deviation 7


def test_the_order_of_the_file_does_not_matter() -> None:
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    assert sample.draw(shuffled, 10, 42) == sample.draw(ROWS, 10, 42)


def test_a_larger_sample_begins_with_the_smaller() -> None:
    assert sample.draw(ROWS, 20, 42)[:10] == sample.draw(ROWS, 10, 42)


def test_another_seed_draws_other_rows() -> None:
    assert sample.draw(ROWS, 10, 42) != sample.draw(ROWS, 10, 43)


def test_rows_are_streamed() -> None:
    rows = (Product(f"Title {number}", "x") for number in range(5_000))
    assert len(sample.draw(rows, 7, 42)) == 7


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "clean.parquet", tmp_path / "sample.parquet"


def test_a_run_writes_the_sample(files: tuple[Path, Path]) -> None:
    records.write_products(files[0], ROWS)
    assert sample.run(changed(sample__size=10), *files) == "10 rows drawn"
    assert records.read_products(files[1]) == sample.draw(ROWS, 10, changed().seed)


def test_more_rows_than_there_are_takes_all_and_says_so(files: tuple[Path, Path]) -> None:
    records.write_products(files[0], ROWS)
    summary = sample.run(changed(sample__size=41), *files)
    assert summary == "all 40 rows taken, for sample.size 41 asks for more than there are"
    assert set(records.read_products(files[1])) == set(ROWS)


def test_a_missing_catalogue_is_named(files: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match=r"clean.parquet is missing; run 'dvc repro"):
        sample.run(changed(), *files)
