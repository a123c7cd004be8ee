"""What every export starts from: checked arguments, the merged weights in float32, and their origin."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from copywriter import files, paths, sources
from copywriter.errors import UserError
from copywriter.modeling import loading
from copywriter.params import Params


def check(adapter: Path, folder: Path) -> None:
    """Raises UserError when `folder` is in use, or `adapter` holds no adapter of the base in models/base."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty; name a new folder, or remove it first")
    if not loading.is_adapter(adapter):
        raise UserError(f"{adapter} is not an adapter; name one with --adapter")
    loading.check_base(adapter, paths.BASE)


def load(adapter: Path, p: Params) -> PreTrainedModel:
    """The values that were scored, not rounded: the quantized base weights plus the adapter, in float32 on the CPU."""
    return loading.load_dense(adapter, p.quantization, torch.float32, torch.device("cpu"))


def origin(adapter: Path, p: Params) -> dict[str, Any]:
    """Base and adapter by their hashes, and the quantization of the base."""
    base = json.loads((adapter / loading.RECEIPT).read_text(encoding="utf-8"))["base"]
    return {"base": base, "adapter": files.sha256(adapter / loading.WEIGHTS), "quantization": p.quantization}


def licence(base: str) -> str:
    """The base model's licence as sources.yaml names it."""
    models = sources.load().models
    return models[base].licence if base in models else "unknown"


def notice(base: str, p: Params) -> str:
    """The text of NOTICE.md: origin and licences of the weights."""
    entry = sources.load()
    datasets, model = entry.datasets, entry.models.get(base)
    own = f"{model.notice}.\n" if model and model.notice else ""
    catalogue = datasets[p.dataset].licence if p.dataset in datasets else "unknown"
    return (
        f"These weights are {base} (licence: {licence(base)}) with a LoRA adapter for product descriptions merged in.\n"
        f"The adapter was trained on {p.dataset} (licence of its texts: {catalogue}). The base model's licence also "
        f"applies to this folder.\n{own}"
    )
