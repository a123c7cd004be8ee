"""Sources of a text: what they ground, what is copied from them, and how prediction files name them."""

import json
from pathlib import Path

import numpy as np
import pytest

from copywriter.errors import UserError
from copywriter.evaluation import measure, predictions, row_statistics, scores
from copywriter.evaluation.predictions import Prediction, Source
from copywriter.records import Product

NOTHING = np.zeros(0, np.uint64)
GROUNDED = ("ungrounded_per_100_words", "texts_with_ungrounded", "unconfirmed_per_100_words", "texts_with_unconfirmed")


def test_title_facts_sources_and_reference_stand_behind_numbers() -> None:
    written = "It weighs 5 kg, is 3 m long, holds 2 l and costs 7 a day."  # 16 words, 4 numbers
    row = Prediction("Rope 7", "q", "Weight: 5 kg.", written, True, facts="length: 3 m")

    def found(shown: str) -> list[float]:
        values = scores.rounded(measure.measure([row], NOTHING, [shown])[0].sum(0))
        return [values[key] for key in GROUNDED]

    assert found("") == [12.5, 1.0, 6.25, 1.0]  # 5 kg and 2 l; 2 l
    assert found("A rope of 5 kg for 2 l.") == [0.0, 0.0, 6.25, 1.0]  # sources confirm nothing


def test_a_number_that_a_text_repeats_counts_once() -> None:
    row = Prediction("t", "q", "r", '5 inch, 5 inches, 5" and 5 cm')
    assert scores.rounded(measure.measure([row], NOTHING)[0].sum(0))["ungrounded_per_100_words"] == 25.0


def test_the_catalogues_own_text_confirms_itself() -> None:
    row = Prediction("t", "", "A 5 inch XJ-900", "A 5 inch XJ-900")
    found = scores.rounded(measure.measure([row], NOTHING)[0].sum(0))
    assert found["unconfirmed_per_100_words"] == 0
    assert found["texts_with_ungrounded"] == 1


RUN = "one two three four five six seven eight nine ten"


@pytest.mark.parametrize(
    ("written", "shown", "expected"),
    [
        (RUN, f"zero {RUN} eleven", 1.0),
        ("one two three four five six seven x", RUN, 0.0),  # a run of seven
        (f"a b {RUN} c d e f g h i j", RUN, 0.5),
        (f"{RUN}. {RUN}", RUN, 1.0),
        ("", RUN, 0.0),
        (RUN, "", 0.0),
    ],
)
def test_copied_words_are_those_in_runs_of_eight(written: str, shown: str, expected: float) -> None:
    beside = [Prediction("t", "q", "r", "some other words"), Prediction("t", "q", "r", RUN)]
    rows = [beside[0], Prediction("t", "q", "r", written), beside[1]]
    table, _ = measure.measure(rows, NOTHING, ["", shown, ""])  # another row's source is none of this one
    words, copied = (table[:, row_statistics.COLUMNS.index(name)].tolist() for name in ("words", "copied_words"))
    assert words == [3, len(written.split()), 10]
    assert copied == [0, expected * words[1], 0]


def test_sources_are_named_by_row_and_similarity_alone(tmp_path: Path) -> None:
    train = [Product("Blue lamp", "A secret text of 60 watts."), Product("Red lamp", "Another.")]
    one = Prediction("Lamp", "q", "r", "w", True, sources=(Source(0, 0.8312, 4),), facts="brand: Lux")
    file = tmp_path / "predictions.jsonl"
    predictions.write(file, [one])
    assert "secret" not in file.read_text() and "Blue" not in file.read_text()
    assert json.loads(file.read_text())["sources"] == [{"row": 0, "similarity": 0.8312, "words": 4}]
    assert predictions.read(file) == [one]
    assert predictions.shown([one], train) == ["Blue lamp\nA secret text of"]
    with pytest.raises(UserError, match=r"row 0 is a source, but data/train.parquet has 0; run 'dvc repro evaluate'"):
        predictions.shown([one], [])


def test_a_line_without_sources_and_facts_is_as_it_always_was(tmp_path: Path) -> None:
    predictions.write(tmp_path / "predictions.jsonl", [Prediction("Lamp", "q", "r", "w", True, 5, 3.25, 4)])
    assert (tmp_path / "predictions.jsonl").read_text() == (
        '{"title": "Lamp", "question": "q", "reference": "r", "written": "w", "stopped": true, "tokens": 5, '
        '"reference_nll": 3.25, "reference_tokens": 4}\n'
    )
