"""What a prompt shows: the neighbours on disk, fewer of them by params, none for the rows that dropout chooses."""

from pathlib import Path

import numpy as np
import pytest

from copywriter import paths, records
from copywriter.errors import UserError
from copywriter.records import Product
from copywriter.retrieval import neighbours
from copywriter.retrieval.neighbours import Neighbours
from tests.conftest import changed

TRAIN = [Product(f"Lamp {number}", f"Lamp number {number}.") for number in range(4)]
FOUND = Neighbours(
    np.array([[1, 2, 3], [0, -1, -1], [-1, -1, -1]]), np.array([[0.9, 0.51239, 0.1], [0.5, 0, 0], [0, 0, 0]])
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    records.write_products(paths.TRAIN, TRAIN)
    neighbours.write(neighbours.file(paths.TEST), FOUND)
    return tmp_path


def test_neighbours_come_back_as_they_went_in(here: Path) -> None:
    assert neighbours.read(paths.TEST, 3) == [[(1, 0.9), (2, 0.5124), (3, 0.1)], [(0, 0.5)], []]


def test_params_say_how_many_are_shown(here: Path) -> None:
    titles = ["a", "b", "c"]
    assert neighbours.of_file(paths.TEST, titles, changed()) is None
    found = neighbours.of_file(paths.TEST, titles, changed(retrieval__neighbours=2))
    assert found == [[TRAIN[1], TRAIN[2]], [TRAIN[0]], []]


def test_neighbours_of_other_rows_are_refused(here: Path) -> None:
    with pytest.raises(UserError, match="dvc repro retrieve"):
        neighbours.of_file(paths.TEST, ["a"], changed(retrieval__neighbours=1))


def test_dropout_is_a_share_chosen_by_seed_and_title() -> None:
    titles = [f"Title {number}" for number in range(4_000)]
    chosen = [neighbours.dropped(title, 1, 0.1) for title in titles]
    assert 320 < sum(chosen) < 480
    assert chosen == [neighbours.dropped(title, 1, 0.1) for title in titles]
    assert chosen != [neighbours.dropped(title, 2, 0.1) for title in titles]
    assert not any(neighbours.dropped(title, 1, 0.0) for title in titles)
    assert all(neighbours.dropped(title, 1, 1.0) for title in titles)
