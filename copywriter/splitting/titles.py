"""The words of a title that name the product, without those that only name a variant."""

import functools
from pathlib import Path

import yaml

from copywriter import text


def core(title: str) -> list[str]:
    """The title's distinct words, sorted, without numbers and words of variants; all words if nothing is left."""
    words = sorted(set(text.words(title)))
    return [word for word in words if word not in variants() and not word[0].isdigit()] or words


@functools.cache
def variants() -> frozenset[str]:
    """Words for editions, colours and sizes."""
    groups = yaml.safe_load(Path(__file__).with_name("variants.yaml").read_text(encoding="utf-8"))
    return frozenset(word for words in groups.values() for word in words.split())
