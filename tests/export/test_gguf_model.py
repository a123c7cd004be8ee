"""Random models of each architecture: llama.cpp computes from the file what transformers computes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType
from transformers import AutoConfig, AutoModelForCausalLM

from copywriter.errors import UserError
from copywriter.evaluation import likelihood
from copywriter.export import gguf_files, gguf_model
from copywriter.prompt import Example, load_tokenizer
from tests.conftest import changed
from tests.support.llama_cpp import LlamaCpp
from tests.support.shapes import figures

UNTYPED: Any = AutoModelForCausalLM
SMALL = {"vocab_size": 512, "eos_token_id": 0, "pad_token_id": 0, "bos_token_id": None, "initializer_range": 0.1}
LLAMA = figures("llama-3.2-1b", tiny=True)
# As if trained on short texts, so that 60 tokens show a mistake in the rotation.
LLAMA["rope_parameters"] = {**LLAMA["rope_parameters"], "rope_theta": 100.0, "original_max_position_embeddings": 32}
GEMMA = figures("gemma-3-1b", tiny=True) | {"num_hidden_layers": 7, "sliding_window": 16, "query_pre_attn_scalar": 16}
QWEN = {key: value for key, value in LLAMA.items() if key not in ("rope_parameters", "head_dim")} | {
    "model_type": "qwen2",
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
}
ROPE = {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0}
WINDOWED = {"rope_type": "default", "rope_theta": 1e4}
MODELS: dict[str, dict[str, Any]] = {
    "llama, rotation scaled as Llama 3's": LLAMA,
    "llama, linear rotation, biases, output of its own": {
        **LLAMA,
        "rope_parameters": ROPE,
        "attention_bias": True,
        "mlp_bias": True,
        "tie_word_embeddings": False,
    },
    "qwen2": QWEN,
    "qwen2, output of its own": {**QWEN, "tie_word_embeddings": False},
    "gemma 3": GEMMA,
    "gemma 3, rotation scaled in full layers": {
        **GEMMA,
        "rope_parameters": {"full_attention": ROPE, "sliding_attention": WINDOWED},
    },
}


def config(**keys: Any) -> Any:
    keys = {**keys, **SMALL}
    return AutoConfig.for_model(keys.pop("model_type"), **keys)


@pytest.mark.parametrize("name", MODELS)
def test_likelihoods_equal_transformers(name: str, tiny_base: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = UNTYPED.from_config(config(**MODELS[name]), dtype=torch.float32).eval()
    for key, value in model.named_parameters():
        if value.ndim == 1:  # norms and biases begin as 0 or 1, and would hide a mistake
            torch.nn.init.normal_(value, 0.0 if "bias" in key or "gemma" in name else 1.0, 0.3)
    ids = torch.randint(2, 500, (60,)).tolist()
    (expected,) = [nats for _, nats in likelihood.nll(model, [Example(ids, 5, False)])]
    form = GGMLQuantizationType.F16
    writer = gguf_files.fields(tmp_path / "a.gguf", form, model.config, load_tokenizer(tiny_base), changed())
    gguf_files.write_weights(writer, model, form)
    assert LlamaCpp(tmp_path / "a.gguf").nll(ids, 5) == pytest.approx(expected, rel=1e-4)


VARIANTS: dict[str, tuple[dict[str, Any], str]] = {
    "activation": ({**LLAMA, "hidden_act": "gelu"}, "hidden_act 'gelu'"),
    "yarn": ({**LLAMA, "rope_parameters": {**ROPE, "rope_type": "yarn"}}, "rope_type 'yarn'"),
    "qwen with windows": ({**QWEN, "use_sliding_window": True}, "use_sliding_window True"),
    "softcap": ({**GEMMA, "final_logit_softcapping": 30.0}, "final_logit_softcapping 30.0"),
    "other windows": ({**GEMMA, "layer_types": ["full_attention"] * 7}, "layer_types"),
    "attention scale": ({**GEMMA, "query_pre_attn_scalar": 168}, "query_pre_attn_scalar 168"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_that_llama_cpp_computes_otherwise_are_refused(name: str, tiny_base: Path, tmp_path: Path) -> None:
    keys, message = VARIANTS[name]
    with pytest.raises(UserError, match=f"llama.cpp would compute this .* it has {message}.*copywriter.export merged"):
        gguf_files.fields(
            tmp_path / "a.gguf", GGMLQuantizationType.F16, config(**keys), load_tokenizer(tiny_base), changed()
        )


def test_weights_that_f16_cannot_hold_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    model = UNTYPED.from_config(config(**QWEN), dtype=torch.float32)
    torch.nn.init.constant_(model.model.layers[1].mlp.up_proj.weight, 1e5)
    form = GGMLQuantizationType.F16
    writer = gguf_files.fields(tmp_path / "a.gguf", form, model.config, load_tokenizer(tiny_base), changed())
    with pytest.raises(UserError, match=r"blk\.1\.ffn_up\.weight has weights over 65504"):
        gguf_files.write_weights(writer, model, form)


def test_other_architectures_are_named_with_what_to_do() -> None:
    with pytest.raises(UserError, match=r"of a gpt2 model .*only of llama, qwen2, gemma3_text.*convert_hf_to_gguf.py"):
        gguf_model.architecture(AutoConfig.for_model("gpt2"))
