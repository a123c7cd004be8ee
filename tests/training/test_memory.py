"""The expected memory against measured peaks, and the memory fit of a run that would not fit."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, PreTrainedConfig

from copywriter import params
from copywriter.errors import UserError
from copywriter.modeling import device, loading
from copywriter.prompt import load_tokenizer
from copywriter.training import memory, memory_fit, run_plan
from tests.conftest import changed
from tests.support.shapes import SHAPES
from tests.support.training import CPU, SMALL, examples, gradients

SMOLLM2, LLAMA_1B = SHAPES["smollm2-135m"], SHAPES["llama-3.2-1b"]
PLAIN: dict[str, Any] = {"lora__dropout": 0.0, "advanced__dequantize": True}


def config(shape: dict[str, Any]) -> PreTrainedConfig:
    found: PreTrainedConfig = AutoConfig.for_model(**shape)
    return found


def asked(p: params.Params) -> memory.MemorySettings:
    """What p asks for on a GPU."""
    return run_plan.memory_settings(p, torch.device("cuda"), 1)[0]


def expected(shape: dict[str, Any], p: params.Params, dtype: torch.dtype) -> dict[str, int]:
    return memory.expected(memory.sizes(config(shape), p), p, asked(p), dtype)


def allocated(shape: dict[str, Any], **changes: Any) -> float:
    """GiB that torch is expected to allocate at the peak, in bf16."""
    p = changed(**{**PLAIN, **changes})
    parts = expected(shape, p, torch.bfloat16)
    return (sum(parts.values()) - parts[memory.OUTSIDE]) / memory.GIB


@pytest.mark.parametrize(
    ("shape", "changes", "measured"),  # GiB, torch.cuda.max_memory_allocated on one H200, 8 x 528 tokens
    [
        (SMOLLM2, {}, 2.9),
        (SMOLLM2, {"lora__dropout": 0.05}, 3.5),
        (SMOLLM2, {"lora__dropout": 0.05, "advanced__compile": False}, 4.9),
        (LLAMA_1B, {}, 8.5),
        (LLAMA_1B, {"advanced__dequantize": False}, 6.8),
        (LLAMA_1B, {"batch_size": 32, "micro_batch_size": 32}, 24.2),
    ],
)
def test_measured_peaks_are_expected(shape: dict[str, Any], changes: dict[str, Any], measured: float) -> None:
    assert 0.95 * measured < allocated(shape, **changes) < 1.25 * measured


@pytest.mark.parametrize(
    ("shape", "quantization", "dequantize", "checkpointing", "compiled", "measured"),
    [  # GiB of the card in all, each in a process of its own (benchmarks/memory.py), one H200, 8 x 528 tokens
        (LLAMA_1B, "4bit", True, False, True, 10.63),
        (LLAMA_1B, "4bit", False, False, True, 8.51),
        (LLAMA_1B, "8bit", True, False, True, 11.10),
        (LLAMA_1B, "8bit", False, False, True, 8.86),
        (LLAMA_1B, "4bit", True, False, False, 13.95),
        (LLAMA_1B, "4bit", False, False, False, 12.33),
        (LLAMA_1B, "4bit", True, True, False, 7.59),
        (LLAMA_1B, "4bit", False, True, False, 5.93),
        (LLAMA_1B, "8bit", True, False, False, 14.55),
        (LLAMA_1B, "8bit", True, True, False, 8.18),
        (LLAMA_1B, "none", True, True, False, 9.00),
        (SMOLLM2, "4bit", True, False, False, 5.62),
        (SMOLLM2, "4bit", False, False, False, 5.35),
        (SMOLLM2, "4bit", True, True, False, 2.55),
        (SMOLLM2, "4bit", False, True, False, 2.28),
        (SMOLLM2, "8bit", True, True, False, 2.55),
    ],
)
def test_no_measured_run_took_more_than_is_expected(
    shape: dict[str, Any], quantization: str, dequantize: bool, checkpointing: bool, compiled: bool, measured: float
) -> None:
    given = {
        "quantization": quantization,
        "advanced__dequantize": dequantize,
        "advanced__gradient_checkpointing": checkpointing,
    }
    p = changed(**{**PLAIN, **given, "advanced__compile": compiled})
    in_all = sum(expected(shape, p, torch.bfloat16).values()) / memory.GIB
    assert measured < in_all < 1.13 * measured


def test_what_takes_more_is_expected_to() -> None:
    base = allocated(LLAMA_1B)
    assert allocated(LLAMA_1B, micro_batch_size=1) < allocated(LLAMA_1B, micro_batch_size=4) < base
    assert allocated(LLAMA_1B, max_length=1024) > base
    assert allocated(LLAMA_1B, lora__r=64) > base
    assert allocated(LLAMA_1B, lora__target_modules=["q_proj", "v_proj"]) < base
    assert allocated(LLAMA_1B, advanced__compile=False) > base
    assert allocated(LLAMA_1B, advanced__gradient_checkpointing=True) < base
    kept = {
        bits: allocated(LLAMA_1B, quantization=bits, advanced__dequantize=False) for bits in ("4bit", "8bit", "none")
    }
    assert kept["4bit"] < kept["8bit"] < kept["none"] == base
    four = changed(quantization="4bit", advanced__dequantize=False, advanced__gradient_checkpointing=True)
    assert sum(expected(LLAMA_1B, four, torch.float32).values()) > base


def test_weights_of_the_tiny_model_are_counted_to_the_byte(room: Path) -> None:
    base = loading.load_base(room / "models/base", "4bit", torch.float32, CPU)
    p = changed(advanced__dequantize=False)
    tiny = AutoConfig.from_pretrained(room / "models/base")
    held = sum(one.numel() * one.element_size() for one in base.parameters())
    scales = sum(
        state.absmax.numel() + 4 * state.state2.absmax.numel()
        for state in (getattr(one, "quant_state", None) for one in base.parameters())
        if state is not None
    )
    parts = memory.expected(memory.sizes(tiny, p), p, asked(p), torch.float32)
    assert parts["weights"] == pytest.approx(held + scales, rel=0.005)


def fitted(gib: float, **changes: Any) -> tuple[dict[str, Any], list[str]]:
    """What is changed for a 1B model in `gib` GiB, and what is said."""
    p = changed(lora__dropout=0.05, **changes)
    chosen, said = memory_fit.fit(p, asked(p), config(LLAMA_1B), torch.bfloat16, int(gib * memory.GIB))
    before = asdict(asked(p))
    return {key: value for key, value in asdict(chosen).items() if before[key] != value}, said


def test_the_smallest_change_that_fits_is_made() -> None:
    need = expected(LLAMA_1B, changed(lora__dropout=0.05), torch.bfloat16)
    whole = sum(need.values()) / memory.GIB
    assert fitted(whole + 0.1, advanced__dequantize=True) == ({}, [])
    assert fitted(whole + 0.1) == ({}, [])
    changes, (said,) = fitted(whole - 0.1, advanced__dequantize=True)
    assert changes == {"micro_batch_size": 4}
    assert said.startswith(f"training needs about {whole:.1f} GiB of GPU memory and {whole - 0.1:.1f} GiB are free: ")
    assert "micro_batch_size: 4" in said
    assert fitted(whole - 0.1)[0] == {"dequantize": False}  # auto: the micro-batch stays
    assert fitted(3.5, advanced__dequantize=True)[0] == {"dequantize": False, "micro_batch_size": 1}
    assert fitted(100.0, advanced__dequantize=True, batch_size=32, micro_batch_size=32)[0] == {}


@pytest.mark.parametrize("quantization", ["4bit", "8bit", "none"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_choice_fits_keeps_the_batch_and_grows_with_the_card(
    monkeypatch: pytest.MonkeyPatch, quantization: str, dtype: torch.dtype
) -> None:
    p = changed(quantization=quantization, batch_size=32, micro_batch_size=32)
    of = memory.sizes(config(LLAMA_1B), p)
    monkeypatch.setattr(memory, "sizes", lambda *_: of)
    taken = [0]
    for free in range(memory.GIB, 40 * memory.GIB, memory.GIB // 4):
        try:
            chosen, _ = memory_fit.fit(p, asked(p), config(LLAMA_1B), dtype, free)
        except UserError:
            assert taken == [0]  # once a card is large enough every larger one is
            continue
        taken.append(sum(memory.expected(of, p, chosen, dtype).values()))
        assert taken[-2] <= taken[-1] <= free
        assert chosen.quantization == p.quantization
        assert p.batch_size % chosen.micro_batch_size == 0
    assert len(taken) > 80


@pytest.mark.parametrize(("dtype", "gib"), [(torch.bfloat16, 6.2), (torch.float16, 3.6)])  # bf16: 5.93 were measured
def test_a_1b_model_in_4_bits_is_expected_on_a_free_card(dtype: torch.dtype, gib: float) -> None:
    p = changed(quantization="4bit", advanced__dequantize=False, advanced__gradient_checkpointing=True)
    assert (p.micro_batch_size, p.max_length) == (8, 525)
    assert sum(expected(LLAMA_1B, p, dtype).values()) < gib * memory.GIB


def test_what_would_change_the_result_is_never_made_but_named() -> None:
    with pytest.raises(UserError, match=r"set .*quantization: 4bit.* \(then about [^,]*$"):
        fitted(3.2, quantization="none")
    with pytest.raises(UserError, match=r"at least about .* choose a smaller model or max_length"):
        fitted(0.5)


def test_stop_names_the_change_in_one_sentence() -> None:
    with pytest.raises(
        UserError, match=r"needs about 1\d\.\d GiB .* 9\.5 GiB are free; set micro_batch_size: 4"
    ) as said:
        fitted(9.5, advanced__dequantize=True, advanced__memory_fit="stop")
    assert "or advanced.memory_fit: auto" in str(said.value)
    assert "\n" not in str(said.value)
    assert fitted(11.0, advanced__memory_fit="stop")[0] == {"dequantize": False}  # auto allows it: no change


def test_what_the_memory_fit_may_change_gives_the_same_step(room: Path) -> None:
    given: dict[str, Any] = {**SMALL, "lora__dropout": 0.0, "advanced__dequantize": True}
    p = changed(**given)
    rows = [[row] for row in examples(room / "models/base", p, 8)]
    loss, gradient = gradients(room, p, rows)
    for change in (
        {"micro_batch_size": 2},
        {"advanced__gradient_checkpointing": True},
        {"micro_batch_size": 1, "advanced__dequantize": False, "advanced__gradient_checkpointing": True},
    ):
        other_loss, other = gradients(room, changed(**{**given, **change}), rows)
        assert loss == pytest.approx(other_loss, rel=1e-5)
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-6)


def test_a_gpu_that_runs_out_is_one_sentence_with_the_next_change() -> None:
    whole = changed(lora__dropout=0.05, advanced__dequantize=True)
    with (
        pytest.raises(UserError, match=r"memory ran out.*set micro_batch_size: 4$"),
        memory_fit.exhausted(asked(whole)),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    last = changed(
        lora__dropout=0.05, micro_batch_size=1, advanced__dequantize=False, advanced__gradient_checkpointing=True
    )
    with pytest.raises(UserError, match=r"choose a smaller model or max_length$"), memory_fit.exhausted(asked(last)):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
    with pytest.raises(RuntimeError, match="something else"), memory_fit.exhausted(asked(last)):
        raise RuntimeError("something else")


def test_the_forecast_needs_no_gpu() -> None:
    said = memory_fit.forecast(changed(lora__dropout=0.05), config(LLAMA_1B))
    assert [line.split("GiB  ")[1] for line in said.splitlines()][-1] == "total"
    assert "fits: 80.0 GiB are free" in memory_fit.forecast(changed(lora__dropout=0.05), config(LLAMA_1B), 80)
    assert "micro_batch_size: 4 (then about" in memory_fit.forecast(changed(lora__dropout=0.05), config(LLAMA_1B), 9.5)
    assert "set micro_batch_size" in memory_fit.forecast(
        changed(advanced__memory_fit="stop", advanced__dequantize=True), config(LLAMA_1B), 9.5
    )


def test_gemma_in_fp16_is_refused_before_its_weights_are_loaded(room: Path) -> None:
    with pytest.raises(UserError, match="gemma3_text overflows in fp16; set precision: fp32"):
        device.check_format("gemma3_text", torch.float16)
    device.check_format("gemma3_text", torch.bfloat16)
    device.check_format("llama", torch.float16)
    file = room / "models/base/config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "gemma3_text"}))
    with pytest.raises(UserError, match="overflows"):
        loading.load_base(room / "models/base", "none", torch.float16, CPU)
    assert load_tokenizer(room / "models/base")
