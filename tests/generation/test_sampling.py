"""Sampling: penalties equal those of transformers, except for n-grams of the prompt; equal seeds draw equal texts."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

from copywriter.generation import generate
from copywriter.generation.sampling import Sampler, stream_of
from copywriter.modeling import loading
from copywriter.prompt import load_tokenizer
from tests.conftest import changed

CPU = torch.device("cpu")

ZERO = torch.zeros(1, dtype=torch.long)  # a stream of random numbers that greedy decoding ignores
VOCABULARY, ROWS, MOST, END = 7, 200, 12, 6  # few words, so that runs do come again


def sampler(**settings: Any) -> Sampler:
    off = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
    return Sampler(changed().decoding.model_copy(update=off | settings), END, VOCABULARY)


def filled(rows: list[list[int]], width: int) -> torch.Tensor:
    return torch.tensor([row + [VOCABULARY] * (width - len(row)) for row in rows])


@pytest.fixture(scope="module")
def given() -> tuple[torch.Tensor, list[list[int]]]:
    random = torch.Generator().manual_seed(0)
    counts = torch.randint(0, MOST, (ROWS,), generator=random).tolist()
    rows = [torch.randint(0, END, (count,), generator=random).tolist() for count in counts]
    return torch.randn(ROWS, VOCABULARY, generator=random), rows


@pytest.mark.parametrize("setting", [("repetition_penalty", 1.7), *(("no_repeat_ngram_size", n) for n in (1, 2, 3))])
def test_penalties_are_those_of_transformers(given: tuple[torch.Tensor, list[list[int]]], setting: Any) -> None:
    logits, rows = given
    name, value = setting
    theirs: Any = RepetitionPenaltyLogitsProcessor if name == "repetition_penalty" else NoRepeatNGramLogitsProcessor
    expected = [
        int(theirs(value)(torch.tensor([row], dtype=torch.long), one[None].clone()).argmax())
        for one, row in zip(logits, rows, strict=True)
    ]
    counts = torch.tensor([len(row) for row in rows])
    nothing = filled([[] for _ in rows], 3)
    found = sampler(**{name: value})(logits, filled(rows, MOST), counts, nothing, torch.zeros_like(counts)).tolist()
    assert found == expected
    assert found != logits.argmax(-1).tolist()


def test_only_ngrams_of_the_prompt_may_repeat() -> None:
    logits = torch.zeros(1, VOCABULARY)
    logits[0, 3] = 1.0
    written = [1, 2, 3, 4, 1, 2]  # 3 would repeat 1 2 3
    sample = sampler(no_repeat_ngram_size=3)

    def next_token(asked: list[int]) -> int:
        return int(sample(logits, filled([written], MOST), torch.tensor([len(written)]), filled([asked], 5), ZERO))

    assert next_token([0, 1, 2, 3]) == 3
    assert next_token([0, 1, 2]) != 3
    assert next_token([2, 3, 1, 2]) != 3


def test_a_prompt_shorter_than_the_ngram_exempts_nothing() -> None:
    logits = torch.zeros(1, VOCABULARY)
    logits[0, 3] = 1.0
    written, asked = filled([[1, 2, 3, 1, 2]], MOST), torch.tensor([[2, 3]])
    assert int(sampler(no_repeat_ngram_size=3)(logits, written, torch.tensor([5]), asked, ZERO)) != 3


def test_equal_seeds_sample_equal_texts(tiny_base: Path) -> None:
    dense = loading.load_dense(tiny_base, "none", torch.float32, CPU)
    tokenizer = load_tokenizer(tiny_base)
    decoding = changed(decoding__max_new_tokens=40).decoding

    def drawn(seed: int, temperature: float = 1.0) -> str:
        sampler = Sampler(decoding, int(tokenizer.eos_token_id), len(tokenizer), temperature)
        pieces = generate.stream(dense, tokenizer, [1, 50], decoding, sampler, stream_of(seed))
        return "".join(piece for piece, _ in pieces)

    assert drawn(1) == drawn(1) != drawn(2)
    greedy = dict(generate.texts(dense, tokenizer, [[1, 50]], decoding))[0].text
    assert drawn(1, 1e-4) == greedy


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_tokens_are_sampled_by_their_probability(temperature: float) -> None:
    shares = torch.tensor([0.5, 0.3, 0.2, 0.0])
    sampler = Sampler(changed(decoding__no_repeat_ngram_size=0).decoding, 3, 4, temperature)
    rows = 40_000
    nothing, counts = torch.full((rows, 1), 4), torch.arange(rows) % 50
    streams = torch.tensor([stream_of(row // 50) for row in range(rows)])
    drawn = sampler(shares.log().expand(rows, 4), nothing, counts, nothing, streams)
    expected = (shares.log() / temperature).softmax(0)
    torch.testing.assert_close(torch.bincount(drawn, minlength=4) / rows, expected, atol=0.01, rtol=0)
    assert drawn.tolist() == sampler(shares.log().expand(rows, 4), nothing, counts, nothing, streams).tolist()
    # Neither from one token of a text to the next nor from one text to the next does a draw repeat.
    same = (drawn[1:] == drawn[:-1]).float().mean()
    torch.testing.assert_close(same, (expected**2).sum(), atol=0.01, rtol=0)


def test_a_sampled_text_does_not_depend_on_the_texts_beside_it(tiny_base: Path) -> None:
    dense = loading.load_dense(tiny_base, "none", torch.float32, CPU)
    tokenizer = load_tokenizer(tiny_base)
    decoding = changed(decoding__max_new_tokens=20, decoding__batch_size=3).decoding
    prompts = [[1, 50], [1, 60, 61], [1, 50], [1, 70], [1, 50]]
    streams = [stream_of(row) for row in range(len(prompts))]
    sampled: Any = {"temperature": 1.0, "streams": streams}
    together = dict(generate.texts(dense, tokenizer, prompts, decoding, **sampled))
    for row, prompt in enumerate(prompts):
        alone = generate.texts(dense, tokenizer, [prompt], decoding, temperature=1.0, streams=[streams[row]])
        assert dict(alone)[0] == together[row]
    assert len({together[row].text for row in (0, 2, 4)}) == 3
