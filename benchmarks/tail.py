"""Rare words for generated catalogues: a long tail of words, as real catalogues have and the practice catalogue lacks.

Distinct words grow as the 0.65th power of the number of texts (Heaps' law). A word's share falls as 1 / rank (Zipf).
"""

from functools import lru_cache
from random import Random

SYLLABLES = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "ar", "en", "is", "on")]
MOST = 4  # rare words of a title
EVERY = 10  # one of so many words of a description is a rare one


def distinct(texts: int) -> int:
    """The number of distinct rare words in so many texts."""
    return int(20 * texts**0.65)


@lru_cache(1 << 16)
def word(rank: int) -> str:
    """The rare word of this rank, from 1 on: 2 to 5 syllables."""
    rng = Random(rank)
    return "".join(SYLLABLES[int(rng.random() * len(SYLLABLES))] for _ in range(2 + int(rng.random() * 4)))


def draw(words: int, rng: Random) -> str:
    """One of so many rare words."""
    return word(int(words ** rng.random()))


def with_title(title: str, words: int, rng: Random) -> str:
    """The title and up to MOST of `words` rare words."""
    return " ".join([title, *(draw(words, rng) for _ in range(int(rng.random() * (MOST + 1))))])


def with_description(description: str, words: int, rng: Random) -> str:
    """The description with one of each EVERY words, and of the fewer last ones, replaced by a rare word.

    Punctuation behind the word and its capital stay. Texts from the same templates then share few word 5-grams.
    """
    parts = description.split(" ")
    for start in range(0, len(parts), EVERY):
        at = start + int(rng.random() * min(EVERY, len(parts) - start))
        rare, old = draw(words, rng), parts[at]
        end = old[len(old.rstrip(".,;:!?")) :]
        parts[at] = (rare.capitalize() if old[:1].isupper() else rare) + end
    return " ".join(parts)
