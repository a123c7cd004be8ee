"""The dequantized values of 4-bit weights on a CPU: bit-equal to bitsandbytes', computed faster.

NF4 with double quantization (QLoRA, Dettmers et al. 2023, section 3): blocks of 64 weights share a scale, and the
scales are rounded to 8 bits in blocks of 256. `ask` does not import bitsandbytes, because the import takes seconds.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BLOCK = 64
_OUTER_BLOCK = 256
_GRID = 65535  # steps of [-1, 1]: bitsandbytes rounds a scale to this grid before it selects the nearest level
_CELLS = 2048  # intervals of [-1, 1], so narrow that none contains two thresholds of NF4
# NF4's levels, quantiles of a normal distribution: appendix E of the paper.
_LEVELS = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
    *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634),
    *(0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)


@torch.no_grad()
def round_model(model: PreTrainedModel) -> PreTrainedModel:
    """Rounds the weights that 4-bit loading quantizes, those of all linear layers but the output layer, to NF4."""
    output_layer = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer is not output_layer:
            layer.weight.copy_(rounded(layer.weight))
    return model


def rounded(weight: torch.Tensor) -> torch.Tensor:
    """The float32 values of `weight` (any shape) after NF4 with double quantization."""
    flat = weight.detach().float().reshape(-1)
    blocks = torch.nn.functional.pad(flat, (0, -len(flat) % _BLOCK)).view(-1, _BLOCK)
    largest = blocks.abs().amax(-1)
    scaled = (blocks * (1.0 / largest.clamp(min=1e-38))[:, None]).clamp_(-1, 1)
    # As torch.bucketize, but with a table instead of bisection: a cell has one level, or two and the threshold between.
    below, above, threshold = _cells()
    cell = (scaled + 1).mul_(_CELLS / 2).to(torch.int32)
    levels = torch.where(scaled > threshold[cell], above[cell], below[cell])
    return levels.mul_(_scales(largest)[:, None]).reshape(-1)[: len(flat)].view_as(weight)


def _scales(largest: torch.Tensor) -> torch.Tensor:
    """The blocks' scales, rounded to 8 bits."""
    offset = largest.mean()
    centred = torch.nn.functional.pad(largest - offset, (0, -len(largest) % _OUTER_BLOCK)).view(-1, _OUTER_BLOCK)
    outer = centred.abs().amax(-1, keepdim=True)
    index = (centred * (1.0 / outer.clamp(min=1e-38)) + 1).mul_(_GRID / 2).add_(0.5).to(torch.int32)
    return (_nearest_dynamic()[index] * outer).view(-1)[: len(largest)] + offset


def _between(levels: torch.Tensor) -> torch.Tensor:
    return (levels[:-1] + levels[1:]) / 2


@functools.cache
def _cells() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each cell the lowest and the highest level of its numbers, and the largest number with the lowest level."""
    levels = torch.tensor(_LEVELS)
    thresholds = _between(levels)
    edges = torch.linspace(-1, 1, _CELLS + 1)
    # Rounding may move a number near an edge to the next cell, so each cell also covers its neighbours' thresholds.
    width = 2 / _CELLS
    low = torch.bucketize(edges - width, thresholds)
    high = torch.bucketize(edges + 2 * width, thresholds)
    assert int((high - low).max()) == 1
    return levels[low], levels[high], thresholds[low.clamp(max=len(thresholds) - 1)]


@functools.cache
def _nearest_dynamic() -> torch.Tensor:
    """For each step of the grid the nearest of 256 levels, which are denser near 0.

    8-bit dynamic quantization (Dettmers 2015), bitsandbytes' default map.
    """
    found = torch.tensor([0.0, 1.0])
    for exponent in range(7):
        middles = _between(torch.linspace(0.1, 1, 2**exponent + 1))
        found = torch.cat([found, *(sign * (10.0 ** (exponent - 6)) * middles for sign in (1, -1))])
    levels = found.sort().values
    grid = torch.arange(_GRID + 1) / (_GRID / 2) - 1
    return levels[torch.bucketize(grid, _between(levels))]
