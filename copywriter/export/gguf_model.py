"""A model's hyperparameters and tensors in the form that llama.cpp computes with: Llama, Qwen2 and Gemma 3.

The differences from transformers: Llama's query and key rows are ordered for a rotation of neighbouring pairs, Gemma's
norms are stored with their 1 added, and Llama 3's scaled rotation is a tensor of divisors.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from copywriter.errors import UserError

Array = NDArray[np.float32]

_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
}
# What llama.cpp computes without asking the file: another value in the model's config would be ignored.
_FIXED: dict[str, dict[str, Any]] = {
    "llama": {"hidden_act": "silu"},
    "qwen2": {"hidden_act": "silu", "use_sliding_window": False},
    "gemma3_text": {
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": False,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "use_bidirectional_attention": False,
    },
}
_GEMMA_PERIOD = 6  # of Gemma 3's layers: each sixth attends to everything, the others to a window


def architecture(config: Any) -> str:
    """The model's architecture by llama.cpp's name; UserError for one that is not exported."""
    kind = config.model_type
    if kind not in _ARCHITECTURES:
        raise UserError(
            f"a GGUF file of a {kind} model is not written here (only of {', '.join(_ARCHITECTURES)}); run "
            "'python -m copywriter.export merged DIR' and convert that folder with llama.cpp's convert_hf_to_gguf.py"
        )
    return gguf.MODEL_ARCH_NAMES[_ARCHITECTURES[kind]]


def add_hyperparameters(writer: gguf.GGUFWriter, config: Any) -> None:
    """Adds what llama.cpp has to know of the model; UserError for a variant that it would compute otherwise."""
    fixed = _FIXED[config.model_type] | _fixed_by_shape(config)
    for key, value in fixed.items():
        if (found := getattr(config, key, value)) != value:
            raise _inexpressible(config, f"{key} {found!r}")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(_head_size(config))
    writer.add_value_length(_head_size(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_dimension_count(_head_size(config))
    rope = config.rope_parameters
    if config.model_type == "gemma3_text":
        writer.add_sliding_window(config.sliding_window)
        writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
        if rope["sliding_attention"]["rope_type"] != "default":
            raise _inexpressible(config, f"rope_type {rope['sliding_attention']['rope_type']!r} in its windows")
        rope = rope["full_attention"]
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif rope["rope_type"] not in ("default", "llama3") or (rope["rope_type"] == "llama3" and not _is_llama(config)):
        raise _inexpressible(config, f"rope_type {rope['rope_type']!r}")


def tensors(model: PreTrainedModel) -> Iterator[tuple[str, tuple[int, ...], Callable[[], Array]]]:
    """Each tensor's name in the file, its shape, and a call that gives its values, so that few are in memory twice.

    A matrix has one row for each output, as in transformers.
    """
    config: Any = model.config
    names = gguf.get_tensor_name_map(_ARCHITECTURES[config.model_type], config.num_hidden_layers)
    if _is_llama(config) and config.rope_parameters["rope_type"] == "llama3":
        divisors = _rope_divisors(config)
        yield "rope_freqs.weight", divisors.shape, lambda: divisors
    for key, value in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue  # llama.cpp computes the logits with the embeddings where a file has no output.weight
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise _inexpressible(config, f"the tensor {key}")
        yield name, tuple(value.shape), partial(_values, key, value, config)


def _values(key: str, value: torch.Tensor, config: Any) -> Array:
    values: Array = value.float().numpy()
    if _is_llama(config) and "self_attn.q_proj" in key:
        return _pairs_beside(values, config.num_attention_heads)
    if _is_llama(config) and "self_attn.k_proj" in key:
        return _pairs_beside(values, config.num_key_value_heads)
    if config.model_type == "gemma3_text" and key.endswith("norm.weight"):
        return values + np.float32(1)
    return values


def _pairs_beside(values: Array, heads: int) -> Array:
    """Each head's rows in another order: transformers rotates row i with row i + half, llama.cpp 2i with 2i + 1."""
    return values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _rope_divisors(config: Any) -> Array:
    """What divides each of Llama 3's rotation frequencies."""
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    size = _head_size(config)
    plain = config.rope_parameters["rope_theta"] ** -(np.arange(0, size, 2, dtype=np.float64) / size)
    divisors: Array = (plain / scaled.double().numpy()).astype(np.float32)
    return divisors


def _fixed_by_shape(config: Any) -> dict[str, Any]:
    if config.model_type != "gemma3_text":
        return {}
    layers = range(1, config.num_hidden_layers + 1)
    kinds = ["sliding_attention" if layer % _GEMMA_PERIOD else "full_attention" for layer in layers]
    largest = config.num_hidden_layers == 62  # the 27B model alone scales by its width
    scalar = config.hidden_size // config.num_attention_heads if largest else config.head_dim
    return {"layer_types": kinds, "query_pre_attn_scalar": scalar}


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _is_llama(config: Any) -> bool:
    return bool(config.model_type == "llama")


def _inexpressible(config: Any, what: str) -> UserError:
    return UserError(
        f"llama.cpp would compute this {config.model_type} model otherwise than it was trained, for it has {what}; run "
        "'python -m copywriter.export merged DIR' and use that folder with transformers or vLLM"
    )
