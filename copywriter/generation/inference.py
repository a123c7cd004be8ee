"""Inference for single titles with a model that is loaded once: for `ask`, and for pages that call it."""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from copywriter import files, params, paths
from copywriter.cleaning import rules
from copywriter.errors import UserError
from copywriter.generation import generate
from copywriter.generation.generate import Generated
from copywriter.generation.sampling import GreedySampler, TemperatureSampler
from copywriter.modeling import device, loading
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.retrieval.retriever import Retriever, Source

_PARAMS_OF_TRAINING = ("quantization", "max_length", "max_prompt_length", "prompt")


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A cleaned title, and the user's own question; None: the question that params.yaml gives the title."""

    title: str
    question: str | None = None


def request(title: str, question: str | None = None) -> Request:
    """A title cleaned by the rules for training titles; UserError when nothing is left of it."""
    try:
        title = rules.clean(title)
    except UserError as error:
        raise UserError(f"the title {title[:40]!r} cannot be read: {error}") from None
    if not any(letter.isalnum() for letter in title):
        raise UserError(f"the title {title[:40]!r} has no letter or digit; give the product's name")
    if question is not None and not question.strip():
        raise UserError("the question is empty; leave --question out to ask as in training")
    return Request(title, question)


def trained_params(weights: Path, p: params.Params) -> params.Params:
    """`p` with the values that the adapter in `weights` was trained with, from its receipt.

    The receipt (receipt.json beside the weights) records how an adapter was made. Other weights leave `p` as it is.
    """
    receipt = weights / loading.RECEIPT
    if not loading.is_adapter(weights) or not receipt.exists():
        return p
    trained = json.loads(receipt.read_text(encoding="utf-8")).get("params", {})
    values = {key: trained[key] for key in _PARAMS_OF_TRAINING if key in trained}
    # An adapter that was trained without neighbours has no such section in its receipt.
    retrieval = trained.get("retrieval", p.retrieval.model_dump() | {"neighbours": 0})
    return params.check(params.Params, p.model_dump() | values | {"retrieval": retrieval}, "")


def start_retriever(weights: Path, p: params.Params) -> Future[Retriever] | None:
    """The retriever that is being built in another thread, None where nothing is retrieved; a line says why.

    Its 30 microseconds a training row pass while the weights are loaded.
    """
    if not p.retrieval.neighbours:
        return None
    if not paths.TRAIN.exists():
        reason = f"{paths.TRAIN} is missing (run 'dvc repro split')"
        print(f"ask: {reason}, so texts are written without similar products", file=sys.stderr)
        return None
    if loading.is_adapter(weights):
        trained_on = json.loads((weights / loading.RECEIPT).read_text(encoding="utf-8"))["data"]
        if trained_on.get(paths.TRAIN.as_posix()) != files.sha256(paths.TRAIN):
            print(f"ask: {paths.TRAIN} is not the training set of {weights}; it is used all the same", file=sys.stderr)
    pool = ThreadPoolExecutor(1)
    building = pool.submit(Retriever, paths.TRAIN, p.retrieval.neighbours)
    pool.shutdown(wait=False)
    return building


class InferenceModel:
    """A loaded model with its tokenizer and prompts."""

    def __init__(self, weights: Path, p: params.Params) -> None:
        """UserError when the weights are missing, damaged or trained on another base; see loading.load_dense."""
        self._params = trained_params(weights, p)
        self._retriever = start_retriever(weights, self._params)
        processor = device.choose()
        self._tokenizer = load_tokenizer(weights)
        self._prompter = Prompter(self._tokenizer, self._params)
        dtype = device.dtype(p.precision, processor)
        self._model = loading.load_dense(weights, self._params.quantization, dtype, processor)
        # The largest batch that takes no more time a text than a smaller one.
        self.batch_size = p.decoding.batch_size if processor.type == "cuda" else min(16, p.decoding.batch_size)

    def question(self, one: Request) -> str:
        """The question of the prompt: the user's own, or the title's."""
        return one.question or self._prompter.question(one.title)

    def prompt(self, one: Request) -> list[int]:
        """The prompt's token ids; UserError when the question leaves no room for a title."""
        shown = [source.product for source in self.sources(one)]
        return self._prompter.prompts([one.title], [self.question(one)], [shown] if shown else None)[0]

    def sources(self, one: Request) -> list[Source]:
        """The training products that the prompt shows, the most similar first."""
        return self._retriever.result().sources([one.title])[0] if self._retriever else []

    def stream(self, one: Request, temperature: float = 0, seed: int = 0) -> Iterator[tuple[str, Generated | None]]:
        """The text in pieces, see generate.stream: greedy, or sampled with `seed` where temperature is over 0."""
        vocabulary = self._model.get_output_embeddings().weight.shape[0]  # type: ignore[no-untyped-call]
        decoding, end = self._params.decoding, self._prompter.end
        sampler = GreedySampler(decoding, end, vocabulary)
        if temperature:
            sampler = TemperatureSampler(decoding, end, vocabulary, temperature, seed)
        return generate.stream(self._model, self._tokenizer, self.prompt(one), decoding, sampler)

    def texts(self, rows: Sequence[Request]) -> Iterator[Generated]:
        """A text for each row, in row order, each as soon as it and all before it are finished."""
        prompts = [self.prompt(row) for row in rows]
        decoding = self._params.decoding.model_copy(update={"batch_size": max(1, min(self.batch_size, len(rows)))})
        finished: dict[int, Generated] = {}
        next_row = 0
        for row, one in generate.texts(self._model, self._tokenizer, prompts, decoding):
            finished[row] = one
            while next_row in finished:
                yield finished.pop(next_row)
                next_row += 1
