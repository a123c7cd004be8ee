"""What only a CUDA device can show; run there with `COPYWRITER_TEST_GPU=1 pytest -m gpu`."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from copywriter import device, model
from copywriter.prompt import load_tokenizer
from copywriter.stage import UserError
from copywriter.training import attention, contract, lora, packing, trainer
from copywriter.training.loss import nll
from stages import train_qlora
from tests.conftest import changed
from tests.test_train import SMALL, examples

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not os.environ.get("COPYWRITER_TEST_GPU"), reason="needs a CUDA device"),
]


def trained(folder: Path, room: Path, **changes: Any) -> tuple[list[float], torch.Tensor, bool]:
    """Losses and adapter of a short training run on the GPU, and whether its step was captured."""
    p = changed(**{**SMALL, "lora__dropout": 0.0, "precision": "bf16", **changes})
    cuda = device.choose()
    base = model.load_base(folder, p.quantization, torch.bfloat16, cuda)
    if model.keeps_dense(p.dequantize, folder, cuda):
        base = model.dequantized(base)
    peft_model = lora.with_adapter(base, p)
    rows = examples(folder, p, 48)
    groups = packing.pack([len(row.input_ids) for row in rows], p.max_length)
    data = packing.Sequences([[rows[n] for n in group] for group in groups])
    tokenizer = load_tokenizer(folder)
    training = trainer.QloraTrainer(peft_model, tokenizer, p, data, data, room / "state", torch.bfloat16)
    training.train()
    losses = [entry["loss"] for entry in training.state.log_history if "loss" in entry]
    weights = torch.cat([one.detach().flatten() for name, one in peft_model.named_parameters() if "lora_" in name])
    return losses, weights.cpu(), training.step._training is not None


@pytest.mark.parametrize("quantization", ["4bit", "none"])
@pytest.mark.parametrize("dequantize", [True, False])
@pytest.mark.parametrize("micro_batch_size", [8, 2])
@pytest.mark.parametrize("compiled", [True, False])
def test_a_captured_step_trains_as_an_eager_one(
    room: Path, quantization: str, dequantize: bool, micro_batch_size: int, compiled: bool
) -> None:
    given = {"quantization": quantization, "micro_batch_size": micro_batch_size, "dequantize": dequantize}
    base = room / "models/base"
    losses, weights, captured = trained(base, room, cuda_graph=True, compile=compiled, **given)
    expected, expected_weights, eager = trained(base, room, cuda_graph=False, compile=False, **given)
    assert captured
    assert not eager
    assert losses == pytest.approx(expected, rel=2e-3)
    assert torch.cosine_similarity(weights, expected_weights, dim=0) > 0.999


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
    p = changed(**SMALL, precision="bf16", compile=True)
    cuda = device.choose()
    adapted = lora.with_adapter(model.load_base(room / "models/base", p.quantization, torch.bfloat16, cuda), p)
    rows = examples(room / "models/base", p, 48)
    data = train_qlora.sequences(rows, p)
    tokenizer = load_tokenizer(room / "models/base")
    training = trainer.QloraTrainer(adapted, tokenizer, p, data, data, room / "state", torch.bfloat16)
    with pytest.raises(UserError, match="see each other") if leaking else nullcontext():
        contract.check_batches(training, rows, data)
