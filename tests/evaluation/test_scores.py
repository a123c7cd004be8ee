"""Scores equal the libraries called directly and the metrics' published examples, and are defined for every text."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from copywriter import paths
from copywriter.errors import UserError
from copywriter.evaluation import measure, metric, ngrams, predictions, row_statistics, scores
from copywriter.evaluation.metrics import chrf, memorisation, rouge
from copywriter.evaluation.predictions import Prediction
from tests.conftest import ROOT

PAIRS = [
    ("The steel bucket holds ten litres of water.", "A steel bucket that holds ten litres of water and sand."),
    ("Neon pink tutu, three layers.", "High quality ballet tutu in three layers, neon pink."),
    ("", "An empty answer has no words in common with this."),
    ("Wörter mit Umlauten\nund Zeilen", "Wörter mit Umlauten\nund zwei Zeilen"),
    ("word " * 200, "word"),
]
NOTHING = np.zeros(0, np.uint64)


def rows(pairs: Sequence[tuple[str, str]], title: str = "t") -> list[Prediction]:
    return [Prediction(title, "q", reference, written, bool(written), 7, 12.5, 5) for written, reference in pairs]


def score(pairs: Sequence[tuple[str, str]], title: str = "t", library: metric.Hashes = NOTHING) -> dict[str, float]:
    return scores.rounded(measure.measure(rows(pairs, title), library)[0].sum(0))


def libraries(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """The overlap scores by the libraries' own functions."""
    written, references = [one for one, _ in pairs], [one for _, one in pairs]
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    each = [scorer.score(reference, one) for one, reference in pairs]
    return {
        "bleu": BLEU().corpus_score(written, [references]).score,
        "chrf": CHRF().corpus_score(written, [references]).score,
        **{
            kind: 100 * sum(pair[kind].fmeasure for pair in each) / len(each) for kind in ("rouge1", "rouge2", "rougeL")
        },
    }


def test_scores_equal_the_libraries_called_directly() -> None:
    found = score(PAIRS)
    assert {name: found[name] for name in scores.OVERLAP} == {
        name: round(value, 4) for name, value in libraries(PAIRS).items()
    }
    assert found["stopped"] == 0.8


WORDS = st.lists(st.sampled_from(["red", "steel", "Bucket", "buckets", "holds,", "10", "litres.", "&", "-", "\n"]))
TEXTS = st.lists(st.tuples(WORDS.map(" ".join), WORDS.map(" ".join)), min_size=1, max_size=6)


@settings(max_examples=80, deadline=None)
@given(TEXTS)
def test_sums_of_any_rows_give_the_libraries_scores(pairs: list[tuple[str, str]]) -> None:
    table, _ = measure.measure(rows(pairs), NOTHING)
    for some in (slice(None), slice(0, None, 2)):
        found = scores.of(table[some].sum(0))
        for name, value in libraries(pairs[some]).items():
            assert float(found[name]) == pytest.approx(value, abs=1e-6), name


@settings(max_examples=200)
@given(st.lists(st.sampled_from("abc"), max_size=70), st.lists(st.sampled_from("abcd"), max_size=70))
def test_the_common_subsequence_is_that_of_rouge_score(left: list[str], right: list[str]) -> None:
    assert rouge.common_subsequence(left, right) == rouge_scorer._lcs_table(left, right)[-1][-1]


# Examples that the metrics' own papers and documents work through.
PUBLISHED = [
    # Papineni et al. 2002, section 2.1: unigram precision 2/7 of "the the ...", of which nothing longer matches.
    ("bleu_match_1", "the the the the the the the", "the cat is on the mat", 2),
    ("bleu_runs_1", "the the the the the the the", "the cat is on the mat", 7),
    # Lin 2004, section 3: S1 "police killed the gunman"; S2 "police kill the gunman" has ROUGE-L 3/4 without a stemmer,
    # S3 "the gunman kill police" 2/4. With it "killed" is "kill", so that they have 4/4 and 2/4.
    ("rougeL", "police kill the gunman", "police killed the gunman", 10**9),
    ("rougeL", "the gunman kill police", "police killed the gunman", 5 * 10**8),
    # The README of rouge-score: recall 1 and precision 5/8 for ROUGE-1, 4/8 and 4/5 for ROUGE-L.
    (
        "rouge1",
        "The quick brown dog jumps on the log.",
        "The quick brown fox jumps over the lazy dog",
        round(10**9 * 2 * (6 / 8) * (6 / 9) / (6 / 8 + 6 / 9)),
    ),
    (
        "rougeL",
        "The quick brown dog jumps on the log.",
        "The quick brown fox jumps over the lazy dog",
        round(10**9 * 2 * (5 / 8) * (5 / 9) / (5 / 8 + 5 / 9)),
    ),
]


@pytest.mark.parametrize(("column", "written", "reference", "expected"), PUBLISHED)
def test_published_examples_of_counts(column: str, written: str, reference: str, expected: int) -> None:
    table, _ = measure.measure(rows([(written, reference)]), NOTHING)
    assert table[0, row_statistics.COLUMNS.index(column)] == expected


def test_chrf_of_an_example_that_sacrebleu_publishes() -> None:
    # One of the cases in its repository, which are given for beta = 3.
    written = " Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. "
    reference = "Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich."
    table, _ = measure.measure(rows([(written, reference)]), NOTHING)
    at = {name: table[:, column].astype(float) for column, name in enumerate(row_statistics.COLUMNS)}
    assert float(chrf.combine(at, beta=3)["chrf"][0]) == pytest.approx(64.1302698, abs=1e-6)


def test_nll_is_a_mean_over_tokens_and_perplexity_its_exponential() -> None:
    some = [Prediction("t", "q", "r", "w", True, 3, nats, tokens) for nats, tokens in ((10.0, 4), (2.0, 2))]
    found = scores.rounded(measure.measure(some, NOTHING)[0].sum(0))
    assert found["nll"] == 2.0
    assert found["perplexity"] == round(math.exp(2), 4)
    assert found["tokens"] == 3.0


def test_bits_per_byte_ignore_tokenizer_and_truncated_references() -> None:
    def bits(*of: tuple[str, float, int]) -> float:
        some = [Prediction("t", "q", reference, "w", True, 3, nats, tokens) for reference, nats, tokens in of]
        return scores.rounded(measure.measure(some, NOTHING, longest_response=8)[0].sum(0))["bits_per_byte"]

    nats = 24 * math.log(2)
    assert bits(("näht", nats, 4)) == bits(("näht", nats, 2)) == round(24 / len("näht".encode()), 4)
    # The second reference has as many tokens as training keeps: more of it may have been cut off.
    assert bits(("näht", nats, 4), ("a much longer text", 99.0, 8)) == bits(("näht", nats, 4))


def test_the_baseline_has_no_scores_of_a_model() -> None:
    found = scores.rounded(measure.measure([Prediction("t", "", "a b", "a b")], NOTHING)[0].sum(0))
    assert not {"nll", "perplexity", "bits_per_byte", "stopped", "tokens"} & set(found)
    assert found["rouge1"] == 100


DEFINED = {
    "perfect": (
        [("a b c d e", "a b c d e")] * 3,
        {"bleu": 100.0, "rougeL": 100.0, "chrf": 100.0, "length_ratio": 1.0, "repeated_4grams": 0.0, "distinct_2": 1.0},
    ),
    "writes nothing": (
        [("", "some words here"), ("", "more words")],
        {"bleu": 0.0, "rouge1": 0.0, "chrf": 0.0, "length_ratio": 0.0, "repeated_4grams": 0.0, "distinct_2": 0.0},
    ),
    "only spaces": (
        [("  ", "some words"), ("\n\t ", "more words")],
        {
            "bleu": 0.0,
            "rougeL": 0.0,
            "chrf": 0.0,
            "length_ratio": 0.0,
            "memorised_8grams": 0.0,
            "ungrounded_per_100_words": 0.0,
        },
    ),
    "only spaces in the reference": ([("a b c d", "  ")], {"bleu": 0.0, "rouge1": 0.0, "chrf": 0.0}),
    "lines in the reference": ([("one two\nthree four", "one two three\nfour")], {"bleu": 100.0, "rougeL": 100.0}),
    "a loop": ([("a b c d a b c d a b c d", "a b c d")], {"repeated_4grams": 0.5556, "length_ratio": 3.0}),
    "marks alone": ([("!!! ...", "some words")], {"rouge1": 0.0, "distinct_2": 0.0}),
}


@pytest.mark.parametrize("name", DEFINED)
def test_every_text_has_defined_scores(name: str) -> None:
    pairs, expected = DEFINED[name]
    found = score(pairs)
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-4)
    assert all(math.isfinite(value) for value in found.values())


def test_an_empty_test_set_is_refused() -> None:
    with pytest.raises(UserError, match="test set is empty"):
        measure.measure([], NOTHING)


def test_ngrams_of_training_texts_and_title_are_counted() -> None:
    library = ngrams.index(["One two three four five six seven eight nine, and so on.", "ten"], memorisation.WORDS)
    written = "Well: one two three four five six seven eight ten"  # of its three runs of eight words one is known
    found = score([(written, "r")], "two three", library)
    assert found["memorised_8grams"] == 0.3333
    assert found["copied_from_title"] == round(1 / 9, 4)


def test_ngrams_do_not_span_two_texts() -> None:
    hashes, of = ngrams.hashed(["a b c", "", "d", "e f g h"], 3)
    assert of.tolist() == [0, 3, 3]
    assert len(set(hashes.tolist())) == 3
    assert not len(ngrams.hashed([], 8)[0])
    library = ngrams.index(["a b", "c d e f g h i j k"], 8)
    assert ngrams.verbatim(["b c d e f g h i", "c d e f g h i j"], library, 8)[0].tolist() == [0, 1]


@pytest.mark.parametrize("processes", [1, 2])
def test_neither_parts_nor_processes_change_a_bit(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    some = rows(PAIRS + PAIRS[:2], "steel bucket")
    learned = [written for written, _ in PAIRS]
    whole, signatures = measure.measure(some, ngrams.index(learned, memorisation.WORDS), processes=1)
    monkeypatch.setattr(measure, "ROWS", 3)
    monkeypatch.setattr(ngrams, "_TEXTS_AT_ONCE", 2)
    found, again = measure.measure(some, ngrams.index(learned, memorisation.WORDS), processes=processes)
    assert (found == whole).all()
    assert again == signatures
    assert whole[:, row_statistics.COLUMNS.index("verbatim_match")].any()


@pytest.mark.parametrize(("rows", "expected"), [(measure.ROWS, False), (measure.ROWS + 1, True)])
def test_scoring_processes_preload_their_imports(rows: int, expected: bool) -> None:
    code = (
        "from copywriter import parallel\n"
        "from copywriter.evaluation import measure\n"
        "measure._processors = lambda: 2\n"
        f"measure.preload({rows})\n"
        "print(*parallel.in_order(eval, [\"'evaluate' in __import__('sys').modules\"] * 2, 2))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == [str(expected)] * 2, done.stderr


def test_statistics_come_back_as_they_went_in(tmp_path: Path) -> None:
    table, _ = measure.measure(rows(PAIRS), NOTHING)
    row_statistics.write(tmp_path / "a.parquet", table)
    row_statistics.write(tmp_path / "b.parquet", row_statistics.read(tmp_path / "a.parquet"))
    assert (row_statistics.read(tmp_path / "b.parquet") == table).all()
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_predictions_come_back_one_a_line(tmp_path: Path) -> None:
    one = Prediction("Tutu", "What is it?", "Pink.\nSoft.", 'A "tutu" 👜\u2028', True, 5, 3.25, 4)
    file = tmp_path / "predictions.jsonl"
    assert predictions.write(file, [one, one]) == 2
    assert predictions.read(file) == [one, one]
    assert len(file.read_bytes().split(b"\n")) == 3
    assert json.loads(file.read_bytes().split(b"\n")[0])["tokens"] == 5
    with pytest.raises(UserError, match="is missing"):
        predictions.read(tmp_path / "other.jsonl")


@pytest.mark.parametrize(
    "change", [lambda r: r[::-1], lambda r: r[1:], lambda r: [Prediction("x", "", "y", "z"), *r[1:]]]
)
def test_sides_of_different_titles_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: object) -> None:
    monkeypatch.chdir(tmp_path)
    some = [Prediction(f"Title {n}", "", f"Text {n}", "x") for n in range(4)]
    predictions.write(paths.predictions("base"), some)
    predictions.write(paths.predictions("tuned"), change(some))  # type: ignore[operator]
    with pytest.raises(UserError, match="not for the same titles in the same order; run 'dvc repro evaluate baseline'"):
        predictions.read_sides(("base", "tuned"))
