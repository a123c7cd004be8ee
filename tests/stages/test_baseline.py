"""The nearest-neighbour baseline: the nearest training title's unchanged description, scored like a model's text."""

import json
from pathlib import Path

import numpy as np
import pytest

from copywriter import paths, records
from copywriter.errors import UserError
from copywriter.evaluation import predictions, scores
from copywriter.records import Product
from copywriter.retrieval import neighbours
from copywriter.retrieval.neighbours import Neighbours
from stages import baseline, retrieve


def test_predictions_are_the_unchanged_training_descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train = [
        Product("Blue lamp", "A lamp.\nIt is blue."),
        Product("Red bucket", "Holds 10 litres of anything."),
    ]
    test = [Product("Red steel bucket", "Ten litres."), Product("Lamp", "A lamp.\nIt is blue.")]
    records.write_products(paths.TRAIN, train)
    records.write_products(paths.TEST, test)
    records.write_products(paths.VALIDATION, test)
    retrieve.run()
    baseline.run()
    found = predictions.read(paths.predictions("nearest"))
    assert [(one.title, one.question, one.written) for one in found] == [
        ("Red steel bucket", "Red bucket", train[1].description),
        ("Lamp", "Blue lamp", train[0].description),
    ]
    assert all(one.stopped is one.tokens is one.reference_nll is None for one in found)
    nearest_scores, catalogue = (json.loads(paths.scores(name).read_text()) for name in ("nearest", "catalogue"))
    assert nearest_scores["rows"] == catalogue["rows"] == 2
    assert set(catalogue) == {*scores.WITHOUT_REFERENCE, "rows"}
    assert catalogue["ungrounded_per_100_words"] == nearest_scores["ungrounded_per_100_words"] == 0
    assert nearest_scores["unconfirmed_per_100_words"] == 10  # "10 litres" in ten words
    first = [file.read_bytes() for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    baseline.run()
    assert [file.read_bytes() for file in sorted(tmp_path.rglob("*")) if file.is_file()] == first


def test_an_empty_training_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records.write_products(paths.TRAIN, [])
    records.write_products(paths.TEST, [Product("Lamp", "A lamp.")])
    neighbours.write(neighbours.file(paths.TEST), Neighbours(np.array([[-1]]), np.array([[0.0]])))
    with pytest.raises(UserError, match="no training row"):
        baseline.run()


def test_neighbours_of_another_test_set_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records.write_products(paths.TRAIN, [Product("Lamp", "A lamp.")])
    records.write_products(paths.TEST, [Product("Lamp", "A lamp.")] * 2)
    neighbours.write(neighbours.file(paths.TEST), Neighbours(np.array([[0]]), np.array([[1.0]])))
    with pytest.raises(UserError, match=r"is of other rows than data/test.parquet; run 'dvc repro retrieve'"):
        baseline.run()
