"""The peers of the training benchmark: Liger's and Unsloth's sides, the latter with a stand-in for its package."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from benchmarks import peers, sides, synthetic, train, unsloth_worker, worker
from benchmarks.sides import SEED, SIDES, Job
from copywriter.modeling import device
from copywriter.prompt import Example
from tests.support import shapes
from tests.support.toy_job import toy_job

# Unsloth's two functions, computed by transformers and PEFT, its changed defaults of TRL, and what a side must keep.
STAND_IN = """
import os, sys
assert not {"trl", "peft", "transformers"} & set(sys.modules), "imported before unsloth"
assert os.environ["UNSLOTH_DISABLE_STATISTICS"] == "1" and os.environ["HF_HUB_OFFLINE"] == "1"
assert not os.path.abspath(os.environ["UNSLOTH_COMPILE_LOCATION"]).startswith(os.getcwd())
def checking(trainer):
    def checked(args, **rest):
        assert (args.optim, args.gradient_accumulation_steps) == ("adamw_torch", 1)
        return trainer(args=args, **rest)
    return checked
class FastLanguageModel:
    @staticmethod
    def from_pretrained(model_name, max_seq_length, dtype, load_in_4bit, **rest):
        from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
        config = BitsAndBytesConfig(load_in_4bit=load_in_4bit)
        base = AutoModelForCausalLM.from_pretrained(model_name, dtype=dtype, quantization_config=config)
        return base, AutoTokenizer.from_pretrained(model_name)
    @staticmethod
    def get_peft_model(model, r, lora_alpha, lora_dropout, target_modules, bias, **rest):
        import trl
        from peft import LoraConfig, get_peft_model
        config = trl.SFTConfig
        defaults = {"gradient_accumulation_steps": 2, "optim": "adamw_torch"}
        trl.SFTConfig = lambda **given: config(**defaults | given)
        trl.SFTTrainer = checking(trl.SFTTrainer)
        return get_peft_model(model, LoraConfig(r=r, lora_alpha=lora_alpha, target_modules=target_modules))
"""


def rows() -> list[Example]:
    return synthetic.draw(8, 500, SEED)


def test_unsloths_side_trains_the_same_tokens_in_a_process_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = tmp_path / "packages"
    (packages / "unsloth").mkdir(parents=True)
    (packages / "unsloth" / "__init__.py").write_text(STAND_IN)
    (packages / "unsloth" / "utils").mkdir()
    (packages / "unsloth" / "utils" / "attention_dispatch.py").write_text("HAS_XFORMERS = True\n")
    (packages / "unsloth-0.1.dist-info").mkdir()
    (packages / "unsloth-0.1.dist-info" / "METADATA").write_text("Name: unsloth\nVersion: 0.1\n")
    given = ["--tiny", "--shapes", "smollm2-135m", "--rows", "18", "--steps", "3", "--warmup", "1"]
    train.main([*given, "--sides", "unsloth-packing-4bit", "--unsloth", str(packages), "--out", str(tmp_path / "out")])
    run = json.loads((tmp_path / "out" / "results.json").read_text())
    (result,) = run["results"]
    assert "failed" not in result, result
    assert result["epoch_tokens"] == run["shapes"]["smollm2-135m"]["tokens"]
    assert result["steps"] == 3
    assert (
        "rows tokenized beforehand; NF4, double quantization (attention: xformers, unsloth 0.1)"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("name", "run", "package"),
    [
        ("trl-packing-4bit-liger", worker.run, "liger-kernel"),
        ("unsloth-packing-4bit", unsloth_worker.run, "unsloth"),
    ],
)
def test_a_side_without_its_package_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, run: Any, package: str
) -> None:
    monkeypatch.setattr(sides.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    run(toy_job(tmp_path, name))
    failed = json.loads((tmp_path / "result.json").read_text())["failed"]
    assert failed == f"{package.replace('-', '_')} is not installed; run 'pip install {package}'"


def test_a_failing_side_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"parameters": 1, "flops": 1.0, "memory_gib": None, "device": "a card", "versions": {"trl": "1"}}
    measured = {
        "rate": 1.0,
        "step_ms": 4.0,
        "padding": 0.1,
        "setup_s": 9.0,
        "allocated_gib": None,
        "reserved_gib": None,
    }
    asked = []

    def pretend(module: str, given: Job, log: Path, limit: float, packages: Path | None = None) -> dict[str, Any]:
        if not given.side:
            return facts | {"data": "Random weights", "length": 525}
        asked.append((module, given.side, packages))
        return {"failed": "unsloth is not installed"} if packages else measured | {"versions": {"trl": "1"}}

    monkeypatch.setattr(train, "run_job", pretend)
    named = ["unsloth-packing-4bit", "trl-packing-4bit-liger", "trl-packing-4bit"]
    train.main(["--sides", *named, "--unsloth", str(tmp_path), "--out", str(tmp_path)])
    assert asked == [
        ("benchmarks.unsloth_worker", named[0], tmp_path),
        *(("benchmarks.worker", name, None) for name in named[1:]),
    ]
    text = (tmp_path / "table.md").read_text()
    assert "| unsloth-packing-4bit | failed: unsloth is not installed | - |" in text
    assert "(trl 1)" not in text  # the same version as in the caption


@pytest.mark.parametrize(("name", "liger"), [("trl-packing-4bit", False), ("trl-packing-4bit-liger", True)])
def test_only_ligers_side_asks_for_its_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, liger: bool
) -> None:
    synthetic.build(tmp_path / "base", shapes.figures("smollm2-135m", True), device.choose())
    given: dict[str, Any] = {}
    monkeypatch.setattr(peers, "SFTTrainer", lambda **named: given.update(named))
    peers.trl(SIDES[name], toy_job(tmp_path, name), rows())
    assert given["args"].use_liger_kernel is liger
    assert (given["args"].packing, given["args"].max_length) == (True, sides.MAX_LENGTH)


def test_unsloth_without_4_bits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fast:
        @staticmethod
        def from_pretrained(**named: Any) -> tuple[nn.Module, None]:
            return nn.Sequential(nn.Linear(2, 2)), None

    package = type("Package", (), {"FastLanguageModel": Fast})
    monkeypatch.setattr(peers.importlib, "import_module", lambda name: package)  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="without 4 bits"):
        peers.unsloth(SIDES["unsloth-packing-4bit"], toy_job(tmp_path, "unsloth-packing-4bit"), rows())


@pytest.mark.parametrize(
    ("flags", "kernel"),
    [
        ({"HAS_FLASH_ATTENTION": True, "HAS_XFORMERS": True}, "flash-attn"),
        ({"HAS_XFORMERS": False, "_TORCH_VARLEN_ATTN": len}, "torch's varlen_attn"),
        ({"_TORCH_VARLEN_ATTN": None}, "sdpa, row by row, for want of flash-attn, xformers and torch 2.12"),
    ],
)
def test_the_kernel_of_unsloths_attention_is_named(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], kernel: str
) -> None:
    monkeypatch.setattr(peers.importlib, "import_module", lambda name: type("Dispatch", (), flags))  # type: ignore[attr-defined]
    assert peers.unsloth_attention() == kernel


def test_a_side_with_other_tokens_or_labels_is_refused() -> None:
    data = [{"input_ids": one.input_ids, "labels": peers.labels(one)} for one in rows()]
    worker.check_rows(type("Trainer", (), {"train_dataset": data}), rows())
    for changed in (data[1:], [*data[1:], data[0] | {"labels": data[0]["input_ids"]}]):
        with pytest.raises(RuntimeError, match="the side trains"):
            worker.check_rows(type("Trainer", (), {"train_dataset": changed}), rows())
