"""Constrained decoding: the numbers of a text are those of its prompt, digit for digit.

A *run* is a sequence of digit tokens with none before or behind it. The next token is a digit only if the run so far
and this digit begin a run of the prompt, and a run ends only where one of the prompt does. So "12" and "128" can be
written after "128 GB, 12 inches", but neither "1" nor "28". Units are not looked at: "12 cm" remains possible.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONGEST = 12  # digit tokens of a run that are compared
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # how SentencePiece names the tokens of single bytes


def digit_tokens(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> torch.Tensor:
    """A mask (vocabulary) of the tokens that contain one of the digits 0 to 9; special tokens with one are in it too.

    `vocabulary`: the number of logits, which may be larger than the tokenizer's.
    """
    mask = torch.zeros(vocabulary, dtype=torch.bool)
    mask[[number for token, number in tokenizer.get_vocab().items() if _has_digit(token)]] = True
    mask[int(tokenizer.eos_token_id)] = False
    return mask


def _has_digit(token: str) -> bool:
    byte = _BYTE.fullmatch(token)
    return bool(re.search("[0-9]", chr(int(byte[1], 16)) if byte else token))


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
