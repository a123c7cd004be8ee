"""Logits -> the next token, greedy or sampled, with penalties on repetition; on the model's device, at fixed shapes."""

import torch

from copywriter.params import Decoding


class GreedySampler:
    """The most likely token after the penalties of `decoding`.

    The penalties count generated tokens only. Prompt tokens are left out because a description should repeat its title,
    and because the prompt's end tokens would make the end token less likely. An n-gram of the prompt may be generated
    any number of times: otherwise a product's name could appear once only, and a second mention was misspelt.
    """

    def __init__(self, decoding: Decoding, end: int, vocabulary: int) -> None:
        """`end`: the token that ends a text; `vocabulary`: the number of logits."""
        self.end = end
        self.padding = vocabulary  # no token has this id
        self._penalty = decoding.repetition_penalty
        self._ngram = decoding.no_repeat_ngram_size

    def __call__(
        self, logits: torch.Tensor, generated: torch.Tensor, count: torch.Tensor, prompt: torch.Tensor
    ) -> torch.Tensor:
        """Token ids (rows) for logits (rows, vocabulary), after the first `count` (rows) of `generated` (rows, any).

        `prompt` (rows, any) and `generated` are filled up with `padding`.
        """
        return self._penalised(logits, generated, count, prompt).argmax(-1)

    def _penalised(
        self, logits: torch.Tensor, generated: torch.Tensor, count: torch.Tensor, prompt: torch.Tensor
    ) -> torch.Tensor:
        logits = logits.float()
        if self._penalty != 1:
            lower = torch.where(logits > 0, logits / self._penalty, logits * self._penalty)
            logits = torch.where(self._vocabulary_mask(generated), lower, logits)
        if 0 < self._ngram <= generated.shape[1]:
            size = self._ngram - 1
            last = count[:, None] - size + torch.arange(size, device=count.device)
            prefix = torch.where(last < 0, self.padding, generated.gather(1, last.clamp(min=0)))
            repeats = self._vocabulary_mask(self._continuations(prefix, generated))
            allowed = self._vocabulary_mask(self._continuations(prefix, prompt))
            logits = logits.masked_fill(repeats & ~allowed, float("-inf"))
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


class TemperatureSampler(GreedySampler):
    """A token drawn from the softmax at a temperature; the same seed draws the same tokens."""

    def __init__(self, decoding: Decoding, end: int, vocabulary: int, temperature: float, seed: int) -> None:
        super().__init__(decoding, end, vocabulary)
        self._temperature = temperature
        self._generator = torch.Generator().manual_seed(seed)  # on the CPU: the same draws on every device

    def __call__(
        self, logits: torch.Tensor, generated: torch.Tensor, count: torch.Tensor, prompt: torch.Tensor
    ) -> torch.Tensor:
        """Token ids (rows), as GreedySampler's; not within a captured CUDA graph."""
        probabilities = (self._penalised(logits, generated, count, prompt) / self._temperature).softmax(-1)
        exponential = torch.empty(probabilities.shape).exponential_(generator=self._generator)
        # The largest of p / Exp(1) is index i with probability p_i (the exponential race).
        return (probabilities / exponential.to(probabilities.device)).argmax(-1)
