"""Constrained decoding: every number of a text is one of its prompt, whatever the logits and the other rules say."""

import random
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from copywriter.generation import constrained_numbers, generate
from copywriter.generation.sampling import Sampler
from copywriter.modeling import loading
from copywriter.prompt import load_tokenizer
from tests.conftest import changed

LETTERS = [*"0123456789", "00", "12", "345", *"abcdef", "3d", "."]  # 0 to 9 and some longer tokens have digits
END = LETTERS.index(".")


def runs(tokens: Sequence[int]) -> set[tuple[int, ...]]:
    """The runs of digit tokens."""
    found, run = set(), []
    for token in [*tokens, END]:
        if re.search("[0-9]", LETTERS[token]):
            run.append(token)
        elif run:
            found.add(tuple(run))
            run = []
    return found


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("settings", [{}, {"no_repeat_ngram_size": 2, "repetition_penalty": 1.5}])
def test_a_text_has_only_runs_of_its_prompt(seed: int, settings: dict[str, Any]) -> None:
    chance, given = random.Random(seed), {"no_repeat_ngram_size": 0, "repetition_penalty": 1.0} | settings
    decoding = changed().decoding.model_copy(update=given)
    digits = torch.tensor([bool(re.search("[0-9]", one)) for one in LETTERS])
    sampler = Sampler(decoding, END, len(LETTERS), digits=digits)
    length, rows = 24, 4
    prompts = [[chance.randrange(len(LETTERS)) for _ in range(length - row)] + [END] for row in range(rows)]
    padded = torch.tensor([[*one, *[len(LETTERS)] * row] for row, one in enumerate(prompts)])
    generated, count = torch.full((rows, 60), len(LETTERS)), torch.zeros(rows, dtype=torch.long)
    random_numbers = torch.Generator().manual_seed(seed)
    for _ in range(60):
        logits = torch.randn(rows, len(LETTERS), generator=random_numbers) + 2 * digits
        token = sampler(logits, generated, count, padded, count)
        generated.scatter_(1, count[:, None], token[:, None])
        count += 1
    wrote = 0
    for written, prompt in zip(generated.tolist(), prompts, strict=True):
        while len(written) and digits[written[-1]]:
            written.pop()  # the last run may have been cut off
        assert runs(written) <= runs(prompt)
        wrote += len(runs(written))
    assert wrote


def test_a_prompt_without_digits_lets_none_be_written() -> None:
    digits = torch.tensor([bool(re.search("[0-9]", one)) for one in LETTERS])
    sampler = Sampler(changed().decoding, END, len(LETTERS), digits=digits)
    logits = torch.where(digits, 100.0, 0.0)[None]
    nothing, zero = torch.full((1, 30), len(LETTERS)), torch.zeros(1, dtype=torch.long)
    asked = torch.tensor([[LETTERS.index("a"), END, len(LETTERS)]])
    assert not digits[sampler(logits, nothing, zero, asked, zero)]


def digit_tokens(*vocabulary: str) -> set[str]:
    tokenizer: Any = SimpleNamespace(
        get_vocab=lambda: {token: number for number, token in enumerate([*vocabulary, "<|end2|>"])},
        eos_token_id=len(vocabulary),
    )
    mask = constrained_numbers.digit_tokens(tokenizer, len(vocabulary) + 5)
    assert len(mask) == len(vocabulary) + 5
    return {vocabulary[number] for number in mask.nonzero()[:, 0].tolist()}


def test_tokens_with_digits_are_found_by_their_text() -> None:
    written = ["7", "▁12", "<0x35>", "x9", "½", "▁¼", "٣", "３", "⅛"]
    assert digit_tokens("a", "<0x0A>", "<0xBC>", "<0xB2>", "▁x²", "Ⅳ", "三", "Â", *written) == {*written}


def test_tokens_of_byte_level_tokenizers_are_found_by_their_bytes() -> None:
    """The letters of such a vocabulary are bytes: "Â¼" is one fraction, and "¼" the last byte of many characters."""
    written = ["7", "Ġ12", "Â¼", "ĠÂ½", "x9", "Ù£"]
    assert digit_tokens("a", "Ġ", "¼", "½", "Â", "Â²", "Ã½", "ĠâĪĴ", *written) == {*written}


def test_generated_texts_have_only_numbers_of_their_prompts(tiny_base: Path) -> None:
    tokenizer, cpu = load_tokenizer(tiny_base), torch.device("cpu")
    model = loading.load_dense(tiny_base, "4bit", torch.float32, cpu)
    titles = [f"Bucket {n} of {n * 37} litres {n % 3}.{n}" for n in range(12)]
    prompts = tokenizer(titles, add_special_tokens=False)["input_ids"]
    decoding = changed(decoding__max_new_tokens=200).decoding
    free = dict(generate.texts(model, tokenizer, prompts, decoding))
    bound = dict(generate.texts(model, tokenizer, prompts, decoding, constrain_numbers=True))

    def odd(texts: dict[int, generate.Generated]) -> int:
        numbers = re.compile("[0-9]+")
        found = ({*numbers.findall(one.text[:-12])} - {*numbers.findall(titles[n])} for n, one in texts.items())
        return sum(map(len, found))

    assert odd(free) > 5
    assert odd(bound) == 0
