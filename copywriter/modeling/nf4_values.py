"""The values that 4-bit weights stand for, on a CPU: bitsandbytes' own to the bit, in a fraction of its time.

NF4 with double quantization (QLoRA, Dettmers et al. 2023, section 3): blocks of 64 weights share a scale, and the
scales are rounded to 8 bits in blocks of 256. Importing bitsandbytes alone takes seconds; `ask` does without.
"""

import functools

import torch
from torch import nn
from transformers import PreTrainedModel

_BLOCK = 64
_OUTER_BLOCK = 256
_PLACES = 65535  # of [-1, 1]: bitsandbytes rounds a scale to one of these before it looks for the nearest level
_CELLS = 2048  # of [-1, 1], so narrow that no two thresholds of NF4 lie in one
# NF4's values, quantiles of a normal distribution; the paper's appendix E.
_LEVELS = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
    *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634),
    *(0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)


@torch.no_grad()
def round_model(model: PreTrainedModel) -> PreTrainedModel:
    """Gives the linear layers that 4-bit loading quantizes, all but the output layer, the values of their 4 bits."""
    kept = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer is not kept:
            layer.weight.copy_(rounded(layer.weight))
    return model


def rounded(weight: torch.Tensor) -> torch.Tensor:
    """The float32 values of `weight` (any shape) after NF4 with double quantization."""
    flat = weight.detach().float().reshape(-1)
    blocks = torch.nn.functional.pad(flat, (0, -len(flat) % _BLOCK)).view(-1, _BLOCK)
    largest = blocks.abs().amax(-1)
    scaled = (blocks * (1.0 / largest.clamp(min=1e-38))[:, None]).clamp_(-1, 1)
    # What torch.bucketize finds by bisection, looked up: a cell has one level, or two with a threshold between them.
    below, above, threshold = _cells()
    cell = (scaled + 1).mul_(_CELLS / 2).to(torch.int32)
    levels = torch.where(scaled > threshold[cell], above[cell], below[cell])
    return levels.mul_(_scales(largest)[:, None]).reshape(-1)[: len(flat)].view_as(weight)


def _scales(largest: torch.Tensor) -> torch.Tensor:
    """The blocks' scales after their own rounding to 8 bits."""
    offset = largest.mean()
    centred = torch.nn.functional.pad(largest - offset, (0, -len(largest) % _OUTER_BLOCK)).view(-1, _OUTER_BLOCK)
    outer = centred.abs().amax(-1, keepdim=True)
    place = (centred * (1.0 / outer.clamp(min=1e-38)) + 1).mul_(_PLACES / 2).add_(0.5).to(torch.int32)
    return (_nearest_dynamic()[place] * outer).view(-1)[: len(largest)] + offset


def _between(levels: torch.Tensor) -> torch.Tensor:
    return (levels[:-1] + levels[1:]) / 2


@functools.cache
def _cells() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each cell the lowest and highest level of a number in it, and the largest number that has the lowest."""
    levels = torch.tensor(_LEVELS)
    thresholds = _between(levels)
    edges = torch.linspace(-1, 1, _CELLS + 1)
    # A number just beside an edge may be rounded into the next cell: each cell knows of its neighbours' thresholds.
    width = 2 / _CELLS
    low = torch.bucketize(edges - width, thresholds)
    high = torch.bucketize(edges + 2 * width, thresholds)
    assert int((high - low).max()) == 1
    return levels[low], levels[high], thresholds[low.clamp(max=len(thresholds) - 1)]


@functools.cache
def _nearest_dynamic() -> torch.Tensor:
    """For each place of [-1, 1] the nearest of 256 numbers, which are denser near 0.

    8-bit dynamic quantization (Dettmers 2015), bitsandbytes' default map.
    """
    found = torch.tensor([0.0, 1.0])
    for exponent in range(7):
        middles = _between(torch.linspace(0.1, 1, 2**exponent + 1))
        found = torch.cat([found, *(sign * (10.0 ** (exponent - 6)) * middles for sign in (1, -1))])
    levels = found.sort().values
    places = torch.arange(_PLACES + 1) / (_PLACES / 2) - 1
    return levels[torch.bucketize(places, _between(levels))]
