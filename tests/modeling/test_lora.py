"""LoRA options in use: trained with PEFT's gradients, merged as PEFT computes, recorded in the receipt."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from copywriter import files, params, paths, verify
from copywriter.checkpoints import checkpoint_files
from copywriter.errors import UserError
from copywriter.export import merged
from copywriter.generation import inference
from copywriter.modeling import loading, lora, lora_merge
from copywriter.training import experiment, memory, packing, run_plan
from copywriter.training.step import Step
from stages import train_qlora
from tests.conftest import ROOT, changed
from tests.support.lora_options import OPTIONS, TOGETHER, base, options
from tests.support.training import CPU, SMALL, adapted, examples, gradients, outcome, prepare, reference

IDS = torch.arange(1, 40)[None]


@pytest.mark.parametrize(
    ("name", "quantization"),
    [*((name, "none") for name in OPTIONS), ("grouped", "4bit"), ("grouped", "8bit"), ("all", "4bit")],
)
def test_an_option_has_the_gradient_of_pefts_forward(room: Path, name: str, quantization: str) -> None:
    p = changed(**SMALL, quantization=quantization, lora__dropout=0.0, **options(name))
    rows = examples(room / "models/base", p, 8)
    loss, gradient = gradients(room, p, [[row] for row in rows])
    expected, expected_gradient = reference(room, p, rows)
    assert loss == pytest.approx(expected, rel=1e-5 if quantization != "8bit" else 1e-3)
    assert torch.cosine_similarity(gradient, expected_gradient, dim=0) > 0.9999 - 0.001 * (quantization == "8bit")
    assert gradient.abs().sum() > 0


def test_dora_computed_anew_in_the_backward_pass_is_the_same(room: Path) -> None:
    given = {**SMALL, "quantization": "none", "lora__dropout": 0.0, **options("all")}
    rows = [[row] for row in examples(room / "models/base", changed(**given), 8)]
    loss, gradient = gradients(room, changed(**given), rows)
    other_loss, other = gradients(room, changed(**given, advanced__gradient_checkpointing=True), rows)
    assert loss == other_loss
    torch.testing.assert_close(gradient, other, rtol=1e-5, atol=1e-8)


def test_dora_on_8_bit_weights_names_the_cure(room: Path) -> None:
    p = changed(quantization="8bit", **options("dora"))
    with pytest.raises(UserError, match=r"use_dora does not work with 8-bit weights; set advanced\.dequantize: true"):
        lora.with_adapter(base(room, "8bit"), p)
    found = lora.with_adapter(loading.dequantized(base(room, "8bit")), p)
    with torch.no_grad():
        assert torch.equal(found(input_ids=IDS).logits, found(input_ids=IDS).logits)


@pytest.mark.parametrize(
    ("name", "quantization"), [*((name, "none") for name in OPTIONS), *((name, "4bit") for name in TOGETHER)]
)
def test_a_merged_option_computes_what_peft_computes(room: Path, name: str, quantization: str) -> None:
    model = adapted(room / "models/base", changed(quantization=quantization, **options(name))).eval()
    for key, value in model.named_parameters():
        if "magnitude" in key:
            value.data *= torch.linspace(0.8, 1.3, len(value))
    with torch.inference_mode():
        expected = model(input_ids=IDS).logits
    model.save_pretrained(str(room / "saved"))
    config = json.loads((room / "saved/adapter_config.json").read_text())
    dense = loading.load_dense(room / "models/base", quantization, torch.float32, CPU)
    with torch.inference_mode():
        without = dense(input_ids=IDS).logits
    lora_merge.add(dense, config, load_file(room / "saved" / loading.WEIGHTS), "saved")
    with torch.inference_mode():
        merged = dense(input_ids=IDS).logits
    torch.testing.assert_close(merged, expected, atol=1e-4, rtol=1e-4)
    assert (merged - without).abs().max() > 100 * (merged - expected).abs().max()


@pytest.mark.parametrize("name", TOGETHER)
def test_a_run_with_options_resumes_merges_and_exports(room: Path, name: str) -> None:
    (room / "sources.yaml").write_bytes((ROOT / "sources.yaml").read_bytes())
    p = prepare(room, lora__dropout=0.1, **options(name))
    train_qlora.run(p)
    expected = outcome()
    receipt = json.loads((paths.ADAPTER / loading.RECEIPT).read_text())
    losses = list(receipt["losses"].values())
    assert losses[-1] < 0.9 * losses[0]
    assert [one.verdict for one in verify.findings(paths.ADAPTER, 2)] == ["equal"] * 5

    scored = loading.load_dense(paths.ADAPTER, "4bit", torch.float32, CPU)
    unmerged = PeftModel.from_pretrained(base(room, "4bit"), str(paths.ADAPTER)).eval()
    with torch.inference_mode():
        torch.testing.assert_close(scored(IDS).logits, unmerged(IDS).logits, atol=1e-4, rtol=1e-4)
    (written,) = inference.InferenceModel(paths.ADAPTER, p).texts([inference.request("Bucket 3")])
    assert written.tokens > 0
    merged.write(paths.ADAPTER, Path("out"), p)
    plain = AutoModelForCausalLM.from_pretrained("out", dtype=torch.float32, local_files_only=True)
    for key, value in plain.state_dict().items():
        assert torch.equal(value, scored.state_dict()[key].bfloat16().float()), key

    (folder,) = (room / "runs/train").iterdir()
    for one in checkpoint_files.checkpoints(folder):
        if one.step > 4:
            shutil.rmtree(one.path)
    shutil.rmtree(paths.ADAPTER)
    assert [one.step for one in checkpoint_files.checkpoints(folder)][-1:] == [4]
    train_qlora.run(p)
    assert outcome() == expected


def test_the_adapters_config_lists_names_in_order(room: Path) -> None:
    train_qlora.run(prepare(room, epochs=0, **options("excluded")))
    config = json.loads((paths.ADAPTER / "adapter_config.json").read_text())
    assert config["exclude_modules"] == ["down_proj", "k_proj"]
    train_qlora.run(prepare(room, epochs=0, **options("targets by pattern")))
    config = json.loads((paths.ADAPTER / "adapter_config.json").read_text())
    assert config["target_modules"] == OPTIONS["targets by pattern"]["target_modules"]


def test_a_random_initialization_depends_on_the_seed_alone(room: Path) -> None:
    def start(seed: int) -> torch.Tensor:
        torch.manual_seed(seed + 99)
        found = lora.with_adapter(base(room), changed(seed=seed, **options("gaussian")))
        return torch.cat([one.detach().flatten() for name, one in found.named_parameters() if "lora_A" in name])

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))
    assert float(start(1).std()) == pytest.approx(1 / 16, rel=0.05)


@pytest.mark.parametrize("name", ["rslora", "grouped", "dora"])
def test_an_untrained_adapter_is_the_base(room: Path, name: str) -> None:
    p = prepare(room, epochs=0, **options(name))
    train_qlora.run(p)
    tuned, plain = (
        loading.load_dense(one, p.quantization, torch.float32, CPU).state_dict() for one in (paths.ADAPTER, paths.BASE)
    )
    for key, value in plain.items():
        # DoRA's magnitudes are saved in bf16.
        torch.testing.assert_close(tuned[key], value, rtol=2**-8 if name == "dora" else 0, atol=0)


def test_the_plan_says_that_dora_is_computed_by_peft(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_qlora.run(prepare(room, epochs=1, lora__use_dora=True))
    assert "lora.use_dora is computed by PEFT's own forward pass, which is slower" in capsys.readouterr().err
    plan = run_plan.as_asked(changed(lora__use_rslora=True), CPU, 10)
    assert plan.lora_forward == "grouped"
    assert "PEFT" not in " ".join(plan.describe())


@pytest.mark.parametrize("name", ["dora", "alphas"])
def test_options_train_in_16_bits(room: Path, name: str) -> None:
    p = changed(**SMALL, quantization="none", **options(name))
    model = lora.with_adapter(loading.load_base(room / "models/base", "none", torch.bfloat16, CPU), p)
    step = Step(model, replace(run_plan.as_asked(p, CPU, 10), precision="bf16"), Accelerator(cpu=True), CPU)
    batch = packing.Collator(0)(list(packing.Sequences([[row] for row in examples(room / "models/base", p, 4)])))
    loss = step.gradients(batch, 100)
    gradient = step.weights.grad
    assert gradient is not None
    assert torch.isfinite(loss)
    assert step.weights.dtype == gradient.dtype == torch.float32
    assert gradient.abs().sum() > 0


def test_memory_counts_ranks_and_pefts_forward(room: Path) -> None:
    (config, plain), (_, ranks), (_, dora) = (
        (experiment.config(), changed(**SMALL, **given)) for given in ({}, options("grouped"), options("dora"))
    )

    def trained(p: params.Params) -> int:
        model = lora.with_adapter(base(room), p)
        return sum(one.numel() for name, one in model.named_parameters() if "lora_A" in name or "lora_B" in name)

    for p in (plain, ranks, dora):
        assert memory.sizes(config, p).adapter == trained(p)
    settings = run_plan.as_asked(plain, CPU, 10).memory
    activations = [
        memory.expected(memory.sizes(config, p), p, settings, torch.bfloat16, may_compile=False)["activations"]
        for p in (plain, dora)
    ]
    assert activations[1] > activations[0]


def test_an_adapter_with_other_options_is_not_merged(room: Path) -> None:
    model = base(room)
    with pytest.raises(UserError, match=r"saved has options that cannot be merged into the base \(bias, lora_bias\)"):
        lora_merge.add(model, {"peft_type": "LORA", "bias": "all", "lora_bias": True}, {}, "saved")
    with pytest.raises(UserError, match=r"cannot be merged into the base \(IA3\)"):
        lora_merge.add(model, {"peft_type": "IA3"}, {}, "saved")
    with pytest.raises(UserError, match=r"saved holds base_model\.model\.lm_head\.weight, which is not"):
        lora_merge.add(model, {"peft_type": "LORA"}, {"base_model.model.lm_head.weight": torch.zeros(1)}, "saved")


def test_an_option_is_another_fingerprint_and_survives_the_receipt(room: Path) -> None:
    p = prepare(room, epochs=0, **options("all"))
    train_qlora.run(p)
    receipt = json.loads((paths.ADAPTER / loading.RECEIPT).read_text())
    assert params.check(params.Lora, receipt["params"]["lora"], "receipt").options == p.lora.options
    train_qlora.run(prepare(room, epochs=0))
    other = json.loads((paths.ADAPTER / loading.RECEIPT).read_text())
    assert other["fingerprint"] != receipt["fingerprint"]
    assert files.digest(other["params"]["lora"]) != files.digest(receipt["params"]["lora"])
