"""Training on a tiny model: the loss is the plain one, batches add up, an interrupted run equals a whole one."""

import csv
import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from copywriter import files, paths, records
from copywriter.checkpoints import checkpoint_files, contents
from copywriter.errors import UserError
from copywriter.modeling import compilation, device, loading
from copywriter.prompt import load_tokenizer
from copywriter.training import packing, run_plan, trainer
from stages import train_qlora
from tests.conftest import changed
from tests.support.tiny import products
from tests.support.training import (
    CPU,
    SMALL,
    STAGE,
    adapted,
    environment,
    examples,
    gradients,
    mark_of,
    outcome,
    prepare,
    reference,
)


@pytest.mark.parametrize("quantization", ["4bit", "8bit", "none"])
@pytest.mark.parametrize("packed", [True, False])
def test_loss_and_gradient_equal_the_plain_reference(room: Path, quantization: str, packed: bool) -> None:
    p = changed(**SMALL, quantization=quantization, packing=packed, lora__dropout=0.0)
    rows = examples(room / "models/base", p, 16)
    groups = packing.pack([len(row.input_ids) for row in rows], p.max_length) if packed else [[n] for n in range(16)]
    sequences = [[rows[n] for n in group] for group in groups]
    sequences = sequences[: len(sequences) // 8 * 8]
    used = [row for one in sequences for row in one]
    loss, gradient = gradients(room, p, sequences)
    expected, expected_gradient = reference(room, p, used)
    # LLM.int8 rounds activations by the largest of each row, in a batch as alone; the backward pass is in full width.
    assert loss == pytest.approx(expected, rel=1e-5 if quantization != "8bit" else 1e-3)
    assert torch.cosine_similarity(gradient, expected_gradient, dim=0) > 0.9999 - 0.001 * (quantization == "8bit")


@pytest.mark.parametrize("packed", [True, False])
def test_tokens_without_loss_change_nothing_but_their_context(room: Path, packed: bool) -> None:
    p = changed(**{**SMALL, "max_length": 256}, packing=packed, lora__dropout=0.0)
    rows = examples(room / "models/base", p, 8)
    rows = [
        replace(row, untrained=((row.prompt_length + n % 3, len(row.input_ids) - 2),)) for n, row in enumerate(rows)
    ]
    sequences = [rows[:4], rows[4:]] if packed else [[row] for row in rows]
    loss, gradient = gradients(room, p, sequences)
    expected, expected_gradient = reference(room, p, rows)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert torch.cosine_similarity(gradient, expected_gradient, dim=0) > 0.9999


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_dequantized_weights_equal_those_that_quantized_layers_use(room: Path, quantization: str) -> None:
    quantized = loading.load_base(room / "models/base", quantization, torch.float32, CPU).eval()  # type: ignore[no-untyped-call]
    dense = loading.dequantized(loading.load_base(room / "models/base", quantization, torch.float32, CPU))
    ids = torch.arange(1, 40)[None]
    with torch.inference_mode():
        one, other = quantized(input_ids=ids).logits, dense(input_ids=ids).logits
    if quantization == "4bit":
        assert torch.equal(one, other)
    else:  # LLM.int8 rounds its input too, which plain layers do not
        assert torch.cosine_similarity(one, other, dim=-1).min() > 0.99
    assert not any("bitsandbytes" in type(layer).__module__ for layer in dense.modules())


def test_batch_8_equals_8_batches_of_1_weighted_by_tokens(room: Path) -> None:
    whole = changed(**SMALL, lora__dropout=0.0, packing=False)
    single = changed(**SMALL, lora__dropout=0.0, packing=False, micro_batch_size=1)
    rows = [[row] for row in examples(room / "models/base", whole, 8)]
    assert len({len(row[0].input_ids) for row in rows}) > 3  # of different lengths, so that weighting matters
    loss, gradient = gradients(room, whole, rows)
    other_loss, other_gradient = gradients(room, single, rows)
    assert loss == pytest.approx(other_loss, rel=1e-5)
    torch.testing.assert_close(gradient, other_gradient, rtol=1e-3, atol=1e-6)


def test_gradient_checkpointing_does_not_change_loss_or_gradient(room: Path) -> None:
    p = changed(**SMALL, lora__dropout=0.0)
    rows = [[row] for row in examples(room / "models/base", p, 8)]
    loss, gradient = gradients(room, p, rows)
    recomputing = changed(**SMALL, lora__dropout=0.0, advanced__gradient_checkpointing=True)
    other_loss, other_gradient = gradients(room, recomputing, rows)
    assert loss == other_loss
    torch.testing.assert_close(gradient, other_gradient, rtol=1e-5, atol=1e-8)


def test_a_run_writes_an_adapter_that_learned(room: Path) -> None:
    train_qlora.run(prepare(room))
    history = list(csv.DictReader(paths.TRAIN_HISTORY.open()))
    validation = list(csv.DictReader(paths.VALIDATION_HISTORY.open()))
    assert float(history[-1]["loss"]) < 0.8 * float(history[0]["loss"])
    assert float(validation[-1]["eval_loss"]) < float(validation[0]["eval_loss"])
    steps = [int(row["step"]) for row in validation]
    assert steps == [0, *range(3, len(history), 3), len(history)]  # the base's loss first; no step twice
    assert [int(row["step"]) for row in history] == list(range(1, len(history) + 1))
    assert {file.suffix for file in paths.ADAPTER.iterdir()} <= {".safetensors", ".json", ".jinja"}
    receipt = json.loads((paths.ADAPTER / loading.RECEIPT).read_text())
    assert receipt["steps"] == len(history)
    assert receipt["base"] == loading.base_identity(paths.BASE)
    assert receipt["files"]["adapter_model.safetensors"] == files.sha256(paths.ADAPTER / "adapter_model.safetensors")
    assert list((paths.RUNS / "train").glob("*/tensorboard/events*"))


def test_a_run_measures_its_speed_for_the_next_time_estimate(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p = prepare(room)
    train_qlora.run(p)
    first = capsys.readouterr().err
    receipt = json.loads((paths.ADAPTER / loading.RECEIPT).read_text())
    assert f"2 epochs of {receipt['steps'] // 2} steps; an epoch has {receipt['tokens_per_epoch']:,} tokens" in first
    assert "minutes" not in first
    speed = json.loads(paths.SPEED.read_text())
    assert speed["model"] == "tiny"
    assert speed["tokens_per_second"] > 0
    assert speed["seconds_to_first_step"] > 0
    train_qlora.run(changed(**SMALL, seed=1))
    assert f"at the {speed['tokens_per_second']:,} tokens/s of the last run" in capsys.readouterr().err
    paths.SPEED.write_text('{"model": "tiny", "tok')
    train_qlora.run(changed(**SMALL, seed=2))
    assert "minutes" not in capsys.readouterr().err


@pytest.mark.parametrize("given", [None, "torch's own", "elsewhere"])
def test_compilations_are_kept_unless_the_user_says_where(
    room: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    own = default_cache_dir()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", own if given == "torch's own" else given or "")
    if given is None:
        monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    compilation.keep()
    expected = "elsewhere" if given == "elsewhere" else str(room / "runs/compile")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == expected


def test_eval_loss_weighs_tokens_not_batches(room: Path) -> None:
    p = prepare(room, micro_batch_size=1, epochs=1, lora__dropout=0.0)
    rows = examples(room / "models/base", p, 12)
    peft_model = adapted(room / "models/base", p)
    data = packing.Sequences([[row] for row in rows])
    tokenizer = load_tokenizer(room / "models/base")
    plan = run_plan.as_asked(p, CPU, len(data))
    training = trainer.QloraTrainer(peft_model, tokenizer, p, plan, data, data, room / "state")
    assert training.evaluate()["eval_loss"] == pytest.approx(reference(room, p, rows)[0], rel=1e-5)


def test_a_killed_run_resumes_and_equals_an_uninterrupted_one(room: Path) -> None:
    p = prepare(room, lora__dropout=0.1)
    train_qlora.run(p)
    expected = outcome()
    folder = next((room / "runs/train").iterdir())
    whole = folder.rename(room / "whole")
    process = subprocess.Popen(
        STAGE, cwd=room, env=environment(room), stderr=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    while not (folder / "checkpoint-4/whole.json").exists():  # polls: there is no event to wait for
        assert process.poll() is None, "the run ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert outcome() == expected  # the killed run has not touched what stands finished
    done = subprocess.run(STAGE, cwd=room, env=environment(room), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert outcome() == expected
    assert sorted(one.name for one in folder.glob("checkpoint-*")) == sorted(
        one.name for one in whole.glob("checkpoint-*")
    )


def test_a_changed_parameter_never_continues_an_old_state(room: Path) -> None:
    p = prepare(room)
    base = loading.base_identity(paths.BASE)
    mark = mark_of(p, base)
    for change in (
        {"lora__r": 8},
        {"seed": 1},
        {"quantization": "none"},
        {"prompt__template": "{question}{title}"},
    ):
        assert mark_of(changed(**{**SMALL, **change}), base) != mark
    assert mark_of(changed(**SMALL, tracking=[], decoding__batch_size=1), base) == mark
    records.write_products(paths.TRAIN, products(41))
    assert mark_of(p, base) != mark


def test_offline_wandb_receives_the_curves(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(room, tracking=["wandb"], epochs=1)
    done = subprocess.run(
        STAGE, cwd=room, env={**environment(room), "WANDB_MODE": "offline"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert list((room / "runs").glob("train/*/wandb/offline-run-*/*.wandb"))


def test_a_gpu_that_torch_cannot_use_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proc = tmp_path / "version"
    proc.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01  Wed Oct 27 21:21:55 UTC 2021\n")
    assert device.driver_version(proc) == "470.82.01"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "driver_version", lambda: "470.82.01")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(UserError, match=rf"470\.82\.01.*{torch.__version__.split('+')[0]}"):
        device.choose()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device.choose() == CPU


def test_precision_that_the_processor_lacks_is_refused() -> None:
    assert device.dtype("auto", CPU) is torch.float32
    for precision in ("bf16", "fp16"):
        with pytest.raises(UserError, match="use precision: auto"):
            device.dtype(precision, CPU)


def test_the_adapter_is_saved_in_16_bits_and_checkpoints_in_32(room: Path) -> None:
    train_qlora.run(prepare(room, epochs=1, save_steps=1))
    shipped = load_file(paths.ADAPTER / loading.WEIGHTS)
    assert {tensor.dtype for tensor in shipped.values()} == {torch.bfloat16}
    kept = checkpoint_files.checkpoints(next(path.parent for path in (room / "runs").rglob("checkpoint-*")))
    assert contents.weights(kept[-1].path).dtype == torch.float32
