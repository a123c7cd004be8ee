"""Token ids of a text by the vocabulary in a GGUF file: a second reader, independent of transformers and tokenizers.

It is slow and reads plain text only: control tokens in a text are not recognized as such.
"""

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import regex

from copywriter.fetching.gguf_metadata import metadata

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CASELESS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# How each value of tokenizer.ggml.pre splits a text into words before pairs are merged: one pattern after the other.
_SPLITS = {
    "gpt-2": [_WORDS],
    "smollm": [r"\p{N}", _WORDS],
    "qwen2": [_CASELESS % r"\p{N}"],
    "llama-bpe": [_CASELESS % r"\p{N}{1,3}"],
}
_WHOLE_WORDS_FIRST = {"llama-bpe"}  # a word that is a token stays one, whatever the merges say
_SPACE = "\u2581"
_NORMAL, _USER_DEFINED = 1, 4  # in tokenizer.ggml.token_type


def reader(file: Path) -> Callable[[str], list[int]] | None:
    """What gives the ids of a text by a GGUF file's vocabulary; None for a vocabulary of a kind unknown here."""
    content = metadata(file)

    def value(name: str, default: Any = None) -> Any:
        return content.get(f"tokenizer.ggml.{name}", default)

    tokens: list[str] = value("tokens", [])
    types = value("token_type", [_NORMAL] * len(tokens))
    ids = {token: number for number, token in enumerate(tokens)}
    own = [token for token, kind in zip(tokens, types, strict=True) if token and kind == _USER_DEFINED]
    if value("model") == "gpt2" and value("pre") in _SPLITS:
        ranks = {merge: rank for rank, merge in enumerate(value("merges", []))}
        encode = _byte_pairs(ids, ranks, value("pre"))
    elif value("model") == "llama":
        encode = _scored_pieces(ids, value("scores", []), value("add_space_prefix", True))
    else:
        return None
    whole = regex.compile("|".join(regex.escape(token) for token in sorted(own, key=len, reverse=True)) or r"(?!)")

    def read(text: str) -> list[int]:
        found: list[int] = []
        for part, is_token in _split(whole, text):
            found += [ids[part]] if is_token else encode(part)
        return found

    return read


def _split(pattern: "regex.Pattern[str]", text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a text that match, and those between them."""
    start = 0
    for match in pattern.finditer(text):
        if match.start() > start:
            yield text[start : match.start()], False
        yield match[0], True
        start = match.end()
    if start < len(text):
        yield text[start:], False


def _byte_pairs(ids: dict[str, int], ranks: dict[str, int], pre: str) -> Callable[[str], list[int]]:
    """Byte-level BPE: of all neighbouring pairs in a word that with the lowest rank is merged, until none has one."""
    patterns = [regex.compile(pattern) for pattern in _SPLITS[pre]]
    letters = _byte_letters()

    def encode(text: str) -> list[int]:
        words = [text]
        for pattern in patterns:
            words = [part for word in words for part, _ in _split(pattern, word)]
        found = []
        for word in words:
            spelled = "".join(letters[byte] for byte in word.encode())
            if pre in _WHOLE_WORDS_FIRST and spelled in ids:
                found.append(ids[spelled])
                continue
            merged = _merged(list(spelled), lambda left, right: ranks.get(f"{left} {right}"))
            found += [ids[piece] for piece in merged]
        return found

    return encode


def _scored_pieces(ids: dict[str, int], scores: list[float], prefix: bool) -> Callable[[str], list[int]]:
    """SentencePiece's BPE: the pair whose union has the highest score is merged; what is no token is bytes."""

    def rank(left: str, right: str) -> float | None:
        number = ids.get(left + right)
        return None if number is None else -scores[number]

    def encode(text: str) -> list[int]:
        spelled = (f" {text}" if prefix else text).replace(" ", _SPACE)
        found = []
        for piece in _merged(list(spelled), rank):
            found += [ids[piece]] if piece in ids else [ids[f"<0x{byte:02X}>"] for byte in piece.encode()]
        return found

    return encode


def _merged(pieces: list[str], rank: Callable[[str, str], float | None]) -> list[str]:
    """The pieces after merging neighbours of the lowest rank first, of equal ones the leftmost."""
    after, before = list(range(1, len(pieces) + 1)), list(range(-1, len(pieces) - 1))
    waiting: list[tuple[float, int, str]] = []

    def consider(left: int) -> None:
        if left >= 0 and after[left] < len(pieces):
            right = pieces[after[left]]
            if (found := rank(pieces[left], right)) is not None:
                heapq.heappush(waiting, (found, left, pieces[left] + right))

    for left in range(len(pieces)):
        consider(left)
    while waiting:
        _, left, union = heapq.heappop(waiting)
        right = after[left]
        if right >= len(pieces) or not pieces[left] or pieces[left] + pieces[right] != union:
            continue  # one of the two was merged since
        pieces[left], pieces[right], after[left] = union, "", after[right]
        if after[left] < len(pieces):
            before[after[left]] = left
        consider(left)
        consider(before[left])
    return [piece for piece in pieces if piece]


def _byte_letters() -> list[str]:
    """The letter that byte-level vocabularies write for each byte: itself where it prints, else one from 256 on."""
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printing else next(others)) for byte in range(256)]
