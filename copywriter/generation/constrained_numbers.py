"""Constrained decoding: the numbers of a text are those of its prompt, digit for digit.

A *run* is a sequence of digit tokens with none before or behind it. The next token is a digit only if the run so far
and this digit begin a run of the prompt, and a run ends only where one of the prompt does. So "12" and "128" can be
written after "128 GB, 12 inches", but neither "1" nor "28". Units are not looked at: "12 cm" remains possible.
Digits are those of any script, and fractions that are one character (½). Superscripts are none: they are parts of
units (m²).
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import torch
from tokenizers.decoders import ByteLevel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONGEST = 12  # digit tokens of a run that are compared
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # how SentencePiece names the tokens of single bytes
_SPACE = "Ġ"  # how byte-level tokenizers write a space; each byte is one letter in their vocabulary


def digit_tokens(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> torch.Tensor:
    """A mask (vocabulary) of the tokens that contain a digit or a fraction; special tokens with one are in it too.

    A character of which no token contains all bytes is not found. `vocabulary`: the number of logits, which may be
    larger than the tokenizer's.
    """
    numbers = tokenizer.get_vocab()
    bytewise = ByteLevel() if _SPACE in numbers else None
    mask = torch.zeros(vocabulary, dtype=torch.bool)
    mask[[number for token, number in numbers.items() if _has_digit(token, bytewise)]] = True
    mask[int(tokenizer.eos_token_id)] = False
    return mask


def _has_digit(token: str, bytewise: ByteLevel | None) -> bool:
    if byte := _BYTE.fullmatch(token):
        token = chr(int(byte[1], 16))
        return token.isascii() and token.isdigit()
    if bytewise and not (token := token.removeprefix(_SPACE)).isascii():
        token = bytewise.decode([token])
    return any(_is_digit(char) for char in token)


def _is_digit(char: str) -> bool:
    return char.isdecimal() or unicodedata.decomposition(char).startswith("<fraction>")


def allowed(
    digits: torch.Tensor, generated: torch.Tensor, count: torch.Tensor, prompt: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The digit tokens that may follow (rows, vocabulary), and the rows (rows) in which any other token may.

    `digits` (vocabulary): of digit_tokens. `generated` (rows, any), of which the first `count` (rows) are written, and
    `prompt` (rows, any) are filled up with the id `vocabulary`. A row without other tokens always has a digit token.
    """
    padding = len(digits)
    is_digit = torch.cat([digits, digits.new_zeros(1)])
    back = torch.arange(_LONGEST, 0, -1, device=count.device)  # places before the next token, the farthest first
    at = count[:, None] - back
    last = torch.where(at < 0, padding, generated.gather(1, at.clamp(min=0)))
    before = torch.nn.functional.pad(prompt, (_LONGEST, 0), value=padding).unfold(1, _LONGEST, 1)[:, :-1]
    run = _length_at_end(is_digit[last])
    same = ((before == last[:, None]) | (back > run[:, None])[:, None]).all(-1)
    same &= _length_at_end(is_digit[before]) == run[:, None]
    continues = same & is_digit[prompt]
    following = torch.zeros(len(prompt), padding + 1, dtype=torch.bool, device=prompt.device)
    following.scatter_(1, torch.where(continues, prompt, padding), True)
    ends = (run == 0) | (same & ~is_digit[prompt]).any(1)
    return following[:, :padding], ends


def _length_at_end(mask: torch.Tensor) -> torch.Tensor:
    """How many of the last entries (..., entries) are true without a gap."""
    return mask.flip(-1).to(torch.int32).cumprod(-1).sum(-1)
