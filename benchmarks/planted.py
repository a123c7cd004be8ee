"""Near-duplicates made from a catalogue's rows, as catalogues have them, for benchmarks/leakage.py to look for."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from copywriter.records import Product

EDITIONS = (
    " (Paperback)",
    " [Hardcover]",
    ": Second Edition",
    " - Large Print",
    ", 3rd Revised Edition",
    " (Audio CD)",
)
COLOURS = ("Black", "Navy Blue", "Red", "Silver", "Dark Green", "Rose Gold", "Charcoal", "Turquoise", "Light Pink")
SIZES = (", Size 10", ", Large", " - Pack of 3", ", 500 ml", " (12 Inch)", " XL", ", 2 lbs", " 30 cm")
WORDS = ("genuine", "handsome", "durable", "splendid", "ordinary", "practical")
SENTENCES = (
    "Returns are free of charge within thirty days.",
    "Orders before noon leave us on the same day.",
)
_COLOUR = re.compile(r"\b(?:black|white|red|blue|green|yellow|orange|purple|pink|brown|gr[ea]y|silver|gold)\b", re.I)
_SENTENCE_END = re.compile(r"(?<=[.!?]) ")


@dataclass(frozen=True, slots=True)
class Plant:
    """A near-duplicate, the number of the row it was made from, how, and whether its title shows it."""

    row: Product
    origin: int
    kind: str
    by_title: bool


def edition(title: str, rng: Random) -> str:
    """The title with an edition."""
    return title + rng.choice(EDITIONS)


def colour(title: str, rng: Random) -> str:
    """The title in another colour, or with one."""
    other = rng.choice(COLOURS)
    changed = _COLOUR.sub(other, title, 1)
    return changed if changed != title else f"{title}, {other} Color"


def size(title: str, rng: Random) -> str:
    """The title with another number, or with a size."""
    changed = re.sub(r"\b\d+", str(rng.randint(2, 400)), title, count=1)
    return changed if changed != title else title + rng.choice(SIZES)


def retyped(description: str, rng: Random) -> str:
    """The description in capitals, with other punctuation."""
    return description.upper().replace(". ", " / ").replace(", ", " - ") + "!"


def one_word(description: str, rng: Random) -> str:
    """The description with a word replaced."""
    words = description.split()
    words[rng.randrange(len(words))] = rng.choice(WORDS)
    return " ".join(words)


def two_words(description: str, rng: Random) -> str:
    """The description with two words replaced, or twice the same."""
    return one_word(one_word(description, rng), rng)


def longer(description: str, rng: Random) -> str:
    """The description with a sentence added."""
    return f"{description} {rng.choice(SENTENCES)}"


def shorter(description: str, rng: Random) -> str:
    """The description without one of its sentences; as it is where there is only one."""
    sentences = _SENTENCE_END.split(description)
    sentences.pop(rng.randrange(len(sentences)))
    return " ".join(sentences) or description


def shuffled(description: str, rng: Random) -> str:
    """Another description: the words in another order, so that no 5 follow each other as before."""
    words = description.split()
    return " ".join(rng.sample(words, len(words)))


TITLES: Mapping[str, Callable[[str, Random], str]] = {
    "title with an edition, another description": edition,
    "title with another colour, another description": colour,
    "title with another size or number, another description": size,
}
DESCRIPTIONS: Mapping[str, Callable[[str, Random], str]] = {
    "another title, the same description": lambda description, rng: description,
    "another title, case and punctuation changed": retyped,
    "another title, a word changed": one_word,
    "another title, two words changed": two_words,
    "another title, a sentence added": longer,
    "another title, a sentence dropped": shorter,
}


def plant(rows: Sequence[Product], each: int, rng: Random) -> Iterator[Plant]:
    """At most `each` near-duplicates of every kind, every one of another row."""
    kinds = [*TITLES, *DESCRIPTIONS]
    origins = rng.sample(range(len(rows)), min(len(rows), each * len(kinds)))
    for at, origin in enumerate(origins):
        row, kind = rows[origin], kinds[at % len(kinds)]
        if kind in TITLES:
            yield Plant(Product(TITLES[kind](row.title, rng), shuffled(row.description, rng)), origin, kind, True)
        else:
            other = rows[rng.randrange(len(rows))]
            yield Plant(Product(other.title, DESCRIPTIONS[kind](row.description, rng)), origin, kind, False)
