"""Product families: near-duplicates by title or by description, found by MinHash, verified exactly, and joined.

Two products are near-duplicates when their titles have the same words apart from numbers and those of variants.yaml
(editions, colours, sizes), or when their descriptions share SIMILAR of their word 5-grams. A family is a connected
component: near-duplicates of near-duplicates belong to it.
"""

from collections.abc import Iterable, Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

from copywriter import shingles, text
from copywriter.records import Product
from copywriter.shingles import Counts, Shingles
from copywriter.splitting import titles

SIMILAR = 0.6  # the Jaccard similarity of two sets of 5-grams from which on descriptions are near-duplicates
# Descriptions of similarity s become candidates with probability 1 - (1 - s ** HASHES) ** BANDS: one pair in 10**11 is
# missed at s = 0.8, one in 180 at 0.6.
BANDS, HASHES = 64, 5
_MULTIPLIERS = shingles.mix(np.arange(1, BANDS * HASHES + 1, dtype=np.uint64)).astype(np.uint32) | 1
_CHARACTERS = 1_000_000  # of descriptions hashed at once
_SHINGLES = 1 << 20  # compared at once

Rows = NDArray[np.int64]


def families(rows: Iterable[Product]) -> Rows:
    """For each row the number, from 0, of the first row of its family; the order of the rows does not change families.

    Rows are streamed. Memory holds 4 bytes for each word of the descriptions, and about 350 for each row.
    """
    cores, wholes, content, counts = bytearray(), bytearray(), bytearray(), [np.zeros(0, np.int64)]
    bands = [bytearray() for _ in range(BANDS)]
    for batch in batches(rows):
        cores += b"".join(text.digest(" ".join(titles.core(row.title))) for row in batch)
        hashes, sizes = shingles.shingles([row.description for row in batch])
        content += hashes.tobytes()
        wholes += np.add.reduceat(shingles.mix(hashes.astype(np.uint64)), np.cumsum(sizes) - sizes).tobytes()
        counts.append(sizes)
        for band, keys in zip(bands, band_keys(hashes, sizes), strict=True):
            band += keys.tobytes()
    sizes = np.concatenate(counts)
    first = np.arange(len(sizes))
    unite_equal(first, np.frombuffer(cores, "S16"))
    distinct = unite_equal(first, np.frombuffer(wholes, np.uint64))
    hashes = np.frombuffer(content, np.uint32)
    while bands:
        join_similar(first, distinct, np.frombuffer(bands.pop(), np.uint32)[distinct], hashes, sizes)
    return roots(first, np.arange(len(sizes)))


def batches(rows: Iterable[Product]) -> Iterator[list[Product]]:
    """The rows in lists whose descriptions have about _CHARACTERS in total."""
    batch, length = [], 0
    for row in rows:
        batch.append(row)
        length += len(row.description)
        if length >= _CHARACTERS:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def roots(first: Rows, rows: Rows) -> Rows:
    """The first rows of the families of `rows` (union-find); shortens the paths in `first`."""
    while np.any(first[rows] != rows):
        first[rows] = first[first[rows]]
        rows = first[rows]
    return rows


def unite(first: Rows, left: Rows, right: Rows) -> None:
    """Joins, in `first`, the families of each pair of rows."""
    while True:
        left, right = roots(first, left), roots(first, right)
        apart = left != right
        if not np.any(apart):
            return
        left, right = left[apart], right[apart]
        np.minimum.at(first, np.maximum(left, right), np.minimum(left, right))


def unite_equal(first: Rows, keys: NDArray[np.generic]) -> Rows:
    """Joins, in `first`, the families of rows with equal keys; returns the first row of each key."""
    rows: Rows
    _, rows, of = np.unique(keys, return_index=True, return_inverse=True)
    unite(first, rows[of], np.arange(len(keys)))
    return rows


def band_keys(hashes: Shingles, sizes: Counts) -> Iterator[Shingles]:
    """For each band one key per set. Two sets of similarity s have equal keys with probability s ** HASHES."""
    starts = np.cumsum(sizes) - sizes
    for band in _MULTIPLIERS.reshape(BANDS, HASHES):
        smallest = [np.minimum.reduceat(hashes * factor, starts) for factor in band]
        yield (shingles.combine(smallest) >> 32).astype(np.uint32)


def join_similar(first: Rows, rows: Rows, keys: Shingles, hashes: Shingles, sizes: Counts) -> None:
    """Joins, in `first`, the families of those of `rows` that have equal keys and similar descriptions.

    Compares all pairs with equal keys that are not yet in one family, neighbours first.
    """
    starts = np.cumsum(sizes) - sizes
    order = np.argsort(keys, kind="stable")
    rows, keys = rows[order], keys[order]
    for distance in count(1):
        groups = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
        if not len(groups):
            return
        family, lengths = roots(first, rows), np.diff(groups, append=len(rows))
        mixed = np.minimum.reduceat(family, groups) != np.maximum.reduceat(family, groups)
        kept = np.repeat(mixed & (lengths > distance), lengths)
        rows, keys, family = rows[kept], keys[kept], family[kept]
        pairs = (keys[distance:] == keys[:-distance]) & (family[distance:] != family[:-distance])
        left, right = rows[:-distance][pairs], rows[distance:][pairs]
        alike = similarity(hashes, starts, sizes, left, right) >= SIMILAR
        unite(first, left[alike], right[alike])


def similarity(hashes: Shingles, starts: Counts, sizes: Counts, left: Rows, right: Rows) -> NDArray[np.float64]:
    """The Jaccard similarity of each pair of rows; 0 where their sizes alone put it below SIMILAR."""
    result = np.zeros(len(left))
    most = np.minimum(sizes[left], sizes[right]) / np.maximum(sizes[left], sizes[right])
    rest = np.flatnonzero(most >= SIMILAR)
    totals = sizes[left[rest]] + sizes[right[rest]]
    for some in np.split(np.arange(len(rest)), np.flatnonzero(np.diff(np.cumsum(totals) // _SHINGLES)) + 1):
        number, pairs = np.arange(len(some)) << 32, rest[some]
        sets = [(row[pairs], np.repeat(number, sizes[row[pairs]])) for row in (left, right)]
        both = np.sort(np.concatenate([of | hashes[ranges(starts[row], sizes[row])] for row, of in sets]))
        shared = np.bincount(both[1:][both[1:] == both[:-1]] >> 32, minlength=len(some))
        result[pairs] = shared / (totals[some] - shared)
    return result


def ranges(starts: Counts, sizes: Counts) -> Counts:
    """start, start + 1, ..., start + size - 1 for each start, one after the other."""
    return np.repeat(starts + sizes - np.cumsum(sizes), sizes) + np.arange(sizes.sum())
