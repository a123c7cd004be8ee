"""Finds, for all texts of a chunk at once, which rules can change which texts, from pairs of neighbouring bytes."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.unsignedinteger]
EDGE = b"\xff"  # stands before and after each text: no UTF-8 has it
ANY = bytes(range(256))
TEXTS_AT_ONCE = 400  # their bytes and flags stay in the processor's cache


class Pair(NamedTuple):
    """A text has the pair if a byte of `first` is followed by one of `second`, in UTF-8 with an EDGE at both ends."""

    first: bytes
    second: bytes = ANY


Prefilter = tuple[Pair, ...]  # a text passes if it has one of the pairs


class Table:
    """The prefilters of some rules, compiled into one table access per pair of bytes.

    `masks` has a number for each of the prefilters: a text whose flags share a bit with it passes. None is a rule
    without a prefilter, which every text passes.
    """

    def __init__(self, prefilters: Sequence[Prefilter | None]) -> None:
        distinct = list(dict.fromkeys(one for one in prefilters if one is not None))
        bits = {None: 1} | {one: 2 << number for number, one in enumerate(distinct)}
        self.masks = [bits[one] for one in prefilters]
        by_pair = np.zeros((256, 256), np.min_scalar_type(1 << len(distinct)))  # the second byte is the higher one
        for prefilter in distinct:
            for pair in prefilter:
                by_pair[np.ix_([*pair.second], [*pair.first])] |= by_pair.dtype.type(bits[prefilter])
        self._by_pair = by_pair.ravel()

    def flags(self, texts: Sequence[str]) -> Flags:
        """The flags of each text, which may have lone surrogates; about 2 ns a byte."""
        found = [self._flags(texts[at : at + TEXTS_AT_ONCE]) for at in range(0, len(texts), TEXTS_AT_ONCE)]
        return np.concatenate([self._by_pair[:0], *found])

    def _flags(self, texts: Sequence[str]) -> Flags:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        joined = EDGE.join([b"", *encoded, b""])
        found = np.empty(len(joined) - 1, self._by_pair.dtype)
        for start in (0, 1):  # the pairs that begin at even bytes, then those at odd ones
            pairs = np.frombuffer(joined, "<u2", (len(joined) - start) // 2, start)
            found[start::2] = self._by_pair.take(pairs, mode="clip")  # no pair is out of range: "clip" spares the check
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1
        flags: Flags = np.bitwise_or.reduceat(found, np.cumsum(lengths) - lengths)
        flags |= self._by_pair.dtype.type(1)
        return flags


@functools.lru_cache(8)
def table(prefilters: tuple[Prefilter | None, ...]) -> Table:
    """The table of these prefilters, compiled once."""
    return Table(prefilters)
