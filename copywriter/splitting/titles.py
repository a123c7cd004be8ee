"""What of a title names the product, and what only tells one of its variants from the others."""

import functools
from pathlib import Path

import yaml

from copywriter import text


def core(title: str) -> list[str]:
    """The title's distinct words, sorted, without numbers and those of variants; all of them where nothing is left."""
    words = sorted(set(text.words(title)))
    return [word for word in words if word not in variants() and not word[0].isdigit()] or words


@functools.cache
def variants() -> frozenset[str]:
    """The words that distinguish no products."""
    groups = yaml.safe_load(Path(__file__).with_name("variants.yaml").read_text(encoding="utf-8"))
    return frozenset(word for words in groups.values() for word in words.split())
