"""The training title most like another title: tf-idf over words and runs of three characters, cosine."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from copywriter import text

_STEPS = 256  # a weight is a whole number of these: its products add up to the same sum on every machine
Numbers = NDArray[np.int64]


def nearest(titles: Sequence[str], among: Sequence[str]) -> Iterator[tuple[int, float]]:
    """For each title the number of the most similar of `among`, and the similarity, 0 to 1; of equal ones the first.

    A feature's weight is its count times ln((1 + titles) / (1 + titles that have it)) + 1 (tf-idf, smoothed).
    ValueError without a title to choose from.
    """
    if not among:
        raise ValueError("no title to choose from")
    counts = [features(title) for title in among]
    numbers: dict[str, int] = {}
    of = np.fromiter((numbers.setdefault(name, len(numbers)) for one in counts for name in one), np.int64)
    times = np.fromiter((count for one in counts for count in one.values()), np.int64)
    titles_of = np.repeat(np.arange(len(among)), [len(one) for one in counts])
    having = np.bincount(of, minlength=len(numbers))
    logs = {int(have): round(_STEPS * (1 + math.log((1 + len(among)) / (1 + have)))) for have in np.unique(having)}
    weights = np.array([logs[int(have)] for have in having], np.int64)
    squares = np.bincount(titles_of, (times * weights[of]) ** 2, len(among))
    order = np.argsort(of, kind="stable")  # postings: the titles that have a feature, one feature after the other
    starts = np.concatenate([[0], np.cumsum(having)])
    titles_of, values = titles_of[order], (times * weights[of])[order]
    for title in titles:
        known = [(numbers[name], count) for name, count in features(title).items() if name in numbers]
        if not known:
            yield 0, 0.0
            continue
        parts = [slice(starts[number], starts[number + 1]) for number, _ in known]
        mine = [count * int(weights[number]) for number, count in known]
        products = np.concatenate([values[part] * weight for part, weight in zip(parts, mine, strict=True)])
        dots = np.bincount(np.concatenate([titles_of[part] for part in parts]), products, len(among))
        likeness = dots**2 / np.maximum(squares, 1)  # exact sums, and division rounds alike everywhere
        best = int(likeness.argmax())
        unknown = _STEPS * (1 + math.log(1 + len(among)))  # what a feature weighs that no training title has
        own = sum(weight**2 for weight in mine) + sum(
            round(count * unknown) ** 2 for name, count in features(title).items() if name not in numbers
        )
        yield best, math.sqrt(float(likeness[best]) / own)


def features(title: str) -> Counter[str]:
    """The words of a title, and their runs of three characters with a mark at both ends."""
    words = text.words(title)
    marked = [f"^{word}$" for word in words]
    return Counter([*words, *(f"{one[at : at + 3]}~" for one in marked for at in range(len(one) - 2))])
