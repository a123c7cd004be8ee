"""A working folder of the training stage with a few related rows of another one, and its base model."""

from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from copywriter import paths, records
from copywriter.errors import UserError
from copywriter.params import Params
from copywriter.records import Product
from copywriter.retrieval import neighbours
from copywriter.retrieval.neighbours import Neighbours
from tests.support.process import ROOT

_LONGEST = 4  # every fourth held-out row is one of the longest: only those reach a sliding window


def choose(
    products: Sequence[Product], nearest: Sequence[Sequence[int]], train: int, held_out: int
) -> tuple[list[int], list[int]]:
    """Numbers of `train` and of `held_out` rows, none in both; the first are the nearest titles of the second.

    `nearest`: for each row those with the most similar titles, the most similar first; rows without any are filled up
    with rows from all of the file. UserError when there are not enough rows.
    """
    if len(products) < train + held_out:
        raise UserError(f"there are {len(products):,} rows, {train + held_out} are needed")
    by_length = sorted(range(len(products)), key=lambda row: -len(products[row].description))
    longest = by_length[: held_out // _LONGEST]
    spread = sorted(by_length[len(longest) :])
    step = len(spread) // (held_out - len(longest))
    held = [*longest, *spread[::step][: held_out - len(longest)]]
    related = chain.from_iterable(zip_longest(*(nearest[row] for row in held)))  # first the nearest of each
    rest = spread[:: max(1, len(spread) // (2 * train))]
    taken = {None, *held}
    chosen = dict.fromkeys(row for row in chain(related, rest, spread) if row not in taken)
    return list(chosen)[:train], held


def write(folder: Path, p: Params, rows: int, held_out: int) -> None:
    """Makes `folder` a working folder with rows of this one's data/train.parquet; models/base is a link to this one's.

    The held-out rows become its validation rows. Neighbours that it lacks are left out of data/neighbours.
    """
    products = records.read_products(paths.TRAIN)
    found: list[list[tuple[int, float]]] = [[] for _ in products]
    if p.retrieval.neighbours:
        found = neighbours.read(paths.TRAIN, len(products))
    train, held = choose(products, [[row for row, _ in some] for some in found], rows, held_out)
    place = {row: number for number, row in enumerate(train)}
    facts = records.fact_names(paths.TRAIN)
    for split, numbers in ((paths.TRAIN, train), (paths.VALIDATION, held)):
        records.write_products(folder / split, [products[row] for row in numbers], facts)
        kept = [[(place[row], similarity) for row, similarity in found[number] if row in place] for number in numbers]
        neighbours.write(folder / neighbours.file(split), _padded(kept))
    (folder / paths.BASE.parent).mkdir()
    (folder / paths.BASE).symlink_to(paths.BASE.resolve(), target_is_directory=True)
    own = paths.SOURCES if paths.SOURCES.exists() else ROOT / paths.SOURCES
    (folder / paths.SOURCES).write_bytes(own.read_bytes())
    content: Mapping[str, Any] = p.model_dump()
    (folder / paths.PARAMS).write_text(yaml.safe_dump(content), encoding="utf-8")


def _padded(kept: Sequence[Sequence[tuple[int, float]]]) -> Neighbours:
    width = max(map(len, kept))
    rows = np.full((len(kept), width), -1, np.int64)
    similarities = np.zeros((len(kept), width))
    for number, some in enumerate(kept):
        for column, (row, similarity) in enumerate(some):
            rows[number, column], similarities[number, column] = row, similarity
    return Neighbours(rows, similarities)
