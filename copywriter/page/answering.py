"""The models of the page, and what they write for one title, as it grows."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from copywriter import params, paths
from copywriter.errors import UserError
from copywriter.generation import answers, marking
from copywriter.generation.answers import Answer
from copywriter.generation.inference import InferenceModel, Request, ordered_facts, request, trained_facts
from copywriter.modeling import loading
from copywriter.retrieval.retriever import Source

MAX_TITLE, MAX_QUESTION, MAX_FACTS = 500, 500, 4_000  # characters

Models = dict[str, InferenceModel]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form of the page holds."""

    title: str
    facts: str = ""  # a line for each, name=value
    question: str = ""  # empty: the one that params.yaml gives the title
    compare: bool = False
    best: bool = False
    options: dict[str, Any] = field(default_factory=dict)  # of InferenceModel.stream: temperature, seed, words


@dataclass(frozen=True, slots=True)
class Panel:
    """One model's text so far, as HTML; the rest once it is finished."""

    html: str = ""
    answer: Answer | None = None
    unsupported: Sequence[str] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Shown:
    """All that the page shows of one title; `row`: as `ask --json` writes it, when all texts are finished."""

    one: Request
    sources: Sequence[Source]
    panels: dict[str, Panel]
    row: dict[str, Any] | None = None


def load(weights: dict[str, Path]) -> Models:
    """The models in these folders, by their names on the page; UserError where one is damaged or of another base."""
    p = params.load()
    return {name: InferenceModel(folder, p) for name, folder in weights.items()}


def folders(weights: Path, base: bool) -> dict[str, Path]:
    """The folders of the models by their names: `tuned` where it exists, then `base`.

    UserError when nothing can be loaded. `base`: load the base model too.
    """
    if not paths.BASE.exists() and (loading.is_adapter(weights) or not weights.exists()):
        raise UserError(f"{paths.BASE} is missing; run 'dvc repro fetch_model'")
    if not weights.exists() and weights != paths.ADAPTER:
        raise UserError(f"{weights} is missing; name a folder with an adapter or a model")
    found = {"tuned": weights} if weights.exists() and weights.resolve() != paths.BASE.resolve() else {}
    return found | ({"base": paths.BASE} if not found or (base and paths.BASE.exists()) else {})


def fact_names(weights: dict[str, Path]) -> list[str] | None:
    """The facts that the first model knows; None: any."""
    return trained_facts(next(iter(weights.values())))


def checked(models: Models, title: str, facts: str, question: str | None, names: Sequence[str] | None) -> Request:
    """The request for a title that every model can answer; UserError, one sentence, for one that cannot be answered."""
    for what, text, most in (("title", title, MAX_TITLE), ("question", question or "", MAX_QUESTION)):
        if len(text) > most:
            raise UserError(f"the {what} has {len(text):,} characters; give at most {most}")
    one = request(title, question, ordered_facts(fact_lines(facts), names))
    for model in models.values():
        model.prompt(one)
    return one


def fact_lines(text: str) -> dict[str, str]:
    """The facts in lines `name=value`; UserError names a line without `=` or with a name that was given before."""
    if len(text) > MAX_FACTS:
        raise UserError(f"the facts have {len(text):,} characters; give at most {MAX_FACTS:,}")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not name or not equals:
            raise UserError(f"line {number} of the facts is {line[:40]!r}; write NAME=VALUE, such as brand=Acme")
        if name.casefold() in map(str.casefold, found):
            raise UserError(f"line {number} of the facts gives {name[:40]!r} again; give each fact once")
        found[name] = value
    return found


def write(models: Models, asked: Asked, names: Sequence[str] | None) -> Iterator[Shown]:
    """The texts for one title while they grow: the models take turns, a token each, so that both are seen at once."""
    some = models if asked.compare or len(models) == 1 else {"tuned": models["tuned"]}
    one = checked(some, asked.title, asked.facts, asked.question.strip() or None, names)
    started = time.perf_counter()
    first = next(iter(some.values()))
    shown = Shown(one, first.sources(one), dict.fromkeys(some, Panel()))
    yield shown
    options = {} if asked.best else asked.options
    running = {name: answers.stream(model, one, asked.best, marking.as_html, **options) for name, model in some.items()}
    try:
        while running:
            for name, pieces in list(running.items()):
                piece, answer = next(pieces)
                before = shown.panels[name]
                panel = replace(before, html=before.html + piece, seconds=time.perf_counter() - started)
                if answer:
                    del running[name]
                    numbers = answers.unsupported_numbers(some[name], one, answer)
                    panel = replace(panel, answer=answer, unsupported=numbers)
                shown = replace(shown, panels=shown.panels | {name: panel})
            yield shown
    finally:
        for pieces in running.values():
            pieces.close()  # type: ignore[attr-defined]
    found = {name: panel.answer for name, panel in shown.panels.items() if panel.answer}
    yield replace(shown, sources=found[next(iter(some))].sources, row=answers.row(some, one, found))
