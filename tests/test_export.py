"""export: in plain transformers the merged model computes what was scored, and ask reads it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from copywriter import export, files, paths
from copywriter.errors import UserError
from copywriter.evaluation import measure, ngrams, predict, scores, significance
from copywriter.evaluation.metrics import memorisation
from copywriter.generation import inference
from copywriter.modeling import loading
from copywriter.prompt import load_tokenizer
from copywriter.records import Product
from stages import train_qlora
from tests.conftest import ROOT
from tests.generation.test_generate import prepare

CPU = torch.device("cpu")


@pytest.fixture
def trained(room: Path) -> Any:
    """The params of a working folder with a trained adapter."""
    (room / "sources.yaml").write_bytes((ROOT / "sources.yaml").read_bytes())
    p = prepare(room, epochs=3, learning_rate=0.02)
    train_qlora.run(p)
    return p


def test_plain_transformers_computes_what_was_scored(trained: Any) -> None:
    export.merged(paths.ADAPTER, Path("out"), trained)
    scored = loading.load_dense(paths.ADAPTER, "4bit", torch.float32, CPU)
    plain = AutoModelForCausalLM.from_pretrained("out", dtype=torch.float32, local_files_only=True)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, scored.state_dict()[name].bfloat16().float()), name
    ids = torch.tensor([[1, 50, 60, 70, 80]])
    with torch.inference_mode():
        found, expected = plain(ids).logits, scored(ids).logits
        base = loading.load_dense(paths.BASE, "4bit", torch.float32, CPU)(ids).logits
    assert (found - expected).abs().max() < 0.05 * (base - expected).abs().max()
    stored, ours = AutoTokenizer.from_pretrained("out"), load_tokenizer(paths.ADAPTER)
    assert stored("Steel bucket")["input_ids"] == ours("Steel bucket")["input_ids"]
    assert (stored.eos_token, stored.chat_template) == (ours.eos_token, ours.chat_template)
    assert {file.name for file in Path("out").iterdir() if file.suffix in (".bin", ".pt", ".pkl")} == set()


def test_an_export_scores_within_the_adapters_intervals(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Product(f"Bucket {n}", f"It holds {n} litres and weighs {n % 7} kilograms.") for n in range(60)]
    export.merged(paths.ADAPTER, Path("out"), trained)
    found = {}
    for side, weights in (("adapter", paths.ADAPTER), ("base", paths.BASE), ("export", Path("out"))):
        monkeypatch.setitem(predict.WEIGHTS, "tuned", weights)
        monkeypatch.setattr(paths, "RUNS", Path(f"runs-{side}"))  # no side reuses cached texts of another
        written = predict.predict("tuned", rows, trained)
        found[side], _ = measure.measure(written, ngrams.index([row.description for row in rows], memorisation.WORDS))
    export_scores, base_scores = (scores.rounded(found[side].sum(0)) for side in ("export", "base"))
    intervals = significance.intervals(found["adapter"], seed=0, resamples=2000)
    outside = [name for name, (low, high) in intervals.items() if not low <= export_scores[name] <= high]
    assert not outside
    low, high = intervals["nll"]
    assert not low <= base_scores["nll"] <= high  # the intervals are narrow enough to exclude the base


def test_exports_are_deterministic_and_name_their_origin(trained: Any) -> None:
    export.merged(paths.ADAPTER, Path("one"), trained)
    export.merged(paths.ADAPTER, Path("two"), trained)
    assert files.folder_hashes(Path("one")) == files.folder_hashes(Path("two"))
    assert json.loads(Path("one/copywriter.json").read_text())["base"]["model"] == "tiny"
    assert "practice-catalogue" in Path("one/NOTICE.md").read_text()
    assert "transformers_version" not in Path("one/config.json").read_text()


def test_ask_reads_an_export_back_without_quantizing_it_again(trained: Any) -> None:
    export.merged(paths.ADAPTER, Path("out"), trained)
    again = loading.load_dense(Path("out"), "4bit", torch.bfloat16, CPU).state_dict()
    stored = AutoModelForCausalLM.from_pretrained("out", dtype=torch.bfloat16).state_dict()
    assert all(torch.equal(again[name], stored[name]) for name in stored)
    one = inference.InferenceModel(Path("out"), trained)
    assert next(one.texts([inference.request("Steel bucket")])).text


def test_a_used_folder_and_another_base_are_refused(trained: Any) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    with pytest.raises(UserError, match="out is not empty"):
        export.merged(paths.ADAPTER, Path("out"), trained)
    assert [file.name for file in Path("out").iterdir()] == ["mine.txt"]
    with pytest.raises(UserError, match="models/base is not an adapter"):
        export.merged(paths.BASE, Path("new"), trained)
    pin = json.loads((paths.BASE / "pin.json").read_text())
    files.write_json(paths.BASE / "pin.json", {**pin, "model": "other", "files": {"model.safetensors": "0" * 64}})
    with pytest.raises(UserError, match=r"trained on tiny, but models/base holds other.*dvc repro fetch_model"):
        export.merged(paths.ADAPTER, Path("new"), trained)
    assert not Path("new").exists()
