"""A tokenizer read by the `tokenizers` library alone, where transformers would only pass its files on to it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")
_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")  # those by which transformers takes tokenizer.json as it is
_KNOWN = {*_NAMED, "extra_special_tokens", "clean_up_tokenization_spaces", "tokenizer_class"}
_KNOWN |= {"backend", "model_max_length"}  # which change no ids
_LARGEST = 100_000  # above it transformers may replace the pre-tokenizer


class PlainTokenizer:
    """What of a transformers tokenizer prompts and texts use, with the same results."""

    def __init__(self, tokenizer: Tokenizer, config: dict[str, Any], chat_template: str) -> None:
        self._tokenizer = tokenizer
        self.chat_template = chat_template
        self.bos_token: str | None = config.get("bos_token")
        self.eos_token_id = tokenizer.token_to_id(config["eos_token"])
        self.all_special_tokens = special_tokens(config)

    def __call__(self, texts: Sequence[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
        """The ids of each text, by the key input_ids."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=add_special_tokens)
        return {"input_ids": [one.ids for one in encoded]}

    def get_vocab(self) -> dict[str, int]:
        """The id of each token, special ones included."""
        return dict(self._tokenizer.get_vocab(with_added_tokens=True))

    def decode(
        self, ids: Sequence[int], skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool = False
    ) -> str:
        """The text of the ids; spaces are never changed."""
        assert not clean_up_tokenization_spaces
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens))

    def apply_chat_template(self, messages: list[dict[str, Any]], tokenize: bool, add_generation_prompt: bool) -> str:
        """The messages as the model's chat template writes them; `tokenize` must be false."""
        assert not tokenize
        template = _environment().from_string(self.chat_template)
        return template.render(messages=messages, add_generation_prompt=add_generation_prompt)


def read(weights: Path) -> PlainTokenizer | None:
    """The tokenizer in `weights`; None where transformers might add something to what its files say."""
    files = [weights / name for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")]
    others = {file.name for file in [*weights.glob("*token*"), *weights.glob("*.model")]} - {one.name for one in files}
    if others or not all(file.exists() for file in files):
        return None
    config = json.loads(files[1].read_text(encoding="utf-8"))
    chat_template = files[2].read_text(encoding="utf-8")
    if not _is_plain(config) or not _renders(chat_template):
        return None
    tokenizer = Tokenizer.from_file(str(files[0]))
    added = {one.content for one in tokenizer.get_added_tokens_decoder().values()}
    if not added.issuperset(special_tokens(config)) or tokenizer.get_vocab_size() > _LARGEST:
        return None
    return PlainTokenizer(tokenizer, config, chat_template) if not (tokenizer.truncation or tokenizer.padding) else None


def special_tokens(config: dict[str, Any]) -> list[str]:
    """The special tokens of a tokenizer_config.json, each once."""
    named = [config[name] for name in _NAMED if config.get(name)]
    return list(dict.fromkeys([*named, *config.get("extra_special_tokens", [])]))


def _is_plain(config: dict[str, Any]) -> bool:
    return (
        config.get("tokenizer_class") in _CLASSES
        and config.get("clean_up_tokenization_spaces", False) is False
        and isinstance(config.get("eos_token"), str)
        and isinstance(config.get("extra_special_tokens", []), list)
        and all(isinstance(one, str) for one in special_tokens(config))
        and config.keys() <= _KNOWN
    )


def _renders(chat_template: str) -> bool:
    """Whether a template needs nothing of what transformers adds to Jinja."""
    try:
        names = meta.find_undeclared_variables(_environment().parse(chat_template))
    except TemplateError:
        return False
    return names <= {"messages", "add_generation_prompt"} and "tojson" not in chat_template


def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
