"""Token-length statistics agree with training: rows, tokens, steps, padding; and the plot shows the limits."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import vl_convert
from dvc_render.vega import VegaRenderer  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from copywriter import paths, records, throughput
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Product
from copywriter.training import packing
from stages import analyze_lengths
from tests.conftest import ROOT, TEXTS, changed

ROWS = [Product(text.split(".")[0][: 10 + at], " ".join(TEXTS[: 1 + at % 5])) for at, text in enumerate(TEXTS * 6)]
lengths = st.lists(st.integers(1, 2_000), min_size=1, max_size=200).map(np.array)


@pytest.fixture
def short(room: Path) -> None:
    """In the working folder, a training set of short rows."""
    records.write_products(paths.TRAIN, ROWS)


def test_what_lies_over_a_limit_is_counted_in_rows_and_tokens() -> None:
    one = analyze_lengths.measure(np.array([10, 20, 30, 40]), 25)
    assert (one["rows_over_limit"], one["over_limit"]) == (2, 0.5)
    assert (one["tokens_over_limit"], one["tokens_over_limit_share"]) == (20, 0.2)
    assert (one["mean"], one["p50"], one["max"]) == (25.0, 20, 40)


@given(lengths)
def test_the_limits_offered_keep_their_share_and_are_the_smallest(
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> None:
    for name, share in (("95%", 0.95), ("99%", 0.99)):
        limit = analyze_lengths.measure(lengths, 100)["smallest_limit"][name]
        assert (lengths <= limit).sum() >= math.floor(share * len(lengths))
        assert (lengths <= limit - 1).mean() < share


@given(lengths, st.integers(1, 60))
def test_a_histogram_holds_every_row_and_shows_what_is_cut(
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]], fifteenth: int
) -> None:
    limit = 15 * fifteenth
    bins = analyze_lengths.histogram("response", lengths, limit)
    assert sum(int(one["rows"]) for one in bins) == len(lengths)
    assert sum(int(one["rows"]) for one in bins if int(one["over"]) >= limit) == (lengths > limit).sum()
    assert [one["over"] for one in bins[1:]] == [one["tokens"] for one in bins[:-1]]


def test_padding_and_packing_of_rows_that_can_be_reckoned_by_hand() -> None:
    p = changed(max_length=100, max_prompt_length=40, batch_size=2, micro_batch_size=2)
    prompt, response = np.array([10, 10, 10, 10, 10]), np.array([40, 90, 40, 20, 10])  # rows of 50, 100, 50, 30, 20
    work = analyze_lengths.epoch(prompt, response, p)
    assert (work["tokens"], work["response_tokens"]) == (250, 200)
    assert (work["sequences"], work["optimizer_steps"]) == (3, 2)  # 100; 50 + 50; 30 + 20
    assert work["padding"] == {"max_length": 0.5, "longest": round(1 - 250 / 320, 5), "packed": round(1 - 250 / 300, 5)}
    assert work["packing_gain"] == {"max_length": round(500 / 300, 3), "longest": round(320 / 300, 3)}


def test_without_packing_each_row_is_a_sequence() -> None:
    p = changed(max_length=100, max_prompt_length=40, batch_size=4, micro_batch_size=2, packing=False)
    work = analyze_lengths.epoch(np.full(9, 10), np.full(9, 15), p)
    assert (work["sequences"], work["optimizer_steps"]) == (9, 3)
    assert work["padding"]["packed"] == 0.25  # given all the same: 9 rows of 25 tokens in 3 sequences


def test_an_epoch_is_the_one_that_training_meets(short: None) -> None:
    p = changed(max_length=140, max_prompt_length=65, batch_size=2, micro_batch_size=2)
    analyze_lengths.run(p)
    written = json.loads(paths.LENGTHS.read_text())
    examples = Prompter(load_tokenizer(paths.BASE), p).examples([r.title for r in ROWS], [r.description for r in ROWS])
    sizes = [len(one.input_ids) for one in examples]
    cut = sum(one.cut for one in examples)
    assert 0 < cut < len(ROWS) / 2
    assert written["rows"] == len(ROWS)
    assert written["response"]["rows_over_limit"] == cut
    assert sum(sizes) <= written["epoch"]["tokens"] <= sum(sizes) + 10 * cut  # a cut ends at a word
    assert written["epoch"]["optimizer_steps"] == math.ceil(len(packing.pack(sizes, 140)) / 2)


def test_the_time_estimate_is_printed_and_never_written(
    short: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("copywriter.paths.SPEED", tmp_path / "speed.json")
    p, written = changed(), []
    for per_second, expected in ((None, "the time is known after the first training here"), (100.0, "at 100 tokens/s")):
        assert expected in analyze_lengths.run(p, per_second)
        written.append((paths.LENGTHS.read_bytes(), paths.LENGTH_HISTOGRAM.read_bytes()))
    (tmp_path / "speed.json").write_text(json.dumps({"model": "tiny", "device": "a", "tokens_per_second": 50.0}))
    assert "at 50 tokens/s" in analyze_lengths.run(p)
    assert "prompt limit 75: truncates" in capsys.readouterr().err
    assert written[0] == written[1] == (paths.LENGTHS.read_bytes(), paths.LENGTH_HISTOGRAM.read_bytes())


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"model": "a", "device": "cpu", "tokens_per_second": 60}', 60.0),
        ('{"model": "b", "device": "cpu", "tokens_per_second": 60}', None),
        ('{"model": "a"}', None),
        ("half a fi", None),
        (None, None),
    ],
)
def test_a_speed_counts_for_its_own_model(
    content: str | None, found: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("copywriter.paths.SPEED", tmp_path / "speed.json")
    if content is not None:
        (tmp_path / "speed.json").write_text(content)
    assert throughput.measured("a") == found


@pytest.mark.parametrize(
    ("tokens", "time"), [(180_000, "3.0 minutes"), (5_400_000, "90.0 minutes"), (10_800_000, "3.0 hours")]
)
def test_a_time_estimate_has_the_fitting_unit(tokens: int, time: str) -> None:
    assert throughput.expected(tokens, 1_000.0) == f"{tokens:,} tokens take about {time} at 1,000 tokens/s"


def test_the_picture_shows_three_histograms_with_their_limits(short: None) -> None:
    analyze_lengths.run(changed())
    with paths.LENGTH_HISTOGRAM.open(newline="") as stream:
        data = [{**line, "rev": "workspace"} for line in csv.DictReader(stream)]  # texts, as DVC hands them on
    settings = {"template": "lengths", "template_dir": str(ROOT / ".dvc" / "plots"), "x": "tokens", "y": "rows"}
    svg = vl_convert.vegalite_to_svg(VegaRenderer(data, "Lengths", **settings).get_filled_template(), "5.21")
    for seen in ("prompt", "response", "total", "limit 75", "limit 450", "limit 525"):
        assert f">{seen}<" in svg
    assert svg.count('aria-roledescription="bar"') == len(data)
