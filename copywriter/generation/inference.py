"""Inference for single titles with a model that is loaded once: for `ask`, and for pages that call it."""

import dataclasses
import functools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from copywriter import files, params, paths, sources
from copywriter.cleaning import facts, rules
from copywriter.errors import UserError
from copywriter.generation import generate, loaded
from copywriter.generation.candidates import Candidates
from copywriter.generation.constrained_numbers import digit_tokens
from copywriter.generation.generate import Generated
from copywriter.generation.length import LengthSampler, new_tokens
from copywriter.generation.sampling import Sampler, stream_of
from copywriter.grounding import Stated, excerpt
from copywriter.messages import message
from copywriter.modeling import device, loading
from copywriter.prompt import Prompter
from copywriter.records import Product
from copywriter.retrieval import neighbours
from copywriter.retrieval.retriever import Retriever, Source

_PARAMS_OF_TRAINING = ("quantization", "max_length", "max_prompt_length", "prompt")


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A cleaned title, the user's own question (None: the one that params.yaml gives the title), and lines of facts."""

    title: str
    question: str | None = None
    facts: str = ""


def request(title: str, question: str | None = None, facts: str = "") -> Request:
    """A title cleaned by the rules for training titles; UserError when nothing is left of it.

    `facts`: as ordered_facts returns them.
    """
    try:
        title = rules.clean(title)
    except UserError as error:
        raise UserError(f"the title {title[:40]!r} cannot be read: {error}") from None
    if not any(letter.isalnum() for letter in title):
        raise UserError(f"the title {title[:40]!r} has no letter or digit; give the product's name")
    if question is not None and not question.strip():
        raise UserError("the question is empty; leave --question out to ask as in training")
    return Request(title, question, facts)


def trained_facts(weights: Path) -> list[str] | None:
    """The names of the facts that the adapter in `weights` was trained with; None for other weights: any are shown."""
    receipt = weights / loading.RECEIPT
    if not loading.is_adapter(weights) or not receipt.exists():
        return None
    return list(json.loads(receipt.read_text(encoding="utf-8")).get("facts", []))


def ordered_facts(given: Mapping[str, object], names: Sequence[str] | None) -> str:
    """The lines of facts as in training, cleaned and in the order of `names`, whose case does not matter.

    UserError for an unknown name. `names`: None allows any, in the order given.
    """
    if names is None and (odd := [name for name in given if not sources.FACT_NAME.fullmatch(name)]):
        raise UserError(f"{odd[0]!r} is no name of a fact; give one of letters, digits and spaces, such as brand")
    known = {name.casefold(): name for name in (given if names is None else names)}
    if unknown := [name for name in given if name.casefold() not in known]:
        if not known:
            raise UserError(
                f"the adapter was trained without facts, so {unknown[0]!r} says nothing to it; leave it out"
            )
        raise UserError(f"{unknown[0]!r} is not a fact of the adapter; it knows {', '.join(known.values())}")
    named = {known[name.casefold()]: value for name, value in given.items()}
    try:
        return facts.ordered(named, list(known.values()))
    except (TypeError, RecursionError):
        raise UserError("the value of a fact is an object; give a text, a number or a list of them") from None


def trained_params(weights: Path, p: params.Params) -> params.Params:
    """`p` with the values that the adapter in `weights` was trained with, from its receipt.

    The receipt (receipt.json beside the weights) records how an adapter was made. Other weights leave `p` as it is.
    """
    receipt = weights / loading.RECEIPT
    if not loading.is_adapter(weights) or not receipt.exists():
        return p
    trained = json.loads(receipt.read_text(encoding="utf-8")).get("params", {})
    values = {key: trained[key] for key in _PARAMS_OF_TRAINING if key in trained}
    values["retrieval"] = params.retrieval_of(trained, p)
    return params.check(params.Params, p.model_dump() | values, "")


def start_retriever(weights: Path, p: params.Params) -> Future[Retriever] | None:
    """The retriever that is being built in another thread, None where nothing is retrieved; a line says why.

    Its 30 microseconds a training row pass while the weights are loaded.
    """
    if not p.retrieval.neighbours:
        return None
    if not paths.TRAIN.exists():
        missing = message(
            "ask: {path} is missing (run 'dvc repro split'), so texts are written without similar products",
            path=paths.TRAIN,
        )
        print(missing, file=sys.stderr)
        return None
    if loading.is_adapter(weights):
        trained_on = json.loads((weights / loading.RECEIPT).read_text(encoding="utf-8"))["data"]
        if trained_on.get(paths.TRAIN.as_posix()) != files.sha256(paths.TRAIN):
            other = message(
                "ask: {path} is not the training set of {weights}; it is used all the same",
                path=paths.TRAIN,
                weights=weights,
            )
            print(other, file=sys.stderr)
    pool = ThreadPoolExecutor(1)
    building = pool.submit(Retriever, paths.TRAIN, neighbours.COUNT)
    pool.shutdown(wait=False)
    return building


class InferenceModel:
    """A loaded model with its tokenizer and prompts."""

    def __init__(self, weights: Path, p: params.Params) -> None:
        """UserError when the weights are missing, damaged or trained on another base; see loading.load_dense."""
        self._params = trained_params(weights, p)
        retriever = start_retriever(weights, self._params)
        # A title's sources are asked for several times: for its prompt, for its marks, and to name them.
        self._sources = functools.lru_cache(1024)(
            lambda title: retriever.result().sources([title])[0] if retriever else []
        )
        processor = device.choose()
        dtype = device.dtype(p.precision, processor)
        self._model, self._tokenizer = loaded.load(weights, self._params.quantization, dtype, processor)
        self._prompter = Prompter(self._tokenizer, self._params)
        # The largest batch that takes no more time a text than a smaller one.
        self.batch_size = p.decoding.batch_size if processor.type == "cuda" else min(16, p.decoding.batch_size)

    def question(self, one: Request) -> str:
        """The question of the prompt: the user's own, or the title's."""
        return one.question or self._prompter.question(one.title)

    def prompt(self, one: Request) -> list[int]:
        """The prompt's token ids; UserError when the question leaves no room for a title."""
        shown = [source.product for source in self.sources(one)]
        return self._prompter.prompts([one.title], [self.question(one)], [shown] if shown else None, [one.facts])[0]

    def sources(self, one: Request) -> list[Source]:
        """The training products that the prompt shows, the most similar first."""
        return self._sources(one.title)[: self._params.retrieval.neighbours]

    def stated(self, one: Request, best: Sequence[Source] | None = None) -> Stated:
        """What the prompt states of the product and its sources; a number of the text elsewhere is unsupported.

        `best`: the products that a text of `best` saw, of which whole descriptions count.
        """
        if best is not None:
            return Stated(
                (one.title, one.facts, *(f"{source.product.title}\n{source.product.description}" for source in best))
            )
        some = self.sources(one)
        products = [source.product for source in some]
        words = self._prompter.words_shown(self.prompt(one), products) if some else []
        shown = (
            excerpt(one.title, one.description, count) for one, count in zip(products, words, strict=True) if count
        )
        return Stated((one.title, one.facts, *shown))

    def stream(
        self, one: Request, temperature: float = 0, seed: int = 0, words: int | None = None
    ) -> Iterator[tuple[str, Generated | None]]:
        """The text in pieces, see generate.stream: greedy, or sampled with `seed` where temperature is over 0.

        `words`: about how many words to write, 1 to 400; None leaves the length to the model.
        """
        decoding = self._params.decoding
        vocabulary = generate.vocabulary_size(self._model)
        digits = digit_tokens(self._tokenizer, vocabulary) if self._params.advanced.constrain_numbers else None
        settings = (decoding, self._prompter.end, vocabulary, temperature, self._model.device, digits)
        if words is None:
            sampler = Sampler(*settings)
        else:
            sampler = LengthSampler(*settings, self._tokenizer, words)
            decoding = decoding.model_copy(update={"max_new_tokens": new_tokens(words)})
        random = stream_of(seed, one.title)
        return generate.stream(self._model, self._tokenizer, self.prompt(one), decoding, sampler, random)

    def best(self, rows: Sequence[Request]) -> list[tuple[Generated, list[Source]]]:
        """For each row the text that evaluation would take, of decoding.candidates ones, and the products it saw."""
        sources = [self._sources(row.title) for row in rows]
        of_row = {one.row: one for some in sources for one in some}
        candidates = Candidates(
            self._prompter,
            self._params,
            [Product(row.title, "", row.facts) for row in rows],
            [[(one.row, one.similarity) for one in some] for some in sources],
            {row: one.product for row, one in of_row.items()},
            [self.question(row) for row in rows],
        )
        written = dict(self._written(candidates.prompts))
        answers = [written[number] for number in range(len(written))]
        chosen = [candidates.chosen(number, answers) for number in range(len(rows))]
        return [
            (one.text, [dataclasses.replace(of_row[row], similarity=similarity) for row, similarity, _ in one.shown])
            for one in chosen
        ]

    def _written(self, prompts: Sequence[list[int]]) -> Iterator[tuple[int, Generated]]:
        size = max(1, min(self.batch_size, len(prompts)))
        decoding = self._params.decoding.model_copy(update={"batch_size": size})
        constrain = self._params.advanced.constrain_numbers
        return generate.texts(self._model, self._tokenizer, prompts, decoding, constrain_numbers=constrain)

    def texts(self, rows: Sequence[Request]) -> Iterator[Generated]:
        """A text for each row, in row order, each as soon as it and all before it are finished."""
        finished: dict[int, Generated] = {}
        next_row = 0
        for row, one in self._written([self.prompt(row) for row in rows]):
            finished[row] = one
            while next_row in finished:
                yield finished.pop(next_row)
                next_row += 1
