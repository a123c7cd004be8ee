"""export: in plain transformers the merged model computes what was scored, and ask reads it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from copywriter import files, notices, paths, sources
from copywriter.errors import UserError
from copywriter.evaluation import measure, ngrams, predict, scores, significance
from copywriter.evaluation.metrics import memorisation
from copywriter.export import gguf_files, merged
from copywriter.generation import inference
from copywriter.modeling import loading
from copywriter.prompt import load_tokenizer
from copywriter.records import Product
from stages import train_qlora

CPU = torch.device("cpu")


def test_plain_transformers_computes_what_was_scored(trained: Any) -> None:
    merged.write(paths.ADAPTER, Path("out"), trained)
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
    merged.write(paths.ADAPTER, Path("out"), trained)
    found = {}
    for side, weights in (("adapter", paths.ADAPTER), ("base", paths.BASE), ("export", Path("out"))):
        monkeypatch.setattr(paths, "RUNS", Path(f"runs-{side}"))  # no side reuses cached texts of another
        written = predict.predict(weights, rows, trained)
        found[side], _ = measure.measure(written, ngrams.index([row.description for row in rows], memorisation.WORDS))
    export_scores, base_scores = (scores.rounded(found[side].sum(0)) for side in ("export", "base"))
    intervals = significance.intervals(found["adapter"], seed=0, resamples=2000)
    outside = [name for name, (low, high) in intervals.items() if not low <= export_scores[name] <= high]
    assert not outside
    low, high = intervals["nll"]
    assert not low <= base_scores["nll"] <= high  # the intervals are narrow enough to exclude the base


def test_exports_are_deterministic_and_name_their_origin(trained: Any) -> None:
    merged.write(paths.ADAPTER, Path("one"), trained)
    merged.write(paths.ADAPTER, Path("two"), trained)
    assert files.folder_hashes(Path("one")) == files.folder_hashes(Path("two"))
    assert json.loads(Path("one/copywriter.json").read_text())["base"]["model"] == "tiny"
    assert "practice-catalogue" in Path("one/NOTICE.md").read_text()
    assert "transformers_version" not in Path("one/config.json").read_text()


def test_the_bases_notices_go_with_the_adapter_and_the_exports(trained: Any) -> None:
    entries = yaml.safe_load(Path("sources.yaml").read_text())
    entries["models"]["tiny"] = entries["models"]["gemma-3-270m"]
    Path("sources.yaml").write_text(yaml.safe_dump(entries))
    gemma = sources.load().models["tiny"]
    Path("terms.md").write_text("The terms of use, word for word.\n")
    notices.write(gemma.notice, Path("terms.md"), paths.BASE)
    train_qlora.run(trained)
    merged.write(paths.ADAPTER, Path("merged"), trained)
    gguf_files.write(paths.ADAPTER, Path("gguf"), trained)
    for folder in (paths.ADAPTER, Path("merged"), Path("gguf")):
        assert (folder / "NOTICE.txt").read_text() == f"{gemma.notice}\n"
        assert (folder / "TERMS.md").read_bytes() == Path("terms.md").read_bytes()
    for file in ("merged/NOTICE.md", "gguf/NOTICE.md", "gguf/Modelfile"):
        content = Path(file).read_text()
        assert str(gemma.notice) in content
        assert f"(licence: {gemma.licence})" in content


def test_ask_reads_an_export_back_without_quantizing_it_again(trained: Any) -> None:
    merged.write(paths.ADAPTER, Path("out"), trained)
    again = loading.load_dense(Path("out"), "4bit", torch.bfloat16, CPU).state_dict()
    stored = AutoModelForCausalLM.from_pretrained("out", dtype=torch.bfloat16).state_dict()
    assert all(torch.equal(again[name], stored[name]) for name in stored)
    one = inference.InferenceModel(Path("out"), trained)
    assert next(one.texts([inference.request("Steel bucket")])).text


def test_a_used_folder_and_another_base_are_refused(trained: Any) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    with pytest.raises(UserError, match="out is not empty"):
        merged.write(paths.ADAPTER, Path("out"), trained)
    assert [file.name for file in Path("out").iterdir()] == ["mine.txt"]
    with pytest.raises(UserError, match="models/base is not an adapter"):
        merged.write(paths.BASE, Path("new"), trained)
    pin = json.loads((paths.BASE / "pin.json").read_text())
    files.write_json(paths.BASE / "pin.json", {**pin, "model": "other", "files": {"model.safetensors": "0" * 64}})
    with pytest.raises(UserError, match=r"trained on tiny, but models/base holds other.*dvc repro fetch_model"):
        merged.write(paths.ADAPTER, Path("new"), trained)
    assert not Path("new").exists()
