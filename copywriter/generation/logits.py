"""Logits that are no numbers, from which neither a text nor a likelihood can come."""

import torch

from copywriter.errors import UserError


def require_numbers(found: bool, dtype: torch.dtype) -> None:
    """UserError unless numbers were `found` in all that a model computed in `dtype`."""
    if found:
        return
    cure = "set precision: fp32 in params.yaml"
    if dtype is torch.float32:
        cure = "its weights are damaged: run 'dvc pull --force models/adapter' or 'dvc repro --force fetch_model'"
    raise UserError(f"the model's logits are not numbers in {str(dtype).removeprefix('torch.')}; {cure}")
