"""Published weights, a folder or a GGUF file, as a model and its tokenizer; no pickle unless the entry allows it."""

import io
import json
import pickle
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3ForCausalLM,
    Gemma3ForConditionalGeneration,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from copywriter.errors import UserError
from copywriter.fetching.gguf_metadata import metadata

_UNREADABLE = (OSError, ValueError, ImportError, SafetensorError, pickle.UnpicklingError)


def read_folder(folder: Path, allow_pickle: bool) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The causal language model and tokenizer in a folder; of Gemma 3 with its vision tower, the text model alone."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = _loader(config, folder)
        model, report = kind.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            use_safetensors=None if allow_pickle else True,
            weights_only=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        tokenizer = _read_tokenizer(folder)
        _check_whole(report)
    except _UNREADABLE as error:
        raise UserError(
            f"{folder} cannot be read as a model: {_first_sentence(error)}; a whole one needs config.json, "
            "model.safetensors and tokenizer.json of a kind that transformers knows"
        ) from None
    return (_text_model(model) if kind is Gemma3ForConditionalGeneration else model), tokenizer


def read_gguf(file: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The model in a GGUF file, dequantized, and its tokenizer."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # Alone in a folder: transformers would also read a config.json or chat template in the file's folder.
    with tempfile.TemporaryDirectory() as alone:
        (Path(alone) / "model.gguf").symlink_to(file.resolve())
        loader: Any = AutoModelForCausalLM
        place: dict[str, Any] = {"gguf_file": "model.gguf", "local_files_only": True}
        dense: dict[str, Any] = {"quantization_config": GgufConfig(dequantize=True), "output_loading_info": True}
        try:
            with nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO()):  # its bar fills logs
                model, report = loader.from_pretrained(alone, **place, **dense, dtype=torch.bfloat16)
            tokenizer = _gguf_tokenizer(file, lambda: AutoTokenizer.from_pretrained(alone, **place))
            _check_whole(report)
        except _UNREADABLE as error:
            raise UserError(f"{file} cannot be read as a GGUF model: {_first_sentence(error)}; name another") from None
    return model, tokenizer


def _loader(config: Any, folder: Path) -> Any:
    """The class that reads the weights; UserError for what is no causal language model, or has lost its precision."""
    if getattr(config, "quantization_config", None):
        raise UserError(f"{folder} holds weights that are quantized already; name the model they were made from")
    architecture = (config.architectures or ["model without a named architecture"])[0]
    if architecture == "Gemma3ForConditionalGeneration":
        return Gemma3ForConditionalGeneration
    if architecture in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values() and "Conditional" not in architecture:
        return AutoModelForCausalLM
    raise UserError(f"{folder} holds a {architecture}; name a causal language model (...ForCausalLM) in sources.yaml")


def _text_model(whole: Any) -> PreTrainedModel:
    with torch.device("meta"):
        text = Gemma3ForCausalLM(whole.config.text_config)
    text.model, text.lm_head = whole.model.language_model, whole.lm_head
    return text


def _check_whole(report: Any) -> None:
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"it lacks {len(missing)} tensors of its model, first {missing[0]}")


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    # tokenizer.json is what the model was published with; AutoTokenizer would rebuild parts of it for some classes.
    kind: Any = PreTrainedTokenizerFast if (folder / "tokenizer.json").exists() else AutoTokenizer
    tokenizer: PreTrainedTokenizerFast = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ValueError("it has no tokenizer.json, and its tokenizer cannot be converted to one")
    beside = folder / "chat_template.json"  # where models with an image processor keep it
    if not tokenizer.chat_template and beside.exists():
        tokenizer.chat_template = json.loads(beside.read_text(encoding="utf-8"))["chat_template"]
    return tokenizer


def _gguf_tokenizer(file: Path, read: Callable[[], Any]) -> PreTrainedTokenizerFast:
    """The tokenizer of a GGUF file as its authors publish it, which for some families is not what `read` gives.

    - SmolLM: transformers 5.17 to 5.23 do not know that it splits numbers into digits before anything else, and write
      two different files for it: 1 text in 300 of a dirty catalogue came out otherwise (tried on 6,000).
    - Qwen: the file has no place for the NFC normalizer of the published tokenizer.
    """
    fields = metadata(file)
    pre = fields.get("tokenizer.ggml.pre")
    if pre == "smollm":
        return _smollm_tokenizer(fields)
    tokenizer: PreTrainedTokenizerFast = read()
    if pre == "qwen2":
        tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def _smollm_tokenizer(fields: dict[str, Any]) -> PreTrainedTokenizerFast:
    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    types = fields["tokenizer.ggml.token_type"]
    control = [token for token, kind in zip(tokens, types, strict=True) if kind == 3]
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    named = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown"}
    ids = {name: fields.get(f"tokenizer.ggml.{key}_token_id") for name, key in named.items()}
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        chat_template=fields.get("tokenizer.chat_template"),
        **{name: tokens[index] for name, index in ids.items() if index is not None},
    )


def _first_sentence(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0].rstrip(".")
