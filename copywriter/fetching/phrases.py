"""The word banks of practice.yaml, and their templates in words: chance comes from a `Random` alone."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import yaml

TOKEN = re.compile(r"([<|>])")  # of a template
JOINT = re.compile(r"(?<=[.!?]) (?=[A-Z\"])")  # between two sentences
AN = re.compile(r"(?<=\b[Aa]) (?=(?!(?i:uni[^n]|us[aeu]|uku|eu|one\b))[aeiouAEIOU]|8|11\b|18\b|LED|HDMI)")  # a -> an
Entry = TypeVar("Entry")


@cache
def banks() -> Mapping[str, Any]:
    """The content of practice.yaml."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same result ten times faster, where it was built
    content: Mapping[str, Any] = yaml.load(
        Path(__file__).with_name("practice.yaml").read_text(encoding="utf-8"), loader
    )
    return content


def draw(below: int, rng: Random) -> int:
    """An integer from 0 on, less than `below`."""
    return int(rng.random() * below)


def pick(entries: Sequence[Entry], rng: Random) -> Entry:
    """One of the entries, each equally likely."""
    return entries[int(rng.random() * len(entries))]


def spread(knots: Sequence[tuple[float, int]], rng: Random) -> int:
    """A number from the distribution whose quantiles are `knots`, with straight lines between them."""
    share = rng.random()
    (low, start), (high, end) = next(pair for pair in pairwise(knots) if share < pair[1][0])
    return start + int((end - start) * (share - low) / (high - low))


def sentence(template: str, facts: Mapping[str, str], rng: Random) -> str:
    """The template filled, with "an" where it must be, and a capital at its start."""
    return capital(AN.sub("n ", fill(template, facts, rng)))


def capital(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


@cache
def headline(text: str) -> str:
    """The text with a title's capitals."""
    small = banks()["small"]
    return capital(" ".join([word if word in small else capital(word) for word in text.split(" ")]))


def fill(template: str, facts: Mapping[str, str], rng: Random) -> str:
    """The template with its slots filled; practice.yaml tells what they may be."""
    return worded(parsed(template), facts, rng) if "<" in template else template


@cache
def parsed(template: str) -> list[Any]:
    """The pieces of a template: text, alternatives (a list), numbers (a range), facts (name, name unchanged)."""
    slots: list[list[Any]] = [[[]]]  # the template as if in a slot, and the slots open in it; each holds alternatives
    for token in TOKEN.split(template):
        if token == "<":
            slots.append([[]])
        elif token == "|":
            slots[-1].append([])
        elif token != ">":
            slots[-1][-1].append(token)
        else:
            slot: Any = slots.pop()
            if len(slot) == 1:
                low, *high = slot[0][0].split("..")
                slot = range(int(low), int(high[0]) + 1) if high else (low.lower(), low)
            slots[-1][-1].append(slot)
    pieces: list[Any] = slots[0][0]
    return pieces


def worded(pieces: Sequence[Any], facts: Mapping[str, str], rng: Random) -> str:
    """A parsed template in words; only what is said costs a draw."""
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
        elif isinstance(piece, list):
            text += worded(pick(piece, rng), facts, rng)
        elif isinstance(piece, range):
            text += str(pick(piece, rng))
        else:
            name, shown = piece
            word = facts.get(name) or pick(banks()["words"][name], rng)
            text += word if name == shown else headline(word)
    return text


def replaced(text: str, table: Mapping[str, str]) -> str:
    """The text with every key of the table replaced by its value, one key after the other."""
    for plain, other in table.items():
        text = text.replace(plain, other)
    return text


def rejoined(text: str, gap: str, share: float, rng: Random) -> str:
    """The text with `gap` after one of its sentences for certain, and after each of the others by `share`."""
    first, *others = JOINT.split(text)
    sure = draw(len(others), rng)
    gaps = [gap if number == sure or rng.random() < share else " " for number in range(len(others))]
    return first + "".join(map("".join, zip(gaps, others, strict=True)))
