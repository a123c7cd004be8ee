"""The benchmark of claims: variants of params.yaml, trained and scored by the stages on validation rows."""

import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import claims
from copywriter import params, paths, records
from copywriter.retrieval import neighbours
from tests.conftest import ROOT
from tests.support import tiny

SMALL = {
    "max_length": 160,
    "max_prompt_length": 64,
    "batch_size": 4,
    "micro_batch_size": 4,
    "epochs": 1,
    "tracking": [],
    "decoding.max_new_tokens": 8,
    "decoding.batch_size": 8,
}


@pytest.fixture
def room(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, warm_folder: Path) -> Path:
    folder = tiny.room(tmp_path / "room", tiny_base, SMALL, 24, 6)
    (folder / paths.SOURCES).write_bytes((ROOT / paths.SOURCES).read_bytes())
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "executable", str(warm_folder / "python"))
    return folder


def test_a_variant_is_trained_scored_and_not_run_twice(
    room: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    claims.main(["--only", "rank-4"])
    first = capsys.readouterr().out
    lines = first.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| unchanged", "| rank-4"]
    assert "dvc exp run -S 'lora.r=4' -S 'lora.alpha=8'" in first
    assert "NLL of the reference" in lines[0]
    unchanged, smaller = (line.split(" | ") for line in lines[2:4])
    assert float(smaller[-1].rstrip(" |")) < float(unchanged[-1].rstrip(" |"))  # MB of the adapter
    made = room / paths.RUNS / "benchmarks/claims/rank-4"
    assert len((made / paths.predictions("tuned")).read_text().splitlines()) == 6
    titles = [row.title for row in records.read_products(paths.VALIDATION)]
    assert [row.title for row in records.read_products(made / paths.TEST)] == titles
    monkeypatch.setattr(sys, "executable", "/nowhere")  # nothing is run again
    claims.main(["--only", "rank-4"])
    assert capsys.readouterr().out == first
    content = (room / paths.PARAMS).read_text()
    (room / paths.PARAMS).write_text(content.replace("seed: 42", "seed: 43"))
    with pytest.raises(OSError, match="/nowhere"):  # but it is where params.yaml changed
        claims.main(["--only", "rank-4"])


def test_every_variant_is_one_that_params_take(room: Path) -> None:
    content = (room / paths.PARAMS).read_text()
    (room / paths.PARAMS).write_text(
        content.replace("epochs: 1", "epochs: 3")
        .replace("neighbours: 0", "neighbours: 1")
        .replace("train_on_unsupported: true", "train_on_unsupported: false")
    )
    unchanged = params.load()
    for name, one in claims.variants(unchanged).items():
        claims.prepare(room / name, one.changes)
        given = params.read(params.Params, room / name / paths.PARAMS)
        assert given.decoding.candidates == 1
        assert (given.model_dump(exclude={"decoding"}) != unchanged.model_dump(exclude={"decoding"})) == bool(
            one.changes
        )
        near = room / name / neighbours.file(paths.TEST)
        assert near.resolve() == neighbours.file(paths.VALIDATION).resolve()
        for part in one.command.split("-S ")[1:]:  # what a user types gives the same value
            key, _, value = part.strip().strip("'").partition("=")
            assert yaml.safe_load(value) == one.changes[key]


def test_a_variant_that_fails_is_named_with_its_message(room: Path) -> None:
    (room / paths.BASE / "config.json").unlink()
    with pytest.raises(SystemExit, match=r"claims: train_qlora of unchanged failed: train_qlora: .*models/base"):
        claims.main(["--only", "rank-4"])
    (room / paths.TRAIN).unlink()
    with pytest.raises(
        SystemExit, match=r"claims: data/train\.parquet is missing; run 'dvc repro retrieve fetch_model'"
    ):
        claims.main(["--only", "rank-4"])
