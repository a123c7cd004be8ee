"""Answers to a title: a text with the training products that it saw, its unsupported numbers, and the JSON row of both.

For `ask` and for the page.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from copywriter.generation.generate import Generated
from copywriter.generation.inference import InferenceModel, Request
from copywriter.generation.marking import Marker
from copywriter.grounding import distinct, unsupported
from copywriter.retrieval.retriever import Source


class Answer(NamedTuple):
    """A text, and the training products that it saw; `best`: chosen among candidates."""

    text: Generated
    sources: list[Source]
    best: bool = False


def write(model: InferenceModel, requests: Sequence[Request], best: bool, words: int | None = None) -> Iterator[Answer]:
    """An answer for each request, in order; `best`: the text that evaluation would take, of several.

    `words`: about how many words to write, without `best`.
    """
    if best:
        yield from (Answer(text, sources, best=True) for text, sources in model.best(requests))
    elif words:  # one by one: the length is decided on the host, outside the decode batch's graph
        for one in requests:
            *_, (_, text) = model.stream(one, words=words)
            assert text is not None  # the last piece comes with the whole text
            yield Answer(text, model.sources(one))
    else:
        yield from (Answer(text, model.sources(one)) for one, text in zip(requests, model.texts(requests), strict=True))


def stream(
    model: InferenceModel, one: Request, best: bool, form: Callable[[str, bool], str], **options: Any
) -> Iterator[tuple[str, Answer | None]]:
    """Printable pieces of a text as it is generated, unsupported numbers in `form`; the last comes with the answer.

    `best`: as in `write`, in one piece. `form`: one of marking's. `options`: those of InferenceModel.stream.
    """
    answer = next(write(model, [one], best=True)) if best else None
    stated = model.stated(one, answer.sources if answer else None)
    marker = Marker(stated, form)
    pieces = [(answer.text.text, answer.text)] if answer else model.stream(one, **options)
    for piece, text in pieces:
        shown = marker.add(printable(piece))
        if text is None:
            yield shown, None
        else:
            yield shown + marker.end(), answer or Answer(text, model.sources(one))


def unsupported_numbers(model: InferenceModel, one: Request, answer: Answer) -> list[str]:
    """The numbers and model codes of a text in neither title, facts nor sources, each once."""
    stated = model.stated(one, answer.sources if answer.best else None)
    return distinct(answer.text.text, unsupported(answer.text.text, stated))


def row(models: Mapping[str, InferenceModel], one: Request, found: Mapping[str, Answer]) -> dict[str, Any]:
    """The prompt's parts and each model's text as a JSON object; with one model named "" its text is not nested."""
    texts = {
        name: {"written": answer.text.text, "stopped": answer.text.stopped, "tokens": answer.text.tokens}
        | {"unsupported": unsupported_numbers(models[name], one, answer)}
        for name, answer in found.items()
    }
    prompt: dict[str, Any] = {"title": one.title, "question": next(iter(models.values())).question(one)}
    if one.facts:
        prompt["facts"] = dict(line.split(": ", 1) for line in one.facts.split("\n"))
    if sources := list(found.values())[-1].sources:
        prompt["sources"] = [
            {"row": source.row, "title": source.product.title, "similarity": round(source.similarity, 4)}
            for source in sources
        ]
    return prompt | texts.get("", texts)


def printable(text: str) -> str:
    """`text` with spaces in place of characters that control a terminal or the direction of a line."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)
