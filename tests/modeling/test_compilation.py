"""Compiled blocks that compute themselves again in the backward pass."""

import shutil
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from copywriter.modeling import compilation, lora
from tests.conftest import changed
from tests.support.shapes import figures

IDS = torch.arange(1, 40)[None]


class Stored:
    """Counts numbers that are stored for a backward pass."""

    def __init__(self) -> None:
        self.numbers = 0

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        self.numbers += tensor.numel()
        return tensor


def gradient(recomputed: bool, dropout: float) -> tuple[float, torch.Tensor, int]:
    """Loss and gradient of a compiled model, and the numbers that it stored for the backward pass."""
    torch.manual_seed(0)
    shape = figures("smollm2-135m", tiny=True) | {"vocab_size": 50, "num_hidden_layers": 2}
    base: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(**shape))  # type: ignore[no-untyped-call]
    adapted = lora.with_adapter(base, changed(lora__dropout=dropout))
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data.normal_()
    adapter = lora.trainable(adapted, True, torch.float32)
    adapted.train()
    base.enable_input_require_grads()
    compilation.begin(base)
    if recomputed:
        compilation.recompute(base, random=dropout > 0)
    adapter.refresh()
    stored = Stored()
    with torch.autograd.graph.saved_tensors_hooks(stored, lambda tensor: tensor):
        loss = adapted(input_ids=IDS, labels=IDS, use_cache=False).loss
    loss.backward()
    adapter.collect()
    found = adapter.weights.grad
    assert found is not None
    return loss.item(), found, stored.numbers


@pytest.mark.skipif(not shutil.which("gcc"), reason="torch compiles with gcc")
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recomputing_blocks_have_the_same_gradient_and_store_less(dropout: float) -> None:
    loss, expected, stored = gradient(recomputed=False, dropout=dropout)
    again, found, stored_again = gradient(recomputed=True, dropout=dropout)
    assert again == pytest.approx(loss, rel=1e-6)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert stored_again < stored / 3
