"""A weights path -> model: models/base, or an adapter folder that says which base it belongs to."""

import json
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from copywriter import errors, files, paths
from copywriter.errors import UserError
from copywriter.modeling import nf4_values
from copywriter.modeling.device import check_format

RECEIPT = "receipt.json"
PIN = "pin.json"
WEIGHTS = "adapter_model.safetensors"
MERGED = "copywriter.json"  # in a folder of merged weights: what they were made from


def load_base(weights: Path, quantization: str, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """The base model for training: its linear layers at `quantization`, the rest in `dtype`."""
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
        _keep_one_product(model)
    return model


def _keep_one_product(model: PreTrainedModel) -> None:
    from bitsandbytes.nn.modules import Linear4bit  # takes seconds, which `ask` on a CPU does without

    for layer in model.modules():
        # In evaluation bitsandbytes repacks 4-bit weights for a bf16 product on CPUs that have one, and trains on with
        # them: the loss would depend on the CPU and on how often it was measured.
        if isinstance(layer, Linear4bit):
            layer.support_avx512bf16_for_cpu = False


def dequantized(model: PreTrainedModel) -> PreTrainedModel:
    """The model with plain linear layers that hold the quantized values; as it is when it was not quantized."""
    if getattr(model, "quantization_method", None) is None:
        return model
    return cast(PreTrainedModel, model.dequantize())  # type: ignore[no-untyped-call]


def load_dense(weights: Path, quantization: str, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """The model as it is scored and shipped, without a quantized layer left in it.

    The base's linear layers carry the values that training multiplied with (quantized, then dequantized); an adapter is
    added to them in float32 and the sum rounded to `dtype`, never back to 4 bits. An untrained adapter (B = 0) adds
    nothing, so its model equals the base in every bit. UserError when the adapter belongs to another base.
    """
    adapted = is_adapter(weights)
    base = paths.BASE if adapted else weights
    if adapted:
        check_base(weights, base)
    if (weights / MERGED).exists():  # it holds the values of quantized weights already, and an adapter on them
        quantization = "none"
    if quantization == "4bit" and device.type == "cpu":
        model = nf4_values.round_model(load_base(base, "none", dtype, device))
    else:
        model = dequantized(load_base(base, quantization, dtype, device))
    if adapted:
        _merge(model, weights)
    return model.to(dtype).eval()  # type: ignore[no-any-return,arg-type]


def is_adapter(weights: Path) -> bool:
    """Whether the folder holds an adapter, or would if it were there, rather than a whole model."""
    return weights == paths.ADAPTER or (weights / "adapter_config.json").exists()


def check_base(adapter: Path, base: Path) -> None:
    """Raises UserError unless `adapter` was trained on the weights that lie in `base`."""
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
    """What an adapter's receipt says of its base: the name in sources.yaml, and one hash over all its files' hashes."""
    pin = json.loads(errors.existing(base / PIN, "dvc repro fetch_model").read_text())
    return {"model": pin["model"], "sha256": files.digest(pin["files"])}


def _merge(model: PreTrainedModel, adapter: Path) -> None:
    """Adds B A alpha / r to each layer's weights, in float32; the sum is rounded to the weights' format."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    changed = [key for key in ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern") if config.get(key)]
    if config["peft_type"] != "LORA" or changed:
        raise UserError(
            f"{adapter} is not a plain LoRA adapter ({', '.join(changed)}); use one of 'dvc repro train_qlora'"
        )
    try:
        tensors = load_file(errors.existing(adapter / WEIGHTS, "dvc pull models/adapter"), device=str(model.device))
    except SafetensorError as error:
        raise UserError(f"{adapter / WEIGHTS} is damaged ({error}); run 'dvc pull --force models/adapter'") from None
    for name in sorted(tensors):
        if name.endswith(".lora_A.weight"):
            down, up = tensors.pop(name).float(), tensors.pop(name.replace(".lora_A.", ".lora_B.")).float()
            layer = model.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
            weight = cast(torch.nn.Linear, layer).weight
            with torch.no_grad():
                weight.copy_(weight.float() + (up @ down) * (config["lora_alpha"] / config["r"]))
    if tensors:
        raise UserError(f"{adapter / WEIGHTS} holds {sorted(tensors)[0]}, which is no part of a LoRA adapter")
