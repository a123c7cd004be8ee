"""The stage retrieve: every row's neighbours are training rows, a training row's never of its own family."""

from pathlib import Path

import pytest

from copywriter import paths, records
from copywriter.errors import UserError
from copywriter.records import Product
from copywriter.retrieval import neighbours
from copywriter.splitting import families
from stages import retrieve

COLOURS = ("red", "blue", "green", "black", "white")
TRAIN = [
    *(
        Product(f"Steel bucket {colour}", f"A bucket of steel in {colour}, for the garden and the house.")
        for colour in COLOURS
    ),
    *(
        Product(f"Desk lamp {colour}", f"A lamp for your desk in {colour}; it turns and it folds.")
        for colour in COLOURS
    ),
    Product("Bucket lamp", "A lamp in the form of a bucket."),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    records.write_products(paths.TRAIN, TRAIN)
    records.write_products(paths.VALIDATION, [Product("Steel bucket pink", "Pink steel.")])
    records.write_products(paths.TEST, [Product("Lamp for a desk", "A lamp."), Product("xyz", "Nothing like it.")])
    return tmp_path


def test_planted_families_are_never_each_others_neighbours(here: Path) -> None:
    retrieve.run()
    own = families.families(TRAIN)
    assert len(set(own.tolist())) == 3
    found = neighbours.read(paths.TRAIN, len(TRAIN))
    for row, others in enumerate(found):
        assert others, TRAIN[row].title
        assert all(own[number] != own[row] for number, _ in others)


def test_validation_and_test_rows_get_training_rows(here: Path) -> None:
    retrieve.run()
    (bucket,) = neighbours.read(paths.VALIDATION, 1)
    assert bucket[0][0] in range(5) and bucket[0][1] > 0.4
    lamp, nothing = neighbours.read(paths.TEST, 2)
    assert lamp[0][0] in range(5, 11)
    assert nothing == []
    assert len(bucket) <= neighbours.COUNT


def test_equal_input_gives_equal_bytes(here: Path) -> None:
    retrieve.run()
    first = [file.read_bytes() for file in sorted(paths.NEIGHBOURS.iterdir())]
    assert len(first) == 3
    retrieve.run()
    assert [file.read_bytes() for file in sorted(paths.NEIGHBOURS.iterdir())] == first


def test_an_empty_training_set_is_refused(here: Path) -> None:
    records.write_products(paths.TRAIN, [])
    with pytest.raises(UserError, match="no training row"):
        retrieve.run()
