"""Loss scaling, by which fp16 trains on cards without bf16: what it scales, what it leaves out, what it gives up on.

The scaler works on any number format: here on float32, where a power of two changes no bit, so that a CPU will do.
Gradients overflow where fp16's would.
"""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from copywriter import paths
from copywriter.checkpoints import checkpoint_files, contents
from copywriter.errors import UserError
from copywriter.prompt import load_tokenizer
from copywriter.report import results
from copywriter.training import experiment, run_plan, tracking
from copywriter.training.trainer import QloraTrainer
from tests.conftest import changed
from tests.support.training import CPU, SMALL, adapted, examples

LARGEST = torch.finfo(torch.float16).max
MUCH = 20  # a power of two by which some gradients of the first steps overflow


@pytest.fixture
def scaled(room: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a trainer whose loss is scaled, at first by 2 to the given power; None: not at all."""

    def make(power: int | None, folder: str = "state", **changes: Any) -> QloraTrainer:
        AcceleratorState._reset_state()
        p = changed(**{**SMALL, "epochs": 1, "save_steps": 1, "lora__dropout": 0.1, **changes})
        data = experiment.sequences(examples(paths.BASE, p, 60), p)
        tokenizer = load_tokenizer(paths.BASE)
        plan = run_plan.as_asked(p, CPU, len(data))
        training = QloraTrainer(adapted(paths.BASE, p), tokenizer, p, plan, data, data, room / folder)
        if power is not None:
            scaler = torch.amp.GradScaler("cpu", init_scale=2.0**power)
            training.accelerator.scaler = training.step._scaler = scaler
            training.accelerator.native_amp = True
            monkeypatch.setitem(AcceleratorState._shared_state, "_mixed_precision", "fp16")
            collect = training.step._adapter.collect

            def overflowing() -> None:
                collect()
                gradient = training.step.weights.grad
                assert gradient is not None
                gradient[gradient.abs() > LARGEST] = math.inf

            monkeypatch.setattr(training.step._adapter, "collect", overflowing)
        return training

    return make


def trained(training: QloraTrainer) -> torch.Tensor:
    training.fit()
    return training.step.weights.detach().clone()


@pytest.mark.parametrize("micro_batch_size", [8, 2])
def test_a_scaled_loss_trains_the_bits_of_an_unscaled_one(scaled: Any, micro_batch_size: int) -> None:
    plain = scaled(None, "plain", micro_batch_size=micro_batch_size)
    expected = trained(plain)
    other = scaled(8, "scaled", micro_batch_size=micro_batch_size)
    assert torch.equal(trained(other), expected)
    assert [one for one in plain.state.log_history if "loss" in one] == [
        one for one in other.state.log_history if "loss" in one
    ]


def test_a_step_whose_gradients_overflow_is_skipped_at_half_the_scale(scaled: Any) -> None:
    training = scaled(MUCH)
    before = training.step.weights.detach().clone()
    training.replay(None, 1)
    assert torch.equal(training.step.weights.detach(), before)
    assert training.accelerator.scaler.get_scale() == 2.0 ** (MUCH - 1)
    assert not any(training.optimizer.state[training.step.weights][name].any() for name in ("step", "exp_avg"))


def test_a_run_with_overflows_resumes_to_the_same_bits_and_histories(scaled: Any, room: Path) -> None:
    whole = scaled(MUCH, "whole", epochs=2)
    expected = trained(whole)
    assert torch.isfinite(expected).all()
    norms = [one["grad_norm"] for one in whole.state.log_history if "grad_norm" in one]
    assert norms[0] is None
    assert math.isfinite(norms[-1])
    middle = next(one.path for one in checkpoint_files.checkpoints(room / "whole") if one.step == 3)
    assert json.loads((middle / contents._PROGRESS).read_text())["scaler"]["scale"] < 2.0**MUCH
    resumed = scaled(MUCH, "whole", epochs=2)
    for one in checkpoint_files.checkpoints(room / "whole"):
        if one.step > 3:
            for file in one.path.iterdir():
                file.unlink()  # a torn one
    assert torch.equal(trained(resumed), expected)
    assert resumed.checkpoint is not None
    assert resumed.state.log_history[:-1] == whole.state.log_history[:-1]  # the last line is of the wall clock
    tracking.write_history(paths.TRAIN_HISTORY, whole.state.log_history, tracking.TRAIN_COLUMNS)
    assert next(csv.DictReader(paths.TRAIN_HISTORY.open()))["grad_norm"] == ""
    read = results.read_history(paths.TRAIN_HISTORY)
    assert len(read) == whole.state.global_step
    assert "grad_norm" not in read[0]
    assert "loss" in read[0]


def test_gradients_that_overflow_at_any_scale_stop_the_run(scaled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    training = scaled(1, advanced__log_steps=2)
    monkeypatch.setattr("tests.training.test_fp16.LARGEST", 0.0)
    with pytest.raises(UserError, match=r"overflow in fp16 at every loss scale.*precision: fp32"):
        training.fit()
    assert training.state.global_step == 2
