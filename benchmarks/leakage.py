"""Leaks between the sets, and the share of planted near-duplicates found: `python -m benchmarks.leakage`.

The stages from fetch to split run on a catalogue in a temporary folder. Then every training row is compared with every
test and validation row, by Python's own sets of words instead of the hashes of copywriter/shingles.py, and so
are two splits of the same rows that ignore families. Prints numbers only, no text of the catalogue.
"""

import argparse
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import table
from copywriter import files, params, records, sources, stage, text
from copywriter.records import Product
from copywriter.splitting import families
from stages import clean, fetch, sample, split

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


def near_duplicates(rows: Sequence[Product], each: int, rng: Random) -> Iterator[Plant]:
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


LEAK = 0.8  # the Jaccard similarity of 5-grams from which on two descriptions count as one
PARTS = ("train", "validation", "test")

Numbers = NDArray[np.int64]
Parts = Mapping[str, Sequence[Product]]


def write_parts(entry: fetch.Entry, given: params.Params, folder: Path) -> Parts:
    """The rows of train, validation and test as the stages write them to `folder`."""
    sets = {part: folder / f"{part}.parquet" for part in PARTS}
    cleaned, sampled, counts = folder / "clean.parquet", folder / "sample.parquet", folder / "counts.json"
    print("fetch:", fetch.fetch("measured", entry, folder / "raw"))
    print("clean:", clean.run(given, folder / "raw", cleaned, folder / "examples.jsonl", counts))
    print("sample:", sample.run(given, cleaned, sampled))
    print("split:", split.run(given, sampled, sets, counts), flush=True)
    return {part: records.read_products(file) for part, file in sets.items()}


def cut(rows: Sequence[Product], like: Parts) -> Parts:
    """The rows in their order, cut into parts of the sizes of `like`."""
    ends = np.cumsum([len(like[part]) for part in PARTS]).tolist()
    return {part: rows[end - len(like[part]) : end] for part, end in zip(PARTS, ends, strict=True)}


def grams(description: str) -> set[tuple[str, ...]]:
    """The word 5-grams of a description; where it has fewer words, all of them as one."""
    words = text.words(description)
    return {tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4))}


def numbered(rows: Iterable[Product]) -> dict[Product, Numbers]:
    """Each row's 5-grams as numbers, alike wherever the same 5-gram comes again."""
    numbers: dict[tuple[str, ...], int] = {}
    return {row: np.array([numbers.setdefault(gram, len(numbers)) for gram in grams(row.description)]) for row in rows}


def similarities(train: Sequence[Numbers], others: Iterable[Numbers]) -> Iterator[NDArray[np.float64]]:
    """For each of `others` its Jaccard similarity to every row of `train`."""
    sizes, content = np.array([len(one) for one in train]), np.concatenate(train)
    order = np.argsort(content, kind="stable")
    rows, content = np.repeat(np.arange(len(train)), sizes)[order], content[order]
    for one in others:
        starts, ends = np.searchsorted(content, one), np.searchsorted(content, one, "right")
        found = [rows[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        shared = np.bincount(np.concatenate(found), minlength=len(train))
        yield shared / (sizes + len(one) - shared)


def leaks(parts: Parts, content: Mapping[Product, Numbers]) -> Iterator[list[str]]:
    """A line each for validation and test: pairs, their highest similarity, those of LEAK or more, rows in them."""
    train = [content[row] for row in parts["train"]]
    for part in PARTS[1:]:
        highest, pairs, rows = 0.0, 0, 0
        for similar in similarities(train, (content[row] for row in parts[part])):
            highest, alike = max(highest, similar.max()), int((similar >= LEAK).sum())
            pairs, rows = pairs + alike, rows + bool(alike)
        yield [
            part,
            f"{len(train) * len(parts[part]):,}",
            f"{highest:.3f}",
            f"{pairs:,}",
            f"{rows / len(parts[part]):.1%}",
        ]


def recall(rows: Sequence[Product], each: int, seed: int) -> Iterator[list[str]]:
    """A line for each kind of planted near-duplicate and one for all: planted and found in the family of the origin.

    First all of the kind, then without those whose description is changed to less than LEAK.
    """
    plants = list(near_duplicates(rows, each, Random(seed)))
    first = families.families([*rows, *(plant.row for plant in plants)])
    counts: dict[str, Numbers] = {}
    for at, plant in enumerate(plants, len(rows)):
        ours, theirs = grams(plant.row.description), grams(rows[plant.origin].description)
        near = plant.by_title or len(ours & theirs) >= LEAK * len(ours | theirs)
        found = bool(first[at] == first[plant.origin])
        for kind in (plant.kind, "all"):
            counts[kind] = counts.get(kind, np.zeros(4, np.int64)) + np.array([1, found, near, near and found])
    for kind in sorted(counts, key="all".__eq__):
        planted_rows, found, near, near_found = counts[kind].tolist()
        shares = f"{found / planted_rows:.1%}", f"{near:,}", f"{near_found / near:.1%}" if near else ""
        yield [kind, f"{planted_rows:,}", *shares]


def measure(entry: fetch.Entry, given: params.Params, each: int) -> str:
    """Measures and prints the tables; a summary."""
    with tempfile.TemporaryDirectory() as folder:
        ours = write_parts(entry, given, Path(folder))
    rows = [row for part in PARTS for row in ours[part]]
    content = numbered(rows)
    by_title = sorted(rows, key=lambda row: text.digest(str(given.seed), " ".join(text.words(row.title))))
    splits = {
        "by families (ours)": ours,
        "by a hash of the title's words": cut(by_title, ours),
        "rows at random, as notebooks do": cut(Random(given.seed).sample(rows, len(rows)), ours),
    }
    head = ["split", "train against", "pairs", "highest Jaccard", f"pairs of {LEAK} or more", "rows in such pairs"]
    print(table(head, ([name, *line] for name, parts in splits.items() for line in leaks(parts, content))), flush=True)
    head = ["near-duplicates", "planted", "found", f"of them title or Jaccard {LEAK} or more", "found"]
    print(table(head, recall(rows, each, given.seed)))
    return f"{len(rows):,} rows"


def from_file(given: argparse.Namespace) -> sources.File:
    """The entry of a catalogue's file that the command line names."""
    file = Path(given.catalogue)
    fields = {"title": given.title, "description": given.description, "licence": "unknown"}
    return sources.File.model_validate(
        {"kind": "file", "url": f"file://{file.absolute()}", "sha256": files.sha256(file), **fields}
    )


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", default="practice-catalogue", help="an entry of sources.yaml, or a file")
    parser.add_argument("--title", default="title", help="a file's field of titles")
    parser.add_argument("--description", default="content", help="a file's field of descriptions")
    parser.add_argument("--each", type=int, default=1_000, help="planted near-duplicates of each kind")
    given = parser.parse_args()
    entry = from_file(given) if Path(given.catalogue).is_file() else sources.dataset(given.catalogue)
    stage.run("leakage", lambda: measure(entry, params.load(), given.each))


if __name__ == "__main__":
    main()
