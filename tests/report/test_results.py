"""The report refuses files that are missing or of different runs."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copywriter import paths
from copywriter.errors import UserError
from copywriter.evaluation import predictions as predictions_file
from copywriter.evaluation.predictions import Prediction
from tests.support.reported_run import page, predictions, write

CONTRADICTIONS: dict[str, tuple[Path, Callable[[dict[str, Any]], Any], str]] = {
    "clean": (
        paths.CLEAN_COUNTS,
        lambda it: it | {"read": 12001},
        "12,001 rows read, but 10,000 kept and 2,000 dropped",
    ),
    "split": (paths.SPLIT_COUNTS, lambda it: it | {"train": 8999}, "9,999 rows of 10,000 sampled"),
    "rows": (paths.scores("tuned"), lambda it: it | {"rows": 39}, "has 39 rows, but there are 40 texts"),
    "signatures": (paths.scores("tuned"), lambda it: it | {"signatures": []}, "their signatures differ"),
    "decoding": (paths.scores("base"), lambda it: it | {"decoding": ["x:1"]}, "their decoding differ"),
    "comparison": (paths.scores("nearest"), lambda it: it | {"bleu": 15.05}, "have different values of bleu"),
    "old receipt": (paths.RECEIPT, lambda it: it.pop("asked") and it, "was written by another version"),
    "receipt": (paths.RECEIPT, lambda it: it | {"base": {"model": "other"}}, "was trained on other, but params.yaml"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_numbers_that_contradict_each_other_stop_it(name: str) -> None:
    path, change, message = CONTRADICTIONS[name]
    write(path, change(json.loads(path.read_text())))
    with pytest.raises(UserError, match=rf"{message}.*run 'dvc repro"):
        page()
    assert not paths.REPORT.exists()


@pytest.mark.parametrize(
    "change",
    [lambda rows: rows[::-1], lambda rows: rows[1:], lambda rows: [dataclasses.replace(rows[0], title="x"), *rows[1:]]],
)
def test_predictions_for_other_titles_stop_it(change: Callable[[list[Prediction]], list[Prediction]]) -> None:
    predictions_file.write(paths.predictions("tuned"), change(predictions("tuned")))
    with pytest.raises(UserError, match="not for the same titles in the same order; run 'dvc repro evaluate baseline'"):
        page()


@pytest.mark.parametrize("path", [paths.LENGTHS, paths.TRAIN_HISTORY, paths.predictions("base")])
def test_a_missing_file_names_the_cure(path: Path) -> None:
    path.unlink()
    with pytest.raises(UserError, match=rf"{path} is missing; run 'dvc repro"):
        page()
