"""Logits -> the next token, greedy or sampled, with penalties on repetition; on the model's device, at fixed shapes."""

import hashlib

import torch

from copywriter.generation import constrained_numbers
from copywriter.params import Decoding

_OFFSETS = 2**20  # starts of a row's noise in the table


class Sampler:
    """The most likely token after the penalties of `decoding`, or one drawn from the softmax at a temperature.

    Drawn by the Gumbel-max trick: the largest of logit / temperature + Gumbel noise is token i with probability p_i.
    The noise of a row's next token starts in one table at a place that its stream and the token's number decide, so
    that a text does not depend on the texts beside it, nor on the device's random numbers.

    The penalties count generated tokens only. Prompt tokens are left out because a description should repeat its title,
    and because the prompt's end tokens would make the end token less likely. An n-gram of the prompt may be generated
    any number of times: otherwise a product's name could appear once only, and a second mention was misspelt.
    """

    def __init__(
        self,
        decoding: Decoding,
        end: int,
        vocabulary: int,
        temperature: float = 0.0,
        device: torch.device | str = "cpu",
        digits: torch.Tensor | None = None,
    ) -> None:
        """`end`: the token that ends a text; `vocabulary`: the number of logits; `temperature`: 0 is greedy.

        `digits` (vocabulary): see constrained_numbers.digit_tokens; None leaves numbers unconstrained.
        """
        self.end = end
        self.padding = vocabulary  # no token has this id
        self._temperature = temperature
        if temperature:
            random = torch.Generator().manual_seed(0)  # on the CPU: the same table on every device
            exponential = torch.empty(_OFFSETS + vocabulary).exponential_(generator=random)
            self._noise = -exponential.log().to(device)
        self._penalty = decoding.repetition_penalty
        self._ngram = decoding.no_repeat_ngram_size
        self._digits = None if digits is None else digits.to(device)

    def __call__(
        self,
        logits: torch.Tensor,
        generated: torch.Tensor,
        count: torch.Tensor,
        prompt: torch.Tensor,
        streams: torch.Tensor,
    ) -> torch.Tensor:
        """Token ids (rows) for logits (rows, vocabulary), after the first `count` (rows) of `generated` (rows, any).

        `prompt` (rows, any) and `generated` are filled up with `padding`; `streams` (rows): see `stream_of`.
        """
        logits = self._penalised(logits, generated, count, prompt)
        if self._temperature:
            starts = _mixed(streams + count * 0x5851F42D4C957F2D) % _OFFSETS
            logits = logits / self._temperature + self._noise.unfold(0, self.padding, 1)[starts]
        return logits.argmax(-1)

    def _penalised(
        self, logits: torch.Tensor, generated: torch.Tensor, count: torch.Tensor, prompt: torch.Tensor
    ) -> torch.Tensor:
        logits = logits.float()
        if self._penalty != 1:
            lower = torch.where(logits > 0, logits / self._penalty, logits * self._penalty)
            logits = torch.where(self._vocabulary_mask(generated), lower, logits)
        unbanned = logits
        if 0 < self._ngram <= generated.shape[1]:
            size = self._ngram - 1
            last = count[:, None] - size + torch.arange(size, device=count.device)
            prefix = torch.where(last < 0, self.padding, generated.gather(1, last.clamp(min=0)))
            repeats = self._vocabulary_mask(self._continuations(prefix, generated))
            allowed = self._vocabulary_mask(self._continuations(prefix, prompt))
            logits = logits.masked_fill(repeats & ~allowed, float("-inf"))
        if self._digits is not None:
            following, ends = constrained_numbers.allowed(self._digits, generated, count, prompt)
            # A number that must go on does so whatever the ban on n-grams says: otherwise no token might be left.
            logits = torch.where(ends[:, None], logits, unbanned)
            logits = logits.masked_fill(~torch.where(self._digits, following, ends[:, None]), float("-inf"))
        return logits

    def _vocabulary_mask(self, tokens: torch.Tensor) -> torch.Tensor:
        """A mask (rows, vocabulary) of the ids in `tokens` (rows, any)."""
        mask = torch.zeros(len(tokens), self.padding + 1, dtype=torch.bool, device=tokens.device)
        return mask.scatter_(1, tokens, True)[:, : self.padding]

    def _continuations(self, prefix: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The token after each occurrence of `prefix` (rows, size) in `tokens` (rows, any); `padding` elsewhere."""
        size = prefix.shape[1]
        if not size:
            return tokens
        if tokens.shape[1] <= size:
            return torch.full_like(prefix, self.padding)
        same = (tokens.unfold(1, size, 1)[:, :-1] == prefix[:, None]).all(-1)
        return torch.where(same, tokens[:, size:], self.padding)


def stream_of(*key: object) -> int:
    """The stream of random numbers, below 2**63, that belongs to a key such as (seed, title, number of the sample)."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big") >> 1


def _mixed(values: torch.Tensor) -> torch.Tensor:
    """int64 values with every bit of each spread over its upper bits (the finalizer of SplitMix64), shifted down."""
    values = (values ^ ((values >> 30) & 0x3FFFFFFFF)) * -0x40A7B892E31B1A47
    values = (values ^ ((values >> 27) & 0x1FFFFFFFFF)) * -0x6B2FB644ECCEEE15
    return (values >> 31) & 0x1FFFFFFFF
