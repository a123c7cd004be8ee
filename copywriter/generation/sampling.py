"""Logits -> the next token, greedily, where loops can be made dearer; on the model's device, at fixed shapes."""

import torch

from copywriter.params import Decoding


class Chooser:
    """The likeliest token under the penalties of `decoding`.

    They see the written text alone: not the prompt, whose title a description should repeat and whose end token would
    make ending less likely. And a run of tokens that the prompt holds may come back as often as it likes: without that
    a product's name could be written once only, and came back misspelt.
    """

    def __init__(self, decoding: Decoding, end: int, vocabulary: int) -> None:
        """`end`: the token that ends a text; `vocabulary`: how many logits there are."""
        self.end = end
        self.nothing = vocabulary  # stands where no token is
        self._penalty = decoding.repetition_penalty
        self._ngram = decoding.no_repeat_ngram_size

    def __call__(
        self, logits: torch.Tensor, written: torch.Tensor, count: torch.Tensor, asked: torch.Tensor
    ) -> torch.Tensor:
        """Tokens (rows) for logits (rows, vocabulary), after the first `count` (rows) of `written` (rows, any).

        `asked`: the prompts (rows, any), filled up with `nothing`, as `written` is.
        """
        return self._penalised(logits, written, count, asked).argmax(-1)

    def _penalised(
        self, logits: torch.Tensor, written: torch.Tensor, count: torch.Tensor, asked: torch.Tensor
    ) -> torch.Tensor:
        logits = logits.float()
        if self._penalty != 1:
            dearer = torch.where(logits > 0, logits / self._penalty, logits * self._penalty)
            logits = torch.where(self._marked(written), dearer, logits)
        if 0 < self._ngram <= written.shape[1]:
            size = self._ngram - 1
            last = count[:, None] - size + torch.arange(size, device=count.device)
            ending = torch.where(last < 0, self.nothing, written.gather(1, last.clamp(min=0)))
            again = self._marked(self._after(ending, written)) & ~self._marked(self._after(ending, asked))
            logits = logits.masked_fill(again, float("-inf"))
        return logits

    def _marked(self, tokens: torch.Tensor) -> torch.Tensor:
        """A mask (rows, vocabulary) of `tokens` (rows, any)."""
        mask = torch.zeros(len(tokens), self.nothing + 1, dtype=torch.bool, device=tokens.device)
        return mask.scatter_(1, tokens, True)[:, : self.nothing]

    def _after(self, ending: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """What follows `ending` (rows, size) wherever it stands in `text` (rows, any); `nothing` elsewhere."""
        size = ending.shape[1]
        if not size:
            return text
        if text.shape[1] <= size:
            return torch.full_like(ending, self.nothing)
        same = (text.unfold(1, size, 1)[:, :-1] == ending[:, None]).all(-1)
        return torch.where(same, text[:, size:], self.nothing)


class Sampler(Chooser):
    """A token drawn by its likelihood at a temperature; the same seed draws the same tokens."""

    def __init__(self, decoding: Decoding, end: int, vocabulary: int, temperature: float, seed: int) -> None:
        super().__init__(decoding, end, vocabulary)
        self._temperature = temperature
        self._draw = torch.Generator().manual_seed(seed)  # on the CPU: the same draws on every processor

    def __call__(
        self, logits: torch.Tensor, written: torch.Tensor, count: torch.Tensor, asked: torch.Tensor
    ) -> torch.Tensor:
        """Tokens (rows), as the Chooser's; never within a captured step."""
        shares = (self._penalised(logits, written, count, asked) / self._temperature).softmax(-1)
        waits = torch.empty(shares.shape).exponential_(generator=self._draw).to(shares.device)
        return (shares / waits).argmax(-1)  # of exponential waits, the first to ring: drawn by its share
