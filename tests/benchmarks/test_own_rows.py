"""The training benchmark on a project's own rows: every side trains the prompts of params.yaml, neighbours included."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import own_rows, train
from benchmarks.sides import Job
from copywriter import params, paths, records
from copywriter.errors import UserError
from copywriter.prompt import Example, Prompter, load_tokenizer
from copywriter.retrieval import neighbours
from copywriter.retrieval.neighbours import Neighbours
from tests.support import tiny

TRIED = ["notebook", "trl-packing-4bit", "ours-dense"]
CHANGES = {
    "max_length": 160,
    "max_prompt_length": 64,
    "retrieval.neighbours": 1,
    "retrieval.max_length": 48,
    "retrieval.dropout": 0.3,
}
ROWS = 14


@pytest.fixture
def shop(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose training rows each have a neighbour, the row before."""
    folder = tiny.room(tmp_path / "shop", tiny_base, CHANGES, ROWS)
    monkeypatch.chdir(folder)
    before = (np.arange(ROWS)[:, None] - 1) % ROWS
    neighbours.write(neighbours.file(paths.TRAIN), Neighbours(before, np.full((ROWS, 1), 0.5)))
    return folder


def expected() -> list[Example]:
    p = params.load()
    rows = records.read_products(paths.TRAIN)
    titles = [row.title for row in rows]
    shown = neighbours.of_file(paths.TRAIN, titles, p, p.retrieval.dropout)
    return Prompter(load_tokenizer(paths.BASE), p).examples(titles, [row.description for row in rows], shown)


def measure(monkeypatch: pytest.MonkeyPatch, out: Path, *given: str) -> Any:
    def in_this_process(module: str, given: Job, log: Path, limit: float, *more: Any) -> dict[str, Any]:
        importlib.import_module(module).run(given)
        return dict(json.loads(given.result.read_text()))

    monkeypatch.setattr(train, "run_job", in_this_process)
    train.main(["--tiny", "--base", "models/base", "--steps", "3", "--warmup", "1", "--out", str(out), *given])
    return json.loads((out / "results.json").read_text())


def test_all_sides_train_the_rows_of_the_working_folder(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = measure(monkeypatch, shop / "out", "--sides", *TRIED)
    facts = run["shapes"]["tiny"]  # the name in pin.json
    wanted = expected()
    assert facts["tokens"] == sum(len(one.input_ids) for one in wanted)
    assert {one.prompt_length > 64 for one in wanted} == {True, False}  # rows with a neighbour, and without
    assert (facts["rows"], facts["length"]) == (ROWS, 160 + 48)
    assert [result["side"] for result in run["results"]] == TRIED
    for result in run["results"]:
        assert result["epoch_tokens"] == facts["tokens"], result
    printed = capsys.readouterr().out
    assert f"Weights of tiny; the first {ROWS} rows of data/train.parquet" in printed
    assert "cut at 112 + 96, the same for every side" in printed
    assert "batch 8 x 208" in printed


def test_fewer_rows_are_the_first_of_the_file(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = measure(monkeypatch, shop / "out", "--rows", "5", "--sides", "trl-packing-4bit")["shapes"]["tiny"]
    assert facts["tokens"] == sum(len(one.input_ids) for one in expected()[:5])


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [Example([5, 6, 7, 0], 2, False), Example([8, 0], 1, False)]
    own_rows.write(rows, tmp_path / "rows.npz")
    assert own_rows.read(tmp_path / "rows.npz") == rows


def test_rows_whose_tokens_cannot_be_told_from_padding_are_refused(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_rows, "special", lambda weights: (0, expected()[0].input_ids[0]))
    with pytest.raises(UserError, match="end or padding tokens"):
        measure(monkeypatch, shop / "out", "--sides", "trl-packing-4bit")


def test_a_folder_without_weights_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["--base", str(tmp_path)])
    assert "holds no config.json; run 'dvc repro fetch_model'" in capsys.readouterr().err
