"""models/base in one form: safetensors in bfloat16, a fast tokenizer, configs without versions."""

from pathlib import Path
from typing import Any

import transformers
from transformers import AutoTokenizer, GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from copywriter import files
from copywriter.errors import UserError

_VOLATILE = ("transformers_version", "_name_or_path", "_model_name_or_path", "_from_model_config", "auto_map")
_PROBE = "User's 3 Piece  Set, 12.5\" x 40 cm\n\n100% cotton – “best” <b>price</b>: £9.99… Cafe\u0301"


def write(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> str:
    """Fills `folder` with weights, configs and tokenizer; the token that ends a turn.

    The configs keep what a reader needs and no more: library versions, paths and sampling defaults would make equal
    weights differ between machines, and decoding is params.yaml's.
    """
    embeddings: Any = model.get_input_embeddings()
    end = end_of_turn(tokenizer, embeddings.num_embeddings)
    backend = tokenizer.backend_tokenizer
    named = {"bos_token": tokenizer.bos_token, "eos_token": end, "pad_token": end, "unk_token": tokenizer.unk_token}
    named = {name: str(token) for name, token in named.items() if token}
    ids = {f"{name}_id": backend.token_to_id(token) for name, token in named.items() if name != "unk_token"}

    model.generation_config = GenerationConfig(**ids)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder, max_shard_size="1000GB")
    files.rewrite_json(folder / "config.json", drop=_VOLATILE, change=ids)
    files.write_json(folder / "generation_config.json", ids)

    backend.no_truncation()
    backend.no_padding()
    backend.save(str(folder / "tokenizer.json"))
    special = [token.content for _, token in sorted(tokenizer.added_tokens_decoder.items()) if token.special]
    files.write_json(
        folder / "tokenizer_config.json",
        {
            **named,
            "tokenizer_class": "PreTrainedTokenizerFast",  # tokenizer.json as it is: other classes build parts anew
            "extra_special_tokens": [token for token in special if token not in named.values()],
            "clean_up_tokenization_spaces": False,  # what the model wrote is what is shown
        },
    )
    if tokenizer.chat_template:
        (folder / "chat_template.jinja").write_text(tokenizer.get_chat_template(), encoding="utf-8")
    _check_tokenizer(folder, tokenizer, end)
    return end


def end_of_turn(tokenizer: PreTrainedTokenizerFast, embeddings: int) -> str:
    """The special token that the chat template puts after an assistant's turn; the tokenizer's own end without one.

    UserError when there is none, or the model has no embedding for it.
    """
    end = tokenizer.eos_token
    if tokenizer.chat_template:
        turn = [{"role": "user", "content": "A question"}, {"role": "assistant", "content": "An answer"}]
        after = str(tokenizer.apply_chat_template(turn, tokenize=False)).rpartition("An answer")[2].lstrip()
        tokens = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
        end = max((token for token in tokens if after.startswith(token)), key=len, default=end)
    number = tokenizer.backend_tokenizer.token_to_id(str(end)) if end else None
    if number is None or number >= embeddings:
        raise UserError(
            f"the model has no token that ends a text (its eos_token is {end!r}), so nothing can stop a description; "
            "set eos_token in its tokenizer_config.json, or name another model"
        )
    return str(end)


def _check_tokenizer(folder: Path, published: PreTrainedTokenizerFast, end: str) -> None:
    # As modeling/loading.py reads it: for some models transformers builds a tokenizer of its own from the file.
    stored = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if stored.eos_token != end or stored(_PROBE)["input_ids"] != published(_PROBE)["input_ids"]:
        raise UserError(
            f"transformers {transformers.__version__} reads the stored tokenizer otherwise than the published one, "
            f"as a {type(stored).__name__}; name another model"
        )
