"""A title -> its description, by a model that is loaded once: what `ask` and the page of a shop need."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from copywriter import params
from copywriter.cleaning import rules
from copywriter.errors import UserError
from copywriter.generation import generate
from copywriter.generation.generate import Written
from copywriter.generation.sampling import Chooser, Sampler
from copywriter.modeling import device, loading
from copywriter.prompt import Prompter, load_tokenizer

_OF_TRAINING = ("quantization", "max_length", "max_prompt_length", "prompt")


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A title as training would have seen it, and the user's own question; None: that of the title."""

    title: str
    question: str | None = None


def request(title: str, question: str | None = None) -> Request:
    """A title cleaned by the rules that the training titles went through; UserError when nothing is left of it."""
    try:
        title = rules.clean(title)
    except UserError as error:
        raise UserError(f"the title {title[:40]!r} cannot be read: {error}") from None
    if not any(letter.isalnum() for letter in title):
        raise UserError(f"the title {title[:40]!r} has no letter or digit; give the product's name")
    if question is not None and not question.strip():
        raise UserError("the question is empty; leave --question out to ask as in training")
    return Request(title, question)


def settings(weights: Path, p: params.Params) -> params.Params:
    """`p`, with what an adapter was trained with in place of what params.yaml has come to say since."""
    receipt = weights / loading.RECEIPT
    if not loading.is_adapter(weights) or not receipt.exists():
        return p
    told = json.loads(receipt.read_text(encoding="utf-8")).get("params", {})
    return params.check(params.Params, p.model_dump() | {key: told[key] for key in _OF_TRAINING if key in told}, "")


class Answers:
    """A loaded model."""

    def __init__(self, weights: Path, p: params.Params) -> None:
        """UserError when the weights are missing, damaged or of another base; see model.load_dense."""
        self._settings = settings(weights, p)
        processor = device.choose()
        self._tokenizer = load_tokenizer(weights)
        self._prompter = Prompter(self._tokenizer, self._settings)
        dtype = device.dtype(p.precision, processor)
        self._model = loading.load_dense(weights, self._settings.quantization, dtype, processor)
        # Texts at once: as many as are written at no more time each.
        self.at_once = p.decoding.batch_size if processor.type == "cuda" else min(16, p.decoding.batch_size)

    def question(self, one: Request) -> str:
        """What is asked: the user's question, or that of the title."""
        return one.question or self._prompter.question(one.title)

    def prompt(self, one: Request) -> list[int]:
        """The prompt's ids; UserError when the question leaves no room for a title."""
        return self._prompter.prompts([one.title], [self.question(one)])[0]

    def stream(self, one: Request, temperature: float = 0, seed: int = 0) -> Iterator[tuple[str, Written | None]]:
        """The text in pieces as it is written, see generate.stream; drawn by `seed` where temperature is over 0."""
        ends: tuple[int, int] = (self._prompter.end, self._model.get_output_embeddings().weight.shape[0])  # type: ignore[no-untyped-call]
        decoding = self._settings.decoding
        choose = Sampler(decoding, *ends, temperature, seed) if temperature else Chooser(decoding, *ends)
        return generate.stream(self._model, self._tokenizer, self.prompt(one), decoding, choose)

    def texts(self, rows: Sequence[Request]) -> Iterator[Written]:
        """A text for each row, in their order, as soon as it and those before it are written."""
        prompts = [self.prompt(row) for row in rows]
        decoding = self._settings.decoding.model_copy(update={"batch_size": max(1, min(self.at_once, len(rows)))})
        found: dict[int, Written] = {}
        at = 0
        for number, written in generate.texts(self._model, self._tokenizer, prompts, decoding):
            found[number] = written
            while at in found:
                yield found.pop(at)
                at += 1
