"""Significance: intervals have their coverage, chance is a tie, and slices contain every row once."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from copywriter import files, paths, records
from copywriter.errors import UserError
from copywriter.evaluation import measure, metric, predictions, row_statistics, scores, significance
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.scores import GRADES
from copywriter.evaluation.significance import Difference
from copywriter.evaluation.slices import quarters, slices
from copywriter.evaluation.verdict import outcome, sentence, verdict
from stages import baseline, compare, retrieve
from tests.conftest import changed
from tests.evaluation.test_scores import NOTHING


def table(rouge: Any) -> row_statistics.Statistics:
    """Rows whose ROUGE-L is given, 0 to 100, and nothing else."""
    values = np.rint(np.asarray(rouge) * metric.SHARE / 100).astype(np.int64)
    return row_statistics.from_columns({"rows": np.ones(len(values), np.int64), "rougeL": values})


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    generator = np.random.default_rng(1)
    before = generator.uniform(0, 60, 800)
    change = generator.normal(1.0, 8.0, 800)
    found = significance.compare(table(before), table(before + change + 40), 7)["rougeL"]
    error = change.std() / np.sqrt(800)
    assert found.difference == pytest.approx(change.mean() + 40, abs=1e-3)
    assert found.low == pytest.approx(found.difference - 1.96 * error, abs=0.05)
    assert found.high == pytest.approx(found.difference + 1.96 * error, abs=0.05)
    assert found.smallest == pytest.approx(2.8 * error, rel=0.05)
    assert found.p == round(1 / (1 + significance.RESAMPLES), 4)


def test_chance_is_significant_in_about_five_of_a_hundred() -> None:
    generator = np.random.default_rng(2)
    found = []
    for trial in range(300):
        before, after = generator.uniform(0, 100, (2, 60))
        found.append(significance.compare(table(before), table(after), trial, 300)["rougeL"])
    shares = np.mean([one.p < 0.05 for one in found]), np.mean([not one.low <= 0 <= one.high for one in found])
    assert 0.02 <= shares[0] <= 0.09
    assert 0.02 <= shares[1] <= 0.10


def test_a_p_value_is_that_of_all_ways_to_swap() -> None:
    before, after = np.array([10.0, 20, 30, 40, 50, 20]), np.array([12.0, 27, 29, 46, 53, 31])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1)
    exact = np.mean(np.abs((after - before) @ signs) >= abs((after - before).sum()) - 1e-9)
    found = significance.compare(table(before), table(after), 3, 20_000)["rougeL"]
    assert found.p == pytest.approx(exact, abs=0.01)


WRITTEN = ["the red bucket holds ten litres of water", "a lamp of steel and glass for the table", "tutu", ""]
REFERENCES = ["the red bucket holds nine litres of water", "a lamp of glass for every table in the house", "rug", "cup"]


def test_a_resample_is_scored_as_sacrebleu_scores_those_rows() -> None:
    rows = [Prediction("t", "", right, one, True, 1, 1.0, 1) for one, right in zip(WRITTEN, REFERENCES, strict=True)]
    found, _ = measure.measure(rows, NOTHING)
    before, _ = significance._bootstrap(found, found, 5, 20)
    generator = np.random.default_rng([5, 0])
    for drawn, sums in zip(generator.integers(0, 4, (20, 4)), before, strict=True):
        expected = BLEU().corpus_score([WRITTEN[row] for row in drawn], [[REFERENCES[row] for row in drawn]])
        assert float(scores.of(sums)["bleu"]) == pytest.approx(expected.score, abs=1e-9)


def test_equal_sides_tie_in_everything() -> None:
    rows = [Prediction("t", "", right, one, True, 1, 1.0, 1) for one, right in zip(WRITTEN, REFERENCES, strict=True)]
    found, _ = measure.measure(rows, NOTHING)
    for name, one in significance.compare(found, found, 1, 200).items():
        assert (one.difference, one.low, one.high, one.p, one.tie) == (0, 0, 0, 1, True), name


def test_the_same_seed_gives_the_same_digits() -> None:
    before, after = table([10, 50, 30]), table([20, 40, 90])
    assert significance.compare(before, after, 1) == significance.compare(before, after, 1)
    assert significance.compare(before, after, 1) != significance.compare(before, after, 2)
    assert significance.intervals(before, 1) == significance.intervals(before, 1)


@pytest.mark.parametrize("at_once", [1, 10, 333])
def test_batching_of_resamples_changes_no_digit(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = (table(np.random.default_rng(of).uniform(0, 100, 7)) for of in (1, 2))
    expected = significance.compare(before, after, 1, 200)
    monkeypatch.setattr(significance, "_DRAWS_AT_ONCE", at_once)
    assert significance.compare(before, after, 1, 200) == expected


@pytest.mark.parametrize("count", [0, 2])
def test_sides_of_different_length_cannot_be_compared(count: int) -> None:
    with pytest.raises(UserError, match="cannot be compared; run 'dvc repro evaluate baseline'"):
        significance.compare(table([1.0] * count), table([1.0] * (3 if count else 0)), 1)


UP = Difference(1.0, 2.5, 1.5, 0.5, 2.5, 0.0004, 1.4)
TIE = Difference(1.0, 1.2, 0.2, -0.3, 0.7, 0.41, 0.75)


@pytest.mark.parametrize(
    ("name", "one", "expected", "expected_start"),
    [
        (
            "bleu",
            UP,
            "better",
            "BLEU: base 1.00, tuned 2.50 (+1.50, 95% interval +0.50 to +2.50, p < 0.001): better.",
        ),
        (
            "bleu",
            TIE,
            "tie",
            "BLEU: base 1.00, tuned 1.20 (+0.20, 95% interval -0.30 to +0.70, p = 0.410): a tie; "
            "these rows would show a difference of 0.75.",
        ),
        ("nll", UP, "worse", "NLL of the reference: base 1.000, tuned 2.500 (+1.500, "),
        ("length_ratio", UP, "higher", "length ratio: base 1.00, tuned 2.50 (+1.50, "),
        ("stopped", TIE, "tie", "stopped by itself: base 100.0%, tuned 120.0% (+20.0 points, "),
        ("bleu", Difference(1, 2, 1, 0.1, 2, 0.05, 1), "tie", "BLEU: base 1.00"),  # the p-value is not below 5%
        ("bleu", Difference(1, 2, 1, -0.1, 2, 0.01, 1), "tie", "BLEU: base 1.00"),  # zero lies in the interval
    ],
)
def test_a_difference_as_a_sentence(name: str, one: Difference, expected: str, expected_start: str) -> None:
    assert outcome(name, one) == expected
    assert sentence(name, one, "base", "tuned").startswith(expected_start)


@pytest.mark.parametrize(
    ("found", "expected_start"),
    [
        (
            dict.fromkeys(GRADES, TIE),
            "A tie: on 40 titles BLEU, ROUGE-1, ROUGE-2, ROUGE-L, chrF, NLL of the reference and unconfirmed "
            "numbers per 100 words do not ",
        ),
        (
            {"bleu": UP, "rougeL": TIE, "nll": UP, "chrf": UP},
            "On 40 titles, tuned against base: "
            "better by BLEU and chrF; worse by NLL of the reference; a tie by ROUGE-L.",
        ),
        ({"bleu": UP}, "On 40 titles, tuned against base: better by BLEU."),
    ],
)
def test_the_verdict_names_its_scores(found: dict[str, Difference], expected_start: str) -> None:
    assert verdict(found, "base", "tuned", 40).startswith(expected_start)


@pytest.mark.parametrize("values", [[5.0], [1, 1, 1, 1], [1, 2], list(range(101)), [1] * 90 + [2, 3, 4]])
def test_quarters_hold_every_row_once_and_equal_values_together(values: list[float]) -> None:
    parts = list(quarters(np.array(values, np.float64)))
    assert np.sum([inside for _, _, inside in parts], axis=0).tolist() == [1] * len(values)
    borders = [border for low, high, _ in parts for border in (low, high)]
    assert borders == sorted(borders)
    assert all(high < low for (_, high, _), (low, _, _) in itertools.pairwise(parts))
    if len(values) == 101:
        assert [int(inside.sum()) for _, _, inside in parts] == [26, 25, 25, 25]


def test_slices_are_of_the_titles_references_and_similarities() -> None:
    rows = [Prediction("word " * (1 + n % 5), "", "word " * n, "") for n in range(40)]
    found = list(slices(rows, [n / 40 for n in range(40)], np.zeros(40)))
    assert {by for by, _, _ in found} == {"title words", "description words", "similarity"}
    assert next(shown for by, shown, _ in found if by == "similarity") == "0.00 to 0.23"


def test_copied_shares_have_slices_with_fixed_ends() -> None:
    rows = [Prediction("t", "", "r", "w")] * 6
    copied = np.array([0, 0.1, 0.25, 0.26, 0.9, 1])
    found = [(shown, inside.tolist()) for by, shown, inside in slices(rows, [0.0] * 6, copied) if by == "copied"]
    assert [(shown, sum(inside)) for shown, inside in found] == [
        ("0%", 1),
        ("over 0% to 25%", 2),
        ("over 25% to 50%", 1),
        ("over 50% to 100%", 2),
    ]
    assert np.sum([inside for _, inside in found], axis=0).tolist() == [1] * 6


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the baseline has run and base and tuned are written."""
    monkeypatch.chdir(tmp_path)
    train = [records.Product(f"{name} bucket", f"The {name} bucket holds ten litres.") for name in ("red", "blue")]
    test = [records.Product(f"{name} bucket {n}", f"The {name} bucket number {n}.") for n in range(6) for name in "ab"]
    records.write_products(paths.TRAIN, train)
    records.write_products(paths.TEST, test)
    records.write_products(paths.VALIDATION, test)
    retrieve.run()
    baseline.run()
    for side, text in (("base", "Title: {}"), ("tuned", "The {} holds.")):
        rows = [Prediction(one.title, "q", one.description, text.format(one.title), True, 3, 4.0, 2) for one in test]
        predictions.write(paths.predictions(side), rows)
        row_statistics.write(paths.statistics(side), measure.measure(rows, NOTHING)[0])
    return tmp_path


def test_comparison_files_are_deterministic_and_match_the_scores(checkout: Path) -> None:
    written = []
    for _ in range(2):
        compare.run(changed())
        written.append([file.read_bytes() for file in (paths.COMPARISON, paths.SLICES, paths.SCORE_BARS)])
    assert written[0] == written[1]
    found = json.loads(paths.COMPARISON.read_text())
    for before in ("base", "nearest"):
        expected = scores.rounded(row_statistics.read(paths.statistics(before)).sum(0))
        against = found[f"tuned_against_{before}"]["scores"]
        assert {name: one["before"] for name, one in against.items()}.items() <= expected.items()
        assert set(GRADES) - set(against) == ({"nll"} if before == "nearest" else set())
    assert found["method"]["rows"] == 12
    parts = json.loads(paths.SLICES.read_text())["slices"]
    assert sum(part["rows"] for part in parts if part["by"] == "similarity") == 12
    assert len(paths.SCORE_BARS.read_text().splitlines()) == 1 + 3 * len(scores.OVERLAP)


def test_files_of_different_runs_are_refused(checkout: Path) -> None:
    row_statistics.write(paths.statistics("tuned"), table([1.0] * 11))
    with pytest.raises(UserError, match=r"statistics_tuned.parquet has 11 rows, but there are 12 texts; run"):
        compare.run(changed())


def test_every_title_needs_a_similarity(checkout: Path) -> None:
    paths.SIMILARITY.write_text("similarity\n0.5\n")
    with pytest.raises(UserError, match="has 1 titles, not 12; run 'dvc repro baseline'"):
        compare.run(changed())


def test_statistics_of_another_version_are_refused(checkout: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"rows": [1]}), paths.statistics("base"))
    with pytest.raises(UserError, match="other columns than this version writes; run 'dvc repro evaluate baseline'"):
        compare.run(changed())


def test_the_difference_of_a_file_is_valid_json_without_nan(checkout: Path) -> None:
    compare.run(changed())
    assert files.dumps(json.loads(paths.COMPARISON.read_text())) == paths.COMPARISON.read_text()
