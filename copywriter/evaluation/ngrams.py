"""Word runs of a text against itself, against its title and against the training texts, as counts a row."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from copywriter import shingles

_AT_ONCE = 256  # texts: what their characters become fits a processor's cache, and little memory

Counts = NDArray[np.int64]
Hashes = NDArray[np.uint64]


def runs(texts: Sequence[str], words: int) -> tuple[Hashes, Counts]:
    """64-bit hashes of each run of so many words (as in text.words, at most 25), and the number of each run's text."""
    starts = range(0, max(len(texts), 1), _AT_ONCE)
    parts = [_runs(texts[at : at + _AT_ONCE], words) for at in starts]
    of = [numbers + at for at, (_, numbers) in zip(starts, parts, strict=True)]
    return np.concatenate([hashes for hashes, _ in parts]), np.concatenate(of)


def _runs(texts: Sequence[str], words: int) -> tuple[Hashes, Counts]:
    hashes, counts = shingles.word_hashes(texts)
    if len(hashes) < words:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    columns = [hashes[at : len(hashes) - words + 1 + at] for at in range(words)]
    groups = [shingles.combine(columns[at : at + 5]) for at in range(0, words, 5)]
    joined = shingles.combine(groups) if len(groups) > 1 else groups[0]
    of = np.repeat(np.arange(len(texts)), counts)
    inside = of[: len(joined)] == of[words - 1 :]  # the run's last word is of the same text
    return joined[inside], of[: len(joined)][inside]


def per_text(of: Counts, texts: int, picked: NDArray[np.bool_] | None = None) -> Counts:
    """How many runs each text has, or how many of the picked ones."""
    return np.bincount(of if picked is None else of[picked], minlength=texts).astype(np.int64)


def repeated(texts: Sequence[str], words: int) -> tuple[Counts, Counts]:
    """For each text: its runs that stood in it before, and all its runs."""
    hashes, of = runs(texts, words)
    order = np.lexsort((hashes, of))
    again = np.zeros(len(hashes), np.bool_)
    again[1:] = (np.diff(hashes[order]) == 0) & (np.diff(of[order]) == 0)
    return per_text(of[order], len(texts), again), per_text(of, len(texts))


def shared(texts: Sequence[str], sources: Sequence[str], words: int) -> tuple[Counts, Counts]:
    """For each text: its runs that its own source holds too, and all its runs."""
    hashes, of = runs(texts, words)
    theirs, whose = runs(sources, words)
    pairs = np.stack([hashes, of.astype(np.uint64)], axis=1)
    known = {(int(run), int(row)) for run, row in zip(theirs, whose, strict=True)}
    hit = np.fromiter(((int(run), int(row)) in known for run, row in pairs), np.bool_, len(pairs))
    return per_text(of, len(texts), hit), per_text(of, len(texts))


def library(texts: Sequence[str], words: int) -> Hashes:
    """The hashes of all the texts' runs, ascending."""
    return np.sort(runs(texts, words)[0])


def verbatim(texts: Sequence[str], known: Hashes, words: int) -> tuple[Counts, Counts]:
    """For each text: its runs that stand anywhere in the texts of a library, and all its runs."""
    hashes, of = runs(texts, words)
    hit = np.searchsorted(known, hashes) < np.searchsorted(known, hashes, "right")
    return per_text(of, len(texts), hit), per_text(of, len(texts))
