"""Writes a catalogue of the official size and shape to measure with: `python -m benchmarks.make_catalogue --out FILE`.

Products, words and dirt are those of the practice catalogue; what is empty, what comes again, dirt and lengths follow
the counts of LF-AmazonTitles-1.3M. A line is settled by the seed, the number of lines and its own number, so the number
of processes changes nothing. --tail puts rare words (benchmarks/tail.py) into titles and descriptions, since the few
templates of descriptions join ever more products to one family. FILE.json.gz is the official trn.json.gz; FILE.zip has
it inside, as it is published.
"""

import argparse
import gzip
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import accumulate
from multiprocessing import Pool
from pathlib import Path
from random import Random
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks import tail
from copywriter import errors, files, stage
from copywriter.fetching import practice
from copywriter.fetching.phrases import banks

OFFICIAL = 2_248_619  # lines of trn.json, of which PARTS are counted
PARTS = ((("title", "content"), 1_390_100), (("title",), 731_685), (("content",), 108_618), ((), 18_216))
DUPLICATES = 39_961  # titles that came before, among the lines with both texts
SISTERS, SAME_CONTENTS = 70_000, 14_000  # near-duplicates among them: nobody counted those of the official set
NEW, DUPLICATE, SISTER, SAME_CONTENT = range(4)
LENGTHS = (  # of a description before its dirt, in characters, by the share of descriptions that are shorter
    *((0.0, 12), (0.05, 40), (0.25, 132), (0.5, 328), (0.75, 726)),
    *((0.9, 1_300), (0.97, 2_200), (0.995, 4_000), (1.0, 12_000)),
)
ENORMOUS = (50_000, 193_000)  # one line in so many has a description of so many characters
TITLE_DIRT = banks()["title_dirt"] | {"blank": 0.0}  # the official counts know no blank texts
CONTENT_DIRT = banks()["content_dirt"] | {"blank": 0.0, "edition": 0.56, "copyright": 0.33}  # of books, mostly
TAIL_DIRT = CONTENT_DIRT | {"foreign": 0.0}  # the few texts in other languages would be the same in many rows
MEMBER = "LF-Amazon-1.3M/trn.json.gz"
LINES_PER_BLOCK = 2_048

Lines = NDArray[np.void]
LINE = np.dtype(
    [("number", "i4"), ("parts", "u1"), ("again", "u1"), ("category", "u1"), ("length", "i4"), ("wording", "u4")]
)


def plan(rows: int, seed: int) -> tuple[Lines, NDArray[np.intp]]:
    """What each line will be, and the number of the line that it takes after: its own where it is new."""
    chance, rates, lines = np.random.default_rng(seed), banks()["rates"], np.zeros(rows, LINE)
    lines["number"] = np.arange(rows)
    lines["parts"] = chance.permutation(dealt(rows, [count for _, count in PARTS]))
    both = np.flatnonzero(lines["parts"] == 0)
    kinds = [PARTS[0][1] - DUPLICATES - SISTERS - SAME_CONTENTS, DUPLICATES, SISTERS, SAME_CONTENTS]
    lines["again"][both] = chance.permutation(dealt(len(both), kinds))
    new, again, after = both[lines["again"][both] == NEW], np.flatnonzero(lines["again"]), np.arange(rows)
    after[again] = chance.choice(new, len(again))
    categories = list(banks()["categories"].values())
    shelf = np.repeat(range(len(categories)), [category["share"] for category in categories])
    books = [at for at in shelf if "edition" in categories[at].get("notices", [])]
    head = (np.arange(rows) < rates["head"] * rows) & (chance.random(rows) < rates["head_books"])
    lines["category"] = np.where(head, chance.choice(books, rows), chance.choice(shelf, rows))
    lines["length"] = np.interp(chance.random(rows), *np.array(LENGTHS).T)
    lines["length"][chance.choice(new, 1 + rows // ENORMOUS[0])] = ENORMOUS[1]
    lines["wording"] = chance.integers(2**32, size=rows)
    return lines, after


def dealt(total: int, counts: Sequence[int]) -> NDArray[np.intp]:
    """The numbers of `counts`, each as often as its share of `total` says."""
    ends = np.rint(np.cumsum(counts) / sum(counts) * total).astype(np.intp)
    return np.repeat(range(len(counts)), np.diff(ends, prepend=0))


def product(line: Any, after: Any, seed: int, words: int = 0) -> dict[str, Any]:
    """The object of a line, which may take after another; `words`: how many rare words there are, 0 for none in it."""
    rng, has, again = Random(seed << 32 | int(line["number"])), PARTS[line["parts"]][0], line["again"]
    first = after if again == SISTER else line
    item = practice.article(list(banks()["categories"])[first["category"]], int(first["wording"]), int(first["length"]))
    item = practice.sister(item, rng) if again == SISTER else item
    named, described = title(item, line), practice.description(item) if "content" in has else ""
    if words:  # a sister's are those of the line that it takes after, so that it stays a near-duplicate
        rare = Random(f"{seed} {first['number']}")
        named, described = tail.with_title(named, words, rare), tail.with_description(described, words, rare)
    dirt = TAIL_DIRT if words else CONTENT_DIRT
    count = 1 + int(rng.random() * 43)
    gap = practice.LABELS // count - 1
    row = {
        "uid": f"B{line['number']:09d}",
        "title": practice.dirty(named, TITLE_DIRT, item, rng) if "title" in has else "",
        "content": practice.dirty(described, dirt, item, rng) if "content" in has else "",
        "target_ind": list(accumulate([1 + int(rng.random() * gap) for _ in range(count)])),
        "target_rel": [1.0] * count,
    }
    kept = {DUPLICATE: practice.REPEATED[line["wording"] % 3], SAME_CONTENT: ("content",)}.get(int(again), ())
    earlier = product(after, after, seed, words) if kept else {}
    return row | {key: earlier[key] for key in kept}


def title(item: practice.Article, line: Any) -> str:
    """The product's title with a code of the line's own, so that it is no other's by chance."""
    code = np.base_repr((int(line["number"]) + 1) * 23_456_789 % 36**5, 36)  # odd, no multiple of 3: another for each
    return f"{min(item.title, replace(item, wording=item.wording ^ 1).title, key=len)} {code}"


def block(lines: tuple[Lines, Lines], seed: int, words: int) -> tuple[bytes, int]:
    """Lines as they stand in the file, compressed to a member of their own, and how many bytes they were."""
    rows = (product(line, after, seed, words) for line, after in zip(*lines, strict=True))
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    return gzip.compress(content, 1, mtime=0), len(content)


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """Where the gzipped lines go: into the file, or into the member of a .zip that the official one has."""
    with files.new_file(file) as aside:
        if file.suffix != ".zip":
            with aside.open("wb") as stream:
                yield stream
            return
        with (
            zipfile.ZipFile(aside, "w") as archive,
            archive.open(zipfile.ZipInfo(MEMBER), "w", force_zip64=True) as stream,
        ):
            yield stream


def write(file: Path, rows: int, seed: int, processes: int, rare: bool = False) -> str:
    """Writes the catalogue, with a long tail of rare words or without; a summary."""
    words = tail.distinct(rows) if rare else 0
    lines, after = plan(rows, seed)
    blocks = (
        (lines[at : at + LINES_PER_BLOCK], lines[after[at : at + LINES_PER_BLOCK]])
        for at in range(0, rows, LINES_PER_BLOCK)
    )
    size = 0
    with opened(file) as stream, Pool(processes) as pool, tqdm(**errors.progress("lines", rows)) as bar:
        for compressed, length in pool.imap(partial(block, seed=seed, words=words), blocks):
            stream.write(compressed)
            size += length
            bar.update(min(LINES_PER_BLOCK, rows - bar.n))
    return f"{file}: {rows:,} lines, {size:,} bytes unpacked"


def main() -> None:
    """Reads the command line and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="FILE.json.gz or FILE.zip")
    parser.add_argument("--rows", type=int, default=OFFICIAL)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tail", action="store_true", help="with a long tail of rare words in titles and descriptions")
    given = parser.parse_args()
    stage.run("make_catalogue", lambda: write(given.out, given.rows, given.seed, given.processes, given.tail))


if __name__ == "__main__":
    main()
