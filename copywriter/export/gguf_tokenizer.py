"""The tokenizer of models/base in GGUF's fields, all from its tokenizer.json.

llama.cpp has its own code for how text is split before merging, selected by a name (`pre`). The name is found by what
tokenizer.json does, not by the name of the model, so that both give the same ids for a prompt.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import gguf
from gguf import TokenType
from transformers import PreTrainedTokenizerBase

from copywriter.errors import UserError

# Of GPT-4's splitting, with the number of digits that stay together.
_CASELESS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# How a byte-level tokenizer splits text -> llama.cpp's name for it.
_PRE = {
    ("bytes and words",): "gpt-2",
    ("digits", "bytes and words"): "smollm",
    (_CASELESS % "{1,3}", "bytes"): "llama-bpe",
    (_CASELESS % "", "bytes"): "qwen2",
}
_WHOLE_WORDS = {"llama-bpe"}  # a word in the vocabulary is its own token, whatever the merges make of it
_SPACE = "\u2581"


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerBase, vocabulary: int, before: str) -> None:
    """Adds tokens, their kinds, merges or scores, and the ids with a meaning.

    `vocabulary`: rows of the embeddings; `before`: the text with which every prompt begins. UserError for a tokenizer
    that llama.cpp would read otherwise.
    """
    backend: Any = tokenizer
    content = json.loads(backend.backend_tokenizer.to_str())
    model = content["model"]
    added = {token["id"]: token for token in content["added_tokens"]}
    if model["type"] != "BPE" or any(token["lstrip"] or token["rstrip"] for token in added.values()):
        raise _unknown("tokens that are no merges of shorter ones, or that take the spaces beside them")
    merges = [tuple(one.split(" ")) if isinstance(one, str) else tuple(one) for one in model["merges"]]
    ids = {**model["vocab"], **{token["content"]: number for number, token in added.items()}}
    if max(ids.values()) >= vocabulary:
        raise _unknown(f"{max(ids.values()) + 1} tokens for {vocabulary} embeddings")
    tokens = [f"[PAD{number}]" for number in range(vocabulary)]
    kinds = [TokenType.UNUSED] * vocabulary
    for token, number in ids.items():
        tokens[number], kinds[number] = token, TokenType.NORMAL
    for number, token in added.items():
        kinds[number] = TokenType.CONTROL if token["special"] else TokenType.USER_DEFINED
    if model["byte_fallback"]:
        for number, token in added.items():  # llama.cpp looks for them before it replaces spaces
            tokens[number] = token["content"].replace(_SPACE, " ")
        for number, text in enumerate(tokens):
            if kinds[number] == TokenType.NORMAL and len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
                kinds[number] = TokenType.BYTE
        if model["unk_token"]:
            kinds[ids[model["unk_token"]]] = TokenType.UNKNOWN
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(tokens)
        writer.add_token_scores(_scores(tokens, merges))
        writer.add_add_space_prefix(_space_first(content, before.startswith(tuple(tokenizer.all_special_tokens))))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_pre(content))
        writer.add_token_list(tokens)
        writer.add_token_merges([" ".join(pair) for pair in merges])
        writer.add_add_space_prefix(False)
    writer.add_token_types(kinds)
    for name, add in (
        ("bos", writer.add_bos_token_id),
        ("eos", writer.add_eos_token_id),
        ("unk", writer.add_unk_token_id),
        ("pad", writer.add_pad_token_id),
    ):
        if (number := getattr(tokenizer, f"{name}_token_id")) is not None:
            add(number)
    writer.add_add_bos_token(adds_bos(tokenizer, before))


def adds_bos(tokenizer: PreTrainedTokenizerBase, before: str) -> bool:
    """Whether the tokenizer itself begins a text with bos_token, and prompts do too: then programs add it."""
    bos = tokenizer.bos_token
    return bool(bos) and before.startswith(str(bos)) and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]


def _pre(content: Mapping[str, Any]) -> str:
    """llama.cpp's name for how a byte-level tokenizer splits text. It applies no normalizer: clean texts are in NFC."""
    if content["normalizer"] not in (None, {"type": "NFC"}):
        raise _unknown(f"the normalizer {content['normalizer']['type']}")
    step = content["pre_tokenizer"] or {"type": "no splitting"}
    steps = tuple(map(_step, step["pretokenizers"] if step["type"] == "Sequence" else [step]))
    name = _PRE.get(steps)
    if name is None or content["model"]["ignore_merges"] != (name in _WHOLE_WORDS):
        raise _unknown(f"the splitting {' then '.join(steps)}")
    return name


def _step(step: Mapping[str, Any]) -> str:
    if step["type"] == "ByteLevel" and not step["add_prefix_space"]:
        return "bytes and words" if step["use_regex"] else "bytes"
    if step["type"] == "Digits" and step["individual_digits"]:
        return "digits"
    if step["type"] == "Split" and step["behavior"] == "Isolated" and not step["invert"]:
        return str(step["pattern"].get("Regex"))
    return str(step["type"])


def _scores(tokens: Sequence[str], merges: Sequence[tuple[str, ...]]) -> list[float]:
    """A score for each token that falls with the rank of its first merge: llama.cpp merges the highest score first."""
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault("".join(pair), rank)
    return [-float(ranks.get(token, len(merges))) for token in tokens]


def _space_first(content: Mapping[str, Any], special_first: bool) -> bool:
    """Whether a text gets a space before its first word, also after a special token, as llama.cpp does it."""
    step = content["pre_tokenizer"] or {}
    normalizer = content["normalizer"] or {}
    steps = normalizer.get("normalizers", [normalizer])
    if step.get("type") == "Metaspace" and not step["split"] and not normalizer:
        scheme = step["prepend_scheme"]
        if scheme != "first" or special_first:  # "first": only at the start of a prompt, which a special token takes
            return bool(scheme == "always")
    elif steps[-1:] == [{"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}] and (
        not step or (step["type"] == "Split" and step["pattern"] == {"String": " "})
    ):
        if len(steps) == 1:
            return False
        if steps[:-1] == [{"type": "Prepend", "prepend": _SPACE}]:
            return True
    raise _unknown("another treatment of spaces")


def _unknown(what: str) -> UserError:
    return UserError(
        f"llama.cpp would read this base's tokenizer otherwise than it was trained, for it has {what}; run "
        "'python -m copywriter.export merged DIR' and use that folder with transformers or vLLM"
    )
