"""Word n-grams as hashes: counted within a text, shared with its title, and found in the training texts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from copywriter import shingles
from copywriter.evaluation.metric import Counts, Hashes

_TEXTS_AT_ONCE = 256  # their arrays fit a processor's cache


def hashed(texts: Sequence[str], n: int) -> tuple[Hashes, Counts]:
    """64-bit hashes of all n-grams of words (see text.words; n is at most 25), and the index of each n-gram's text."""
    starts = range(0, max(len(texts), 1), _TEXTS_AT_ONCE)
    parts = [_hashed(texts[at : at + _TEXTS_AT_ONCE], n) for at in starts]
    of = [indices + at for at, (_, indices) in zip(starts, parts, strict=True)]
    return np.concatenate([hashes for hashes, _ in parts]), np.concatenate(of)


def _hashed(texts: Sequence[str], n: int) -> tuple[Hashes, Counts]:
    hashes, counts = shingles.word_hashes(texts)
    if len(hashes) < n:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    columns = [hashes[at : len(hashes) - n + 1 + at] for at in range(n)]
    groups = [shingles.combine(columns[at : at + 5]) for at in range(0, n, 5)]
    joined = shingles.combine(groups) if len(groups) > 1 else groups[0]
    of = np.repeat(np.arange(len(texts)), counts)
    inside = of[: len(joined)] == of[n - 1 :]  # the n-gram's last word is in the same text as its first
    return joined[inside], of[: len(joined)][inside]


def _per_text(of: Counts, texts: int, picked: NDArray[np.bool_] | None = None) -> Counts:
    return np.bincount(of if picked is None else of[picked], minlength=texts).astype(np.int64)


def repeated(texts: Sequence[str], n: int) -> tuple[Counts, Counts]:
    """For each text the number of n-grams that occurred earlier in it, and of all n-grams."""
    hashes, of = hashed(texts, n)
    order = np.lexsort((hashes, of))
    again = np.zeros(len(hashes), np.bool_)
    again[1:] = (np.diff(hashes[order]) == 0) & (np.diff(of[order]) == 0)
    return _per_text(of[order], len(texts), again), _per_text(of, len(texts))


def shared(texts: Sequence[str], sources: Sequence[str], n: int) -> tuple[Counts, Counts]:
    """For each text the number of n-grams that its own source contains, and of all n-grams."""
    of, hit = _found(texts, sources, n)
    return _per_text(of, len(texts), hit), _per_text(of, len(texts))


def covered(texts: Sequence[str], sources: Sequence[str], n: int) -> tuple[Counts, Counts]:
    """For each text the number of words in runs of at least n that its own source contains, and of all words."""
    of, hit = _found(texts, sources, n)
    words = shingles.word_hashes(texts)[1].astype(np.int64)
    # The place of an n-gram's first word among all words; a text of w words has w - n + 1 of them.
    ngrams = np.maximum(words - n + 1, 0)
    first = np.arange(len(of)) + np.repeat(np.cumsum(words) - words - (np.cumsum(ngrams) - ngrams), ngrams)
    change = np.bincount(first[hit], minlength=words.sum() + n) - np.bincount(first[hit] + n, minlength=words.sum() + n)
    inside = np.cumsum(change)[: words.sum()] > 0
    return _per_text(np.repeat(np.arange(len(texts)), words), len(texts), inside), words


def _found(texts: Sequence[str], sources: Sequence[str], n: int) -> tuple[Counts, NDArray[np.bool_]]:
    """The index of each n-gram's text, and whether the source of that text contains the n-gram."""
    hashes, of = hashed(texts, n)
    known = {(int(ngram), int(row)) for ngram, row in zip(*hashed(sources, n), strict=True)}
    pairs = zip(hashes.tolist(), of.tolist(), strict=True)
    return of, np.fromiter((pair in known for pair in pairs), np.bool_, len(of))


def index(texts: Sequence[str], n: int) -> Hashes:
    """The hashes of all n-grams of the texts, ascending; the index that `verbatim` searches."""
    return np.sort(hashed(texts, n)[0])


def verbatim(texts: Sequence[str], known: Hashes, n: int) -> tuple[Counts, Counts]:
    """For each text the number of n-grams that are in the index `known`, and of all n-grams."""
    hashes, of = hashed(texts, n)
    hit = np.searchsorted(known, hashes) < np.searchsorted(known, hashes, "right")
    return _per_text(of, len(texts), hit), _per_text(of, len(texts))
