"""A check for NaN logits, of which neither a text nor a likelihood can be made."""

import torch

from copywriter.errors import UserError


def require_numbers(finite: bool, dtype: torch.dtype) -> None:
    """UserError with the cure unless the results that a model computed in `dtype` were all `finite`."""
    if finite:
        return
    cure = "set precision: fp32 in params.yaml"
    if dtype is torch.float32:
        cure = "its weights are damaged: run 'dvc pull --force models/adapter' or 'dvc repro --force fetch_model'"
    raise UserError(f"the model's logits are not numbers in {str(dtype).removeprefix('torch.')}; {cure}")
