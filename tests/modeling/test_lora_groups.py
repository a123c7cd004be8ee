"""The joined product of LoRA layers against the formula of its docstring."""

import pytest
import torch
from torch.nn import functional

from copywriter.modeling.lora_groups import _Narrowing

INNER, OUTER, RANK, SCALE = 24, 10, 4, 2.5


@pytest.mark.parametrize("biased", [True, False])
def test_a_narrowing_layer_has_the_gradients_of_its_formula(biased: bool) -> None:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, a, b = (one.requires_grad_() for one in (drawn(2, 7, INNER), drawn(RANK, INNER), drawn(OUTER, RANK)))
    weight, bias, by = drawn(OUTER, INNER), drawn(OUTER) if biased else None, drawn(2, 7, OUTER)
    joined = torch.zeros(OUTER + RANK, INNER + RANK, dtype=torch.float64)
    joined[:OUTER, :INNER], joined[:OUTER, INNER:], joined[OUTER:, :INNER] = weight, SCALE * b.detach(), a.detach()
    found = _Narrowing.apply(x, a, b, joined, bias, SCALE)  # type: ignore[no-untyped-call]
    expected = functional.linear(x, weight, bias) + SCALE * x @ a.T @ b.T
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        torch.autograd.grad(found, (x, a, b), by), torch.autograd.grad(expected, (x, a, b), by), strict=True
    ):
        torch.testing.assert_close(one, other)
