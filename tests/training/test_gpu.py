"""What only a CUDA device can show; run there with `COPYWRITER_TEST_GPU=1 pytest -m gpu`."""

import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from copywriter.errors import UserError
from copywriter.generation import generate
from copywriter.modeling import attention, device, loading, lora
from copywriter.modeling.loss import nll
from copywriter.prompt import load_tokenizer
from copywriter.training import experiment, packing, row_validation, run_plan, trainer
from tests.conftest import changed
from tests.support.rows_attention import attended
from tests.support.shapes import figures
from tests.support.training import SMALL, examples

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not os.environ.get("COPYWRITER_TEST_GPU"), reason="needs a CUDA device"),
]


def trained(folder: Path, room: Path, **changes: Any) -> tuple[list[float], torch.Tensor, bool]:
    """Losses and adapter of a short training run on the GPU, and whether its step was captured."""
    training = built(folder, room, **changes)
    training.train()
    losses = [entry["loss"] for entry in training.state.log_history if "loss" in entry]
    weights = [one.detach().flatten() for name, one in training.adapter.named_parameters() if "lora_" in name]
    return losses, torch.cat(weights).cpu(), training.step._training is not None


def built(folder: Path, room: Path, **changes: Any) -> trainer.QloraTrainer:
    """A trainer of a short run on the GPU, in bf16 if nothing else is asked for."""
    p = changed(**{**SMALL, "lora__dropout": 0.0, "precision": "bf16", **changes})
    cuda = device.choose()
    rows = examples(folder, p, 48)
    groups = packing.pack([len(row.input_ids) for row in rows], p.max_length)
    data = packing.Sequences([[rows[n] for n in group] for group in groups])
    plan = run_plan.as_asked(p, cuda, len(data))
    base = loading.load_base(folder, p.quantization, plan.dtype, cuda)
    if plan.dequantize:
        base = loading.dequantized(base)
    peft_model = lora.with_adapter(base, p)
    return trainer.QloraTrainer(peft_model, load_tokenizer(folder), p, plan, data, data, room / "state")


@pytest.mark.parametrize("quantization", ["4bit", "8bit", "none"])
@pytest.mark.parametrize("dequantize", [True, False])
@pytest.mark.parametrize("micro_batch_size", [8, 2])
@pytest.mark.parametrize("compiled", [True, False])
def test_a_captured_step_trains_as_an_eager_one(
    room: Path, quantization: str, dequantize: bool, micro_batch_size: int, compiled: bool
) -> None:
    given = {"quantization": quantization, "micro_batch_size": micro_batch_size, "advanced__dequantize": dequantize}
    base = room / "models/base"
    losses, weights, captured = trained(base, room, advanced__cuda_graph=True, advanced__compile=compiled, **given)
    expected, expected_weights, eager = trained(
        base, room, advanced__cuda_graph=False, advanced__compile=False, **given
    )
    assert captured
    assert not eager
    assert losses == pytest.approx(expected, rel=2e-3)
    assert torch.cosine_similarity(weights, expected_weights, dim=0) > 0.999


@pytest.mark.parametrize("dequantize", [True, False])
def test_checkpointed_activations_train_compiled_as_eager_ones_do(room: Path, dequantize: bool) -> None:
    base = room / "models/base"
    given = {"advanced__dequantize": dequantize, "advanced__gradient_checkpointing": True}
    losses, weights, captured = trained(base, room, advanced__compile=True, **given)
    expected, expected_weights, _ = trained(base, room, advanced__cuda_graph=False, advanced__compile=False, **given)
    assert captured
    assert losses == pytest.approx(expected, rel=2e-3)
    assert torch.cosine_similarity(weights, expected_weights, dim=0) > 0.999
    kept, kept_weights, _ = trained(base, room, advanced__compile=True, advanced__dequantize=dequantize)
    assert losses == pytest.approx(kept, rel=1e-3)
    assert torch.cosine_similarity(weights, kept_weights, dim=0) > 0.999


@pytest.mark.parametrize("width", [32, 64, 128, 256])
@pytest.mark.parametrize("window", [None, 70])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_compiled_attention_is_that_of_each_row_by_itself(width: int, window: int | None, dtype: torch.dtype) -> None:
    torch.compiler.reset()
    attention._accept_small_blocks()
    compiled = torch.compile(attention.within_rows, dynamic=False, fullgraph=True)
    size = 64 if attention._fits_small(width, dtype) else 128
    attended(compiled, width, window, size, dtype, "cuda", atol=1e-2 if dtype == torch.float32 else 0.04)


@pytest.mark.parametrize("quantization", ["4bit", "8bit", "none"])
@pytest.mark.parametrize("dequantize", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
def test_fp16_trains_as_fp32_does(room: Path, quantization: str, dequantize: bool, compiled: bool) -> None:
    given = {"quantization": quantization, "advanced__dequantize": dequantize}
    base = room / "models/base"
    losses, weights, captured = trained(base, room, precision="fp16", advanced__compile=compiled, **given)
    expected, expected_weights, _ = trained(
        base, room, precision="fp32", advanced__cuda_graph=False, advanced__compile=False, **given
    )
    assert not captured  # the scale of the loss is looked at in every step
    assert losses == pytest.approx(expected, rel=1e-2)
    assert torch.cosine_similarity(weights, expected_weights, dim=0) > 0.99


def test_fp16_leaves_out_steps_that_overflow_and_goes_on(room: Path) -> None:
    training = built(room / "models/base", room, precision="fp16")
    training.accelerator.scaler._init_scale = 2.0**40
    before = training.step.weights.detach().clone()
    training.replay(None, 1)
    assert torch.equal(training.step.weights.detach(), before)
    assert training.accelerator.scaler.get_scale() == 2.0**39
    losses, weights, _ = trained(room / "models/base", room, precision="fp16")
    assert losses[-1] < 0.9 * losses[0]
    assert torch.isfinite(weights).all()


@pytest.mark.parametrize("window", [16, 512])
def test_a_model_with_sliding_windows_trains_compiled_as_eager(room: Path, window: int) -> None:
    gemma = sliding(room, window)
    given = {"learning_rate": 0.001}  # at ten times that this model's loss jumps, and roundings part
    losses, weights, captured = trained(gemma, room, advanced__compile=True, **given)
    expected, expected_weights, _ = trained(gemma, room, advanced__cuda_graph=False, advanced__compile=False, **given)
    assert captured
    assert losses == pytest.approx(expected, rel=5e-3)
    assert torch.cosine_similarity(weights, expected_weights, dim=0) > 0.99


def sliding(room: Path, window: int) -> Path:
    """A small Gemma of random weights, with the tokenizer of the tiny base."""
    folder = room / "gemma"
    shutil.copytree(room / "models/base", folder)
    size = len(load_tokenizer(folder))
    figures_ = figures("gemma-3-1b", tiny=True) | {"vocab_size": size, "sliding_window": window, "num_hidden_layers": 6}
    torch.manual_seed(0)
    gemma = AutoModelForCausalLM.from_config(AutoConfig.for_model(**figures_))  # type: ignore[no-untyped-call]
    gemma.save_pretrained(folder)
    return folder


def written(loaded: Any, prompts: list[list[int]], **settings: Any) -> list[list[int]]:
    """What is written on the GPU, in the order of the prompts."""
    given = {"max_new_tokens": 200, "batch_size": 16, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
    compiled = settings.pop("compiled", True)
    decoding = changed().decoding.model_copy(update=given | settings)
    rows = dict(generate.decode(loaded, prompts, 0, decoding, width=32, compiled=compiled))
    return [rows[row] for row in range(len(prompts))]


PROMPTS = [[1, *range(20 + row, 24 + 2 * row)] for row in range(10)] * 5 + [[1, 9, 99], [2]]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("settings", [{}, {"no_repeat_ngram_size": 3, "repetition_penalty": 1.1}])
def test_a_text_is_the_same_to_the_bit_whatever_is_written_beside_it(
    room: Path, compiled: bool, settings: dict[str, Any]
) -> None:
    dense = loading.load_dense(room / "models/base", "4bit", torch.bfloat16, device.choose())
    together = written(dense, PROMPTS, compiled=compiled, **settings)
    assert together[:10] == together[10:20] == together[40:50]
    for row in (3, 51):
        assert written(dense, [PROMPTS[row]], compiled=compiled, **settings) == [together[row]]
    assert len({tuple(ids) for ids in together}) == 12


@pytest.mark.parametrize("shape", ["tiny", "sliding"])
def test_texts_are_those_of_transformers_in_float32(room: Path, shape: str) -> None:
    folder = sliding(room, 24) if shape == "sliding" else room / "models/base"
    dense = loading.load_dense(folder, "none", torch.float32, device.choose())
    prompts = PROMPTS[:12]
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device=dense.device)
        out = dense.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=60, do_sample=False)  # type: ignore[operator]
        expected.append(out[0, len(prompt) :].tolist())
    assert written(dense, prompts, max_new_tokens=60, compiled=False) == expected
    compiled = written(dense, prompts, max_new_tokens=60)
    assert sum(one == other for one, other in zip(compiled, expected, strict=True)) >= 10  # its products are TF32's


def test_dropout_draws_anew_in_every_replay_and_equally_in_every_run(room: Path) -> None:
    one, other = (trained(room / "models/base", room, lora__dropout=0.5, learning_rate=1e-9) for _ in range(2))
    assert one[0] == other[0]
    assert torch.equal(one[1], other[1])


def test_loss_equals_the_plain_one_on_the_gpu() -> None:
    generator = torch.Generator("cuda").manual_seed(0)
    hidden = torch.randn(3000, 64, device="cuda", generator=generator, requires_grad=True)
    weight = torch.randn(500, 64, device="cuda", generator=generator)
    labels = torch.randint(-1, 500, (3000,), device="cuda", generator=generator)
    labels[labels == -1] = -100
    loss = nll(hidden, weight, labels)
    (gradient,) = torch.autograd.grad(3 * loss, hidden)
    plain = torch.nn.functional.cross_entropy(hidden @ weight.T, labels, reduction="sum")
    (expected,) = torch.autograd.grad(3 * plain, hidden)
    torch.testing.assert_close(loss, plain, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(gradient, expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("leaking", [False, True])
def test_the_probe_looks_at_the_compiled_attention(room: Path, monkeypatch: pytest.MonkeyPatch, leaking: bool) -> None:
    if leaking:
        monkeypatch.setattr(attention, "_sees", lambda row, window: lambda batch, head, query, key: query >= key)
    p = changed(**SMALL, precision="bf16", advanced__compile=True)
    cuda = device.choose()
    adapted = lora.with_adapter(loading.load_base(room / "models/base", p.quantization, torch.bfloat16, cuda), p)
    rows = examples(room / "models/base", p, 48)
    data = experiment.sequences(rows, p)
    tokenizer = load_tokenizer(room / "models/base")
    plan = run_plan.as_asked(p, cuda, len(data))
    training = trainer.QloraTrainer(adapted, tokenizer, p, plan, data, data, room / "state")
    with pytest.raises(UserError, match="see each other") if leaking else nullcontext():
        row_validation.check_batches(training, rows, data)
