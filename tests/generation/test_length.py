"""Texts of a requested length: they end at a sentence end near it, and nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from copywriter import params, paths
from copywriter.generation.inference import InferenceModel, request
from copywriter.generation.length import LengthSampler
from copywriter.generation.sampling import Sampler
from copywriter.prompt import load_tokenizer
from tests.conftest import changed
from tests.generation.test_generate import prepare
from tests.test_ask import run

SIX = "One two three. Four five six."
STREAMS = torch.tensor([7])


def likes(tokenizer: Any, token: int) -> torch.Tensor:
    """Logits (1, vocabulary) of a model that wants `token` next."""
    logits = torch.zeros(1, len(tokenizer))
    logits[0, token] = 30.0
    return logits


def next_token(tokenizer: Any, text: str, words: int, wanted: int, temperature: float = 0.0) -> int:
    """The token that a sampler for `words` words takes after `text`."""
    decoding = changed(decoding__no_repeat_ngram_size=0, decoding__repetition_penalty=1.0).decoding
    end = int(tokenizer.eos_token_id)
    sampler = LengthSampler(decoding, end, len(tokenizer), temperature, "cpu", None, tokenizer, words)
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    padded = torch.cat([ids, torch.full((1, 5), sampler.padding)], dim=1)
    count = torch.tensor([ids.shape[1]])
    return int(sampler(likes(tokenizer, wanted), padded, count, ids[:, :1], STREAMS))


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize(
    ("text", "words", "ends"),
    [
        (SIX, 7, True),  # 6 words and a third of a sentence of three
        (SIX, 8, False),
        (SIX, 3, True),
        ('It is "six."', 3, True),
        ("It costs 2.", 3, True),
        ("One two three four", 1, False),  # inside a sentence, whatever the number
        ("A bucket of 2.5", 1, False),
        ("A bucket,", 1, False),
    ],
)
def test_a_text_ends_at_a_sentence_end_near_the_number(
    tiny_base: Path, text: str, words: int, ends: bool, temperature: float
) -> None:
    tokenizer = load_tokenizer(tiny_base)
    end = int(tokenizer.eos_token_id)
    space = tokenizer(" b", add_special_tokens=False)["input_ids"][0]
    for wanted in (end, space):  # the model's own wish to end does not decide
        assert (next_token(tokenizer, text, words, wanted, temperature) == end) is ends


def test_a_point_inside_a_number_or_a_name_is_no_sentence_end(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    for text, wanted in (("A bucket of 2.", "5"), ("Sold by shop.", "c")):
        (token,) = tokenizer(wanted, add_special_tokens=False)["input_ids"]
        assert next_token(tokenizer, text, 3, token) == token


def test_a_sentence_without_end_gets_one(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    (letter,) = tokenizer("b", add_special_tokens=False)["input_ids"]
    assert next_token(tokenizer, "word " * 20 + "word", 20, letter) == letter
    # Full stops gain 0.25 a word from the tenth word too many on: 30 after 130 words.
    assert tokenizer.decode([next_token(tokenizer, "word " * 200 + "word", 20, letter)]) in (".", "!", "?")


def test_rows_of_a_batch_have_lengths_of_their_own(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    end = int(tokenizer.eos_token_id)
    sampler = LengthSampler(changed().decoding, end, len(tokenizer), 0.0, "cpu", None, tokenizer, 6)
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (SIX, "One two.", "One two")]
    width = max(map(len, rows))
    padded = torch.tensor([row + [sampler.padding] * (width - len(row)) for row in rows])
    counts = torch.tensor([len(row) for row in rows])
    found = sampler(torch.zeros(3, len(tokenizer)), padded, counts, padded[:, :1], STREAMS.expand(3)).tolist()
    assert [one == end for one in found] == [True, False, False]


@pytest.fixture
def model(room: Path) -> InferenceModel:
    """The tiny model, which repeats itself for ever where it is free to."""
    prepare(room)
    return InferenceModel(paths.BASE, params.load())


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_longer_request_gives_a_longer_text_in_sentences(model: InferenceModel, temperature: float) -> None:
    lengths = []
    for words in (5, 40):  # above decoding.max_new_tokens, 16 here
        *_, (_, text) = model.stream(request("Steel bucket"), temperature, words=words)
        assert text is not None
        assert not text.stopped or text.text.rstrip("\"')*]\u201d\u2019\u00bb").endswith((".", "!", "?"))
        lengths.append(text.tokens)
    assert 16 < lengths[0] < lengths[1]


def test_without_a_request_the_sampler_is_the_plain_one(model: InferenceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []

    def counted(self: Sampler, *inputs: torch.Tensor) -> torch.Tensor:
        used.append(type(self))
        return call(self, *inputs)

    call = Sampler.__call__
    monkeypatch.setattr(Sampler, "__call__", counted)
    *_, (_, streamed) = model.stream(request("Steel bucket"))
    assert set(used) == {Sampler}
    assert streamed == next(model.texts([request("Steel bucket")]))


def test_ask_gives_equal_texts_of_a_length_to_titles_and_to_files(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(room)
    (room / "titles.txt").write_text("Steel bucket\nPink tutu\n")
    shared = ("--weights", "models/base", "--words", "20", "--json")
    code, alone, _ = run(monkeypatch, capsys, *shared, "Steel bucket", "Pink tutu")
    assert code == 0
    assert run(monkeypatch, capsys, *shared, "--file", "titles.txt")[1] == alone
    free = run(monkeypatch, capsys, "--weights", "models/base", "--json", "Steel bucket")[1]
    assert json.loads(free)["tokens"] < json.loads(alone.splitlines()[0])["tokens"]
