"""An adapter added to the weights of a model without quantized layers, in float32 and without PEFT."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, cast

import torch

from copywriter import lora_options
from copywriter.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Options of PEFT's LoraConfig that add something else than A, B and DoRA's magnitudes.
_NOT_MERGED = (
    *("alora_invocation_tokens", "arrow_config", "bias", "fan_in_fan_out", "kasa_config", "layer_replication"),
    *("lora_bias", "modules_to_save", "monteclora_config", "target_parameters", "trainable_token_indices"),
    *("use_bdlora", "use_qalora"),
)


@torch.no_grad()
def add(model: PreTrainedModel, config: dict[str, Any], tensors: dict[str, torch.Tensor], adapter: str) -> None:
    """Adds an adapter to the weights of `model`; the sum is rounded to the weights' format.

    W + s B A, with s = alpha / r, or alpha / sqrt(r) with rsLoRA (Kalajdzievski 2023); DoRA then scales each row to
    its trained magnitude (Liu et al. 2024, section 4). `config` and `tensors`: what the adapter's files hold;
    `adapter`: its name in messages. UserError where it holds anything else.
    """
    changed = [name for name in _NOT_MERGED if name in config and lora_options.is_refused(name, config[name])]
    if config["peft_type"] != "LORA" or changed:
        raise UserError(
            f"{adapter} has options that cannot be merged into the base ({', '.join(changed) or config['peft_type']}); "
            "use an adapter of 'dvc repro train_qlora'"
        )
    rest = dict(tensors)
    for name in sorted(tensors):
        if name.endswith(".lora_A.weight"):
            down, up = rest.pop(name).float(), rest.pop(name.replace(".lora_A.", ".lora_B.")).float()
            layer = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            weight = cast(torch.nn.Linear, model.get_submodule(layer)).weight
            total = weight.float() + (up @ down) * _scale(config, layer, len(down))
            magnitude = rest.pop(name.replace(".lora_A.weight", ".lora_magnitude_vector"), None)
            if magnitude is not None:
                total *= (magnitude.float() / total.norm(dim=1))[:, None]
            weight.copy_(total)
    if rest:
        raise UserError(f"{adapter} holds {sorted(rest)[0]}, which is not a weight of LoRA")


def is_untrained(tensors: dict[str, torch.Tensor]) -> bool:
    """Whether an adapter adds nothing: all of B is 0, as at the start of training (section 4.1), and all else is A."""
    rest = {name: tensor for name, tensor in tensors.items() if not name.endswith(".lora_A.weight")}
    return all(name.endswith(".lora_B.weight") and not tensor.any() for name, tensor in rest.items())


def fits(pattern: str, layer: str) -> bool:
    """Whether a key of rank_pattern or alpha_pattern is for the layer of that name, as PEFT decides it."""
    return re.match(rf"(.*\.)?({pattern})$", layer) is not None


def _scale(config: dict[str, Any], layer: str, rank: int) -> float:
    """The factor of B A in a layer of that name and rank."""
    patterns = config.get("alpha_pattern") or {}
    alpha: float = next((patterns[one] for one in patterns if fits(one, layer)), config["lora_alpha"])
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
