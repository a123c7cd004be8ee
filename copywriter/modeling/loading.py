"""Loads a model from a folder: models/base, or an adapter whose receipt names its base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from copywriter import errors, files, paths
from copywriter.errors import UserError
from copywriter.modeling import lora_merge, nf4_values
from copywriter.modeling.device import check_format

if TYPE_CHECKING:
    from transformers import PreTrainedModel

RECEIPT = "receipt.json"
PIN = "pin.json"
WEIGHTS = "adapter_model.safetensors"
MERGED = "copywriter.json"  # in a folder of merged weights: the base and the adapter that were merged


def load_base(weights: Path, quantization: str, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """The base model for training: its linear layers at `quantization`, the rest in `dtype`."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig  # takes seconds; `ask` may not need it
    from transformers.utils import logging as transformers_logging

    config_file = errors.existing(weights / "config.json", "dvc repro fetch_model")
    check_format(json.loads(config_file.read_text())["model_type"], dtype)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    config = None
    if quantization == "4bit":
        config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    elif quantization == "8bit":
        config = BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        weights,
        dtype=dtype,
        quantization_config=config,
        device_map={"": device},
        attn_implementation="sdpa",
        local_files_only=True,
        use_safetensors=True,
    )
    if quantization == "4bit":
        _disable_repacking(model)
    return model


def _disable_repacking(model: PreTrainedModel) -> None:
    from bitsandbytes.nn.modules import Linear4bit  # takes seconds; `ask` on a CPU does not need it

    for layer in model.modules():
        # In evaluation mode bitsandbytes repacks 4-bit weights on CPUs with a bf16 product, and training then uses the
        # repacked weights: the loss would depend on the CPU and on the number of validations.
        if isinstance(layer, Linear4bit):
            layer.support_avx512bf16_for_cpu = False


def dequantized(model: PreTrainedModel) -> PreTrainedModel:
    """The model with its quantized layers replaced by linear layers of the dequantized values."""
    if getattr(model, "quantization_method", None) is None:
        return model
    dense: PreTrainedModel = model.dequantize()  # type: ignore[no-untyped-call]
    return dense


def load_dense(weights: Path, quantization: str, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """The model for scoring and inference, without quantized layers.

    The base's linear layers have the values that training multiplied with (quantized, then dequantized). An adapter is
    added in float32 and the sum is rounded to `dtype`, not quantized again. An untrained adapter (B = 0) adds nothing,
    so its model is bit-equal to the base. UserError when the adapter was trained on another base.
    """
    adapted = is_adapter(weights)
    base = paths.BASE if adapted else weights
    if adapted:
        check_base(weights, base)
    if (weights / MERGED).exists():  # already dequantized values with an adapter added
        quantization = "none"
    if quantization == "4bit" and device.type == "cpu":
        model = nf4_values.round_model(load_base(base, "none", dtype, device))
    else:
        model = dequantized(load_base(base, quantization, dtype, device))
    if adapted:
        merge(model, weights)
    return model.to(dtype).eval()  # type: ignore[no-any-return,arg-type]


def is_adapter(weights: Path) -> bool:
    """Whether the folder is for an adapter, not for a whole model; models/adapter is one even where it is missing."""
    return weights == paths.ADAPTER or (weights / "adapter_config.json").exists()


def check_base(adapter: Path, base: Path) -> None:
    """Raises UserError unless `adapter` was trained on the weights in `base`."""
    receipt = errors.existing(adapter / RECEIPT, "dvc pull models/adapter' or 'dvc repro train_qlora")
    wanted = json.loads(receipt.read_text())["base"]
    found = base_identity(base)
    if wanted["sha256"] != found["sha256"]:
        raise UserError(
            f"{adapter} was trained on {wanted['model']}, but {base} holds "
            f"{found['model'] if found['model'] != wanted['model'] else 'other weights of that name'}; "
            f"set 'model: {wanted['model']}' in params.yaml and run 'dvc repro fetch_model'"
        )


def base_identity(base: Path) -> dict[str, str]:
    """The base as an adapter's receipt names it: the entry of sources.yaml, and a hash of all files' hashes."""
    pin = json.loads(errors.existing(base / PIN, "dvc repro fetch_model").read_text())
    return {"model": pin["model"], "sha256": files.digest(pin["files"])}


def merge(model: PreTrainedModel, adapter: Path) -> None:
    """Adds the adapter of a folder to the model's weights."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    lora_merge.add(model, config, tensors(adapter, str(model.device)), str(adapter))


def tensors(adapter: Path, device: str = "cpu") -> dict[str, torch.Tensor]:
    """The weights in an adapter's folder; UserError when the file is missing or damaged."""
    file = errors.existing(adapter / WEIGHTS, "dvc pull models/adapter")
    try:
        return load_file(file, device=device)
    except SafetensorError as error:
        raise UserError(f"{file} is damaged ({error}); run 'dvc pull --force models/adapter'") from None
