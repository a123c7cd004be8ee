"""Length on request: texts of about N words that end with a sentence, by a bias on the logits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from copywriter.generation.sampling import Sampler
from copywriter.params import Decoding

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SENTENCE_END = re.compile(r"""[.!?\u2026\u3002\uff01\uff1f]["'\u201d\u2019\u00bb)\]*]*\s*$""")
_FULL_STOPS = re.compile(r"""[.!?\u2026\u3002\uff01\uff1f]["'\u201d\u2019\u00bb)\]*]*(?=\s|$)""")
_SLACK = 10  # words past the requested number before full stops are favoured
_FULL_STOP_BIAS = 0.25  # added to the logits of ".", "!" and "?" for each word past that


def new_tokens(words: int) -> int:
    """The most new tokens of a text of `words` words: more than words take, so that sentences can end."""
    return 3 * words + 64


class LengthSampler(Sampler):
    """A Sampler whose texts end at a sentence end near a number of words.

    The end token is impossible inside a sentence and chosen at the first sentence end from which a third of a sentence,
    of the text's mean length, would reach the number; half a sentence ended short texts too early (docs/log.md).
    Where no sentence ends in time, full stops become more likely with every word. Rows are read on the host, so that
    no CUDA graph can hold this.
    """

    def __init__(
        self,
        decoding: Decoding,
        end: int,
        vocabulary: int,
        temperature: float,
        device: torch.device | str,
        digits: torch.Tensor | None,
        tokenizer: PreTrainedTokenizerBase,
        words: int,
    ) -> None:
        """As Sampler's; `words`: the requested number of words, separated by white space."""
        super().__init__(decoding, end, vocabulary, temperature, device, digits)
        self._tokenizer = tokenizer
        self._words = words
        marks = (ids[-1] for ids in tokenizer([f"a{mark}" for mark in ".!?"], add_special_tokens=False)["input_ids"])
        self._full_stops = [one for one in marks if str(tokenizer.decode([one])).strip() in (".", "!", "?")]

    def _penalised(
        self, logits: torch.Tensor, generated: torch.Tensor, count: torch.Tensor, prompt: torch.Tensor
    ) -> torch.Tensor:
        logits = super()._penalised(logits, generated, count, prompt).clone()
        for row, (ids, length) in enumerate(zip(generated.tolist(), count.tolist(), strict=True)):
            text = str(self._tokenizer.decode(ids[:length], skip_special_tokens=True))
            self._bias(logits[row], text)
        return logits

    def _bias(self, logits: torch.Tensor, text: str) -> None:
        """Changes the logits (vocabulary) of the token after `text` in place."""
        written = len(text.split())
        within = str(self._tokenizer.decode([int(logits.argmax())]))[:1].isalnum()  # a word or number goes on: 2.5
        if _SENTENCE_END.search(text) and not within:
            sentence = written / len(_FULL_STOPS.findall(text))
            logits[self.end] = torch.inf if written + sentence / 3 >= self._words else -torch.inf
        else:
            logits[self.end] = -torch.inf
            if (beyond := written - self._words - _SLACK) > 0:
                logits[self._full_stops] += _FULL_STOP_BIAS * beyond
