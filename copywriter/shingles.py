"""Texts as sets of hashed word 5-grams (shingles), many texts at a time; the same numbers on every machine."""

import functools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from copywriter import text

WORDS = 5  # in a shingle; a shorter text is a single shingle
# Numbers without a pattern, odd ones, so that multiplying modulo 2**64 loses nothing.
_BASE = 0x9E3779B97F4A7C15
_MIXER = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_FACTORS = np.array(
    [0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3, 0x1D8E4E27C47D124F], np.uint64
)
_IN_WORD = np.zeros(256, np.bool_)
_IN_WORD[[*b"0123456789abcdefghijklmnopqrstuvwxyz", *range(128, 256)]] = True

Hashes = NDArray[np.uint64]
Shingles = NDArray[np.uint32]
Counts = NDArray[np.int64]


def shingles(texts: Sequence[str]) -> tuple[Shingles, Counts]:
    """The distinct shingles of each text, ascending, one text after the other; and the number of each text.

    A shingle is 32 bits of the hash of five words in a row, as text.words finds them. A text without a word has one
    shingle too, so that no set is empty.
    """
    words, counts = word_hashes(texts)
    words, counts = np.insert(words, np.cumsum(counts)[counts == 0], 0), np.maximum(counts, 1)
    follow = np.repeat(np.cumsum(counts), counts) - np.arange(len(words))  # words of the text from this one on
    padded = np.concatenate([words, np.zeros(WORDS - 1, np.uint64)])
    hashes = combine(np.where(follow > at, padded[at : at + len(words)], 0) for at in range(WORDS))
    whole = (follow >= WORDS) | (follow == np.repeat(counts, counts))
    of = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)
    keys = np.sort(of[whole] << 32 | hashes[whole] >> 32)
    keys = keys[np.diff(keys, prepend=~keys[:1]) != 0]
    return keys.astype(np.uint32), np.bincount(keys >> 32, minlength=len(texts))


def word_hashes(texts: Sequence[str]) -> tuple[Hashes, Counts]:
    """The hash of each word, one text after the other; and the number of words of each text."""
    folded = [(one.lower() if one.isascii() else " ".join(text.words(one))).encode() for one in texts]
    content = np.frombuffer(b" ".join([b"", *folded, b""]), np.uint8)
    edges = np.flatnonzero(np.diff(_IN_WORD[content])) + 1
    starts, ends = edges[::2], edges[1::2]
    # A word's polynomial is the difference of two prefix sums, divided by the power at the word's start.
    sums = np.cumsum(content * powers(_BASE, len(content)))
    hashes = (sums[ends - 1] - sums[starts - 1]) * powers(pow(_BASE, -1, 2**64), len(content))[starts]
    borders = np.cumsum([len(one) + 1 for one in folded])
    return mix(hashes), np.diff(np.searchsorted(starts, borders), prepend=0)


def powers(base: int, count: int) -> Hashes:
    """The powers of `base` modulo 2**64, from the zeroth on."""
    return _powers(base, 1 << count.bit_length())[:count]


@functools.lru_cache(4)
def _powers(base: int, count: int) -> Hashes:
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)


def combine(columns: Iterable[NDArray[np.unsignedinteger]]) -> Hashes:
    """One hash for the numbers at the same place of the columns, of which there are at most five."""
    return mix(sum(column * factor for column, factor in zip(columns, _FACTORS, strict=False)))


def mix(hashes: Hashes) -> Hashes:
    """The hashes with every bit depending on every other."""
    for _ in range(2):
        hashes = (hashes ^ hashes >> _HALF) * _MIXER
    return hashes ^ hashes >> _HALF
