"""The benchmarks of quality: the plain recipe learns our rows, and both sides are scored as evaluate scores."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmarks import precision, quality, recipe
from benchmarks.quality import Judge
from copywriter import paths, records
from copywriter.errors import UserError
from copywriter.evaluation import row_statistics
from copywriter.modeling import loading
from copywriter.modeling.loss import IGNORED
from copywriter.prompt import Prompter, load_tokenizer
from stages import evaluate, train_qlora
from tests.conftest import ROOT
from tests.generation.test_generate import prepare

CPU = torch.device("cpu")
ROWS = [records.Product(f"Bucket {n}", f"It holds {n} litres" + " of rain" * (n % 5) + ".") for n in range(12)]


def ready(room: Path, **changes: Any) -> Any:
    p = prepare(room, **{"max_length": 128, "batch_size": 2, "micro_batch_size": 2, **changes})
    records.write_products(paths.TRAIN, ROWS)
    return p


def test_the_plain_recipe_learns_the_tokens_that_ours_learns(room: Path) -> None:
    p = ready(room)
    packed = recipe.trainer(ROWS, p, 1, None, room / "plain").train_dataset
    found = []
    for sequence in packed:
        start = 0
        for length in sequence["seq_lengths"]:
            part = slice(start, start + length)
            found.append((sequence["input_ids"][part], sequence["labels"][part]))
            start += length
    examples = Prompter(load_tokenizer(paths.BASE), p).examples(
        [row.title for row in ROWS], [row.description for row in ROWS]
    )
    ours = [(one.input_ids, [IGNORED] * one.prompt_length + one.input_ids[one.prompt_length :]) for one in examples]
    assert sorted(found) == sorted(ours)


def test_a_paused_training_ends_like_an_uninterrupted_one(room: Path) -> None:
    p = ready(room)
    for name, minutes in (("whole", 60.0), ("paused", 0.0)):
        ended = recipe.train(ROWS, p, 2, None, minutes, room / name)
        assert ended == (name == "whole") == (recipe.finished(room / name) is not None)
    assert recipe.train(ROWS, p, 2, None, 60, room / "paused")
    whole, paused = (recipe.finished(room / name) or {} for name in ("whole", "paused"))
    assert whole["steps"] == paused["steps"] > 2
    assert whole["tokens"] == paused["tokens"] > 0
    weights = [load_file(room / name / loading.WEIGHTS) for name in ("whole", "paused")]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=2e-3, rtol=0)
    assert any(value.any() for name, value in weights[0].items() if "lora_B" in name)


def test_an_adapter_of_other_rows_is_refused(room: Path) -> None:
    p = ready(room)
    recipe.train(ROWS, p, 1, 1, 60, room / "plain")
    records.write_products(paths.TRAIN, ROWS[1:])
    with pytest.raises(UserError, match=r"other rows than data/train\.parquet holds; delete it"):
        recipe.finished(room / "plain")


def test_texts_of_the_plain_adapter_are_those_of_generate(room: Path) -> None:
    p = ready(room)
    recipe.train(ROWS, p, 2, None, 60, room / "plain")
    judge = Judge(ROWS, p)
    dense = loading.load_dense(room / "plain", "4bit", torch.float32, CPU)
    ours = judge.ask(dense, {"": quality.plain(p.decoding)})[""]
    theirs = judge.side(recipe.texts(room / "plain", judge.prompts[:7], p), {})
    assert theirs.texts == ours.texts[:7]
    columns = [n for n, name in enumerate(row_statistics.COLUMNS) if not name.startswith("nll")]
    assert (theirs.statistics[:, columns] == ours.statistics[:7, columns]).all()


def test_a_judge_gives_the_scores_of_evaluate(room: Path) -> None:
    p = ready(room, epochs=1, learning_rate=0.01)
    train_qlora.run(p)
    evaluate.run("tuned", p)
    dense = loading.load_dense(paths.ADAPTER, p.quantization, torch.float32, CPU)
    found = Judge(records.read_products(paths.TEST), p).ask(dense, {"": p.decoding})[""].scores
    told = json.loads(paths.scores("tuned").read_text())
    assert found == {name: told[name] for name in found}
    assert found.keys() >= set(quality.SHOWN)


def test_unquantised_weights_are_compared_with_the_trained_values(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_qlora.run(ready(room, epochs=1, learning_rate=0.01))
    monkeypatch.setattr(sys, "argv", ["precision", "--rows", "test", "--count", "5", "--out", str(room / "out")])
    precision.main()
    told = json.loads((room / "out" / "test.json").read_text())
    assert told["rows"] == 5
    assert set(told["sides"]) == {"base", "tuned"}
    for sides in told["sides"].values():
        assert set(sides) == {"4bit, as evaluate", "unquantised"}  # and no float32: it is what evaluate takes here
        assert sides["unquantised"]["nll"] != sides["4bit, as evaluate"]["nll"]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [line.split("|")[3].strip() for line in lines[2::2]] == ["100.0%", "100.0%"]


def test_without_a_difference_there_is_nothing_to_measure(room: Path) -> None:
    with pytest.raises(UserError, match="nothing to hold against it"):
        precision.variants(ready(room, quantization="none"))


def test_the_whole_benchmark_on_a_toy(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.plain", "--tiny", "--epochs", "1", "2", "--out", str(tmp_path)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "validation.json").read_text())
    assert set(told["sides"]) == {"base", "plain, 1 epochs", "plain, 2 epochs", "ours"}
    assert told["sides"]["ours"] == told["sides"]["base"]  # the toy's adapter is untrained
    nll = [told["sides"][name]["greedy"]["nll"] for name in ("base", "plain, 1 epochs", "plain, 2 epochs")]
    assert nll == sorted(nll, reverse=True)
    assert told["trainings"]["plain, 2 epochs"]["tokens"] == 2 * told["trainings"]["plain, 1 epochs"]["tokens"]
    assert "100.0% of the first 10 texts are equal" in done.stdout
