"""The run plan: decided once from what was asked for, the processor and its memory, and the same in equal runs."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from copywriter import paths
from copywriter.checkpoints import fingerprint
from copywriter.errors import UserError
from copywriter.modeling import compilation, device, loading
from copywriter.training import memory, run_plan
from stages import train_qlora
from tests.conftest import changed
from tests.support.shapes import SHAPES
from tests.support.training import CPU, mark_of, prepare

CUDA = torch.device("cuda", 0)
LLAMA_1B = AutoConfig.for_model(**SHAPES["llama-3.2-1b"])


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card of 9.5 GiB that computes in bf16 and can compile."""
    monkeypatch.setattr(run_plan, "least_free", lambda _: int(9.5 * memory.GIB))
    monkeypatch.setattr(device, "dtype", lambda precision, _: device.DTYPES.get(precision, torch.bfloat16))
    monkeypatch.setattr(compilation, "obstacle", lambda _: None)


def test_a_cpu_gets_what_was_asked_for_and_computes_eagerly() -> None:
    p = changed()
    plan = run_plan.decide(p, LLAMA_1B, CPU, 1, 10_000)
    assert (plan.processor, plan.precision, plan.dtype) == ("cpu", "fp32", torch.float32)
    assert (plan.micro_batch_size, plan.accumulation_steps) == (p.micro_batch_size, 1)
    assert not (plan.dequantize or plan.compiled or plan.cuda_graph or plan.gradient_checkpointing)
    assert plan.reasons == ("not on CUDA",)


def test_auto_dequantizes_on_cuda_alone() -> None:
    for asked, on_cuda, on_cpu in (("auto", True, False), (True, True, True), (False, False, False)):
        p = changed(advanced__dequantize=asked)
        assert run_plan.memory_settings(p, CUDA, 1)[0].dequantize is on_cuda
        assert run_plan.memory_settings(p, CPU, 1)[0].dequantize is on_cpu


def test_processes_share_the_micro_batch_and_the_plan_says_why() -> None:
    plan = run_plan.as_asked(changed(micro_batch_size=8), CPU, 100, processes=4)
    assert (plan.micro_batch_size, plan.accumulation_steps) == (2, 1)
    assert plan.reasons[0] == "micro_batch_size is 2 instead of 8: 4 processes share batch_size 8"
    with pytest.raises(UserError, match="cannot be shared equally by 3 processes"):
        run_plan.refuse_impossible(changed(), LLAMA_1B, CPU, 3)


@pytest.mark.usefixtures("card")
def test_a_card_that_is_too_small_changes_the_plan_not_the_params() -> None:
    p = changed(advanced__dequantize=True, lora__dropout=0.05)
    plan = run_plan.decide(p, LLAMA_1B, CUDA, 1, 10_000)
    assert (p.micro_batch_size, plan.micro_batch_size, plan.accumulation_steps) == (8, 4, 2)
    assert (plan.precision, plan.compiled, plan.cuda_graph, plan.dequantize) == ("bf16", True, True, True)
    assert any("GiB are free: micro_batch_size: 4" in reason for reason in plan.reasons)
    smaller = changed(advanced__dequantize=True, lora__dropout=0.05, micro_batch_size=4)
    assert fingerprint.as_planned(p.model_dump(), plan.content()) == smaller.model_dump()


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(
    ("changes", "compiled", "graph"),
    [
        ({}, True, True),
        ({"advanced__compile": False}, False, True),
        ({"advanced__cuda_graph": False}, True, False),
        ({"packing": False}, False, False),
        ({"advanced__gradient_checkpointing": True}, True, True),
        ({"advanced__gradient_checkpointing": True, "lora__dropout": 0.1}, True, False),
        ({"precision": "fp16"}, True, False),
    ],
)
def test_a_step_is_compiled_and_captured_where_both_can_be(
    changes: dict[str, object], compiled: bool, graph: bool
) -> None:
    plan = run_plan.as_asked(changed(**changes), CUDA, 10_000)
    assert (plan.compiled, plan.cuda_graph) == (compiled, graph)
    assert bool(plan.reasons) is not compiled


@pytest.mark.usefixtures("card")
def test_auto_compiles_where_an_epoch_has_steps_enough() -> None:
    p = changed(advanced__compile="auto")
    assert not run_plan.as_asked(p, CUDA, 199 * p.batch_size).compiled
    assert run_plan.as_asked(p, CUDA, 200 * p.batch_size).compiled


def test_the_plan_is_printed_and_in_the_receipt(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p = prepare(room, micro_batch_size=4)
    train_qlora.run(p)
    said = capsys.readouterr().err
    receipt = json.loads((paths.ADAPTER / loading.RECEIPT).read_text())
    plan = run_plan.as_asked(p, CPU, 1)
    assert receipt["plan"] == plan.content()
    assert "train_qlora: run plan: processor cpu, processes 1, precision fp32, quantization 4bit, " in said
    assert "micro_batch_size 4, accumulation_steps 2, " in said
    assert "train_qlora: because not on CUDA" in said
    assert receipt["fingerprint"] == mark_of(p, receipt["base"])


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        run_plan.as_asked(changed(), CPU, 1).micro_batch_size = 1  # type: ignore[misc]
