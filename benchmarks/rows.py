"""The rows that every side trains: random ids in the lengths of titles and descriptions."""

import numpy as np
import torch

from benchmarks.sides import MAX_LENGTH, MAX_PROMPT
from copywriter.prompt import Example

END, PAD, FIRST_WORD = 0, 1, 2  # a row is words, then one END; behind it a side may pad with either


def draw(count: int, vocabulary: int, seed: int) -> list[Example]:
    """`count` rows of about 32 prompt and 110 response tokens (log-normal), cut at MAX_PROMPT + the rest."""
    random = np.random.default_rng(seed)
    prompts = _lengths(random, count, median=30.1, spread=0.35, least=8, most=MAX_PROMPT)
    responses = _lengths(random, count, median=82.0, spread=0.8, least=2, most=MAX_LENGTH - MAX_PROMPT)
    return [
        Example([*random.integers(FIRST_WORD, vocabulary, prompt + response - 1).tolist(), END], prompt, False)
        for prompt, response in zip(prompts.tolist(), responses.tolist(), strict=True)
    ]


def count_tokens(input_ids: torch.Tensor) -> torch.Tensor:
    """(real tokens, all tokens) of a batch in any layout, on its device: words, and each END that follows a word."""
    ids = input_ids.flatten()
    words = ids >= FIRST_WORD
    ends = (ids[1:] == END) & words[:-1]
    return torch.stack([words.sum() + ends.sum(), torch.full_like(words.sum(), ids.numel())])


def _lengths(
    random: np.random.Generator, count: int, median: float, spread: float, least: int, most: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    drawn = np.rint(random.lognormal(np.log(median), spread, count)).astype(np.int64)
    return np.clip(drawn, least, most)
