"""Llama's forward pass on a CPU without transformers, whose import takes longer than all else that `ask` loads.

Equal bits to transformers' LlamaForCausalLM in float32 (Touvron et al. 2023): the same operations in the same order,
with the names of its weights, so that an adapter is added as to the original. Attention is kv_cache.attention's.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import silu

from copywriter.generation import kv_cache
from copywriter.modeling import nf4_values

# What a config.json must say, so far as it says it.
_NEEDED = {
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "pretraining_tp": 1,
    "quantization_config": None,
}


def supports(weights: Path) -> bool:
    """Whether `weights`, a folder of a whole model, is a Llama without variations, in one file."""
    file = weights / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    rope = config.get("rope_parameters") or {}
    return (
        "model_type" in config
        and all(config.get(key, value) == value for key, value in _NEEDED.items())
        and rope.keys() == {"rope_type", "rope_theta"}
        and rope["rope_type"] == "default"
        and (weights / "model.safetensors").exists()
    )


def load(weights: Path, nf4: bool) -> "PlainLlama | None":
    """The model in float32, its linear layers rounded to NF4 where asked; None where the file is not as expected."""
    config = SimpleNamespace(**json.loads((weights / "config.json").read_text(encoding="utf-8")))
    try:
        tensors = load_file(weights / "model.safetensors")
    except SafetensorError:
        return None  # transformers says what is wrong
    model = PlainLlama(config)
    if model.tied:
        tensors["lm_head.weight"] = tensors.get("model.embed_tokens.weight", torch.empty(0))
    expected = {name: one.shape for name, one in model.state_dict().items()}
    if {name: one.shape for name, one in tensors.items()} != expected:
        return None
    for name, one in tensors.items():
        value = one.float()
        tensors[name] = nf4_values.rounded(value) if nf4 and name.endswith("_proj.weight") else value
    model.load_state_dict(tensors, assign=True)
    if model.tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model.eval()


class PlainLlama(nn.Module):
    """The model with its output layer, its weights still without values."""

    dtype = torch.float32
    device = torch.device("cpu")

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.tied = bool(config.tie_word_embeddings)
        self.model = _Decoder(config)
        self.lm_head = _Linear(config.hidden_size, config.vocab_size)

    @property
    def base_model(self) -> nn.Module:
        """The model without its output layer, as transformers calls it."""
        return self.model

    def get_output_embeddings(self) -> nn.Linear:
        """The output layer, as transformers calls it."""
        return self.lm_head

    def forward(self, input_ids: torch.Tensor, logits_to_keep: int, **more: Any) -> SimpleNamespace:
        """The logits (rows, logits_to_keep, vocabulary) of the last tokens; `more`: see _Decoder."""
        return SimpleNamespace(logits=self.lm_head(self.model(input_ids, **more)[:, -logits_to_keep:]))


class _Decoder(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        empty = torch.empty(config.vocab_size, config.hidden_size, device="meta")
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, _weight=empty)
        self.layers = nn.ModuleList(_Block(config) for _ in range(config.num_hidden_layers))
        self.norm = _Norm(config)
        width = _head_width(config)
        self._frequencies = 1.0 / (
            config.rope_parameters["rope_theta"] ** (torch.arange(0, width, 2, dtype=torch.float) / width)
        )

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor, use_cache: bool, **cache: Any) -> Any:
        """Hidden states (rows, tokens, width); `cache`: arguments of kv_cache.attention."""
        angles = position_ids[..., None].float() * self._frequencies
        angles = torch.cat((angles, angles), dim=-1)
        rotation = angles.cos().unsqueeze(1), angles.sin().unsqueeze(1)
        hidden = self.embed_tokens(input_ids)
        for layer in self.layers:
            hidden = layer(hidden, rotation, cache)
        return self.norm(hidden)


class _Block(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.self_attn = _Attention(config)
        self.mlp = _Mlp(config)
        self.input_layernorm = _Norm(config)
        self.post_attention_layernorm = _Norm(config)

    def forward(self, hidden: torch.Tensor, rotation: Any, cache: dict[str, Any]) -> torch.Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), rotation, cache)
        return hidden + cast(torch.Tensor, self.mlp(self.post_attention_layernorm(hidden)))


class _Attention(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.width = _head_width(config)
        self.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
        heads, shared = config.num_attention_heads * self.width, config.num_key_value_heads * self.width
        self.q_proj = _Linear(config.hidden_size, heads)
        self.k_proj = _Linear(config.hidden_size, shared)
        self.v_proj = _Linear(config.hidden_size, shared)
        self.o_proj = _Linear(heads, config.hidden_size)

    def forward(self, hidden: torch.Tensor, rotation: Any, cache: dict[str, Any]) -> torch.Tensor:
        shape = hidden.shape[:-1]
        query, key, value = (
            layer(hidden).view(*shape, -1, self.width).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = _rotated(query, *rotation), _rotated(key, *rotation)
        output, _ = kv_cache.attention(self, query, key, value, None, scaling=self.width**-0.5, **cache)
        return cast(torch.Tensor, self.o_proj(output.reshape(*shape, -1).contiguous()))


class _Mlp(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.gate_proj = _Linear(config.hidden_size, config.intermediate_size)
        self.up_proj = _Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = _Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.down_proj(silu(self.gate_proj(hidden)) * self.up_proj(hidden)))


class _Linear(nn.Linear):
    """Without bias, and without random values: drawing them for no tensor at all would import torch's compiler."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, bias=False, device="meta")

    def reset_parameters(self) -> None:
        """Leaves the weights as they are."""


class _Norm(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.hidden_size, device="meta"))
        self._epsilon = config.rms_norm_eps

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        variance = hidden.pow(2).mean(-1, keepdim=True)
        return self.weight * (hidden * torch.rsqrt(variance + self._epsilon))


def _head_width(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _rotated(states: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Queries or keys (rows, heads, tokens, width) turned by their positions' angles (RoFormer, Su et al. 2021)."""
    left, right = states.chunk(2, dim=-1)
    return (states * cosine) + (torch.cat((-right, left), dim=-1) * sine)
