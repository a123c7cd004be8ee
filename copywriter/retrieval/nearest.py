"""Nearest-neighbour search over titles: cosine of tf-idf vectors of words and character trigrams."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from copywriter import text

_STEPS = 256  # weights are whole multiples of 1/256: sums of their products are equal on every machine
Numbers = NDArray[np.int64]


def nearest(queries: Sequence[str], titles: Sequence[str]) -> Iterator[tuple[int, float]]:
    """For each query the index of the most similar title, and the similarity, 0 to 1; of equal ones the first.

    A feature's weight is its count times ln((1 + titles) / (1 + titles with the feature)) + 1 (tf-idf, smoothed).
    ValueError without titles.
    """
    if not titles:
        raise ValueError("no title to choose from")
    counts = [features(title) for title in titles]
    numbers: dict[str, int] = {}
    of = np.fromiter((numbers.setdefault(name, len(numbers)) for one in counts for name in one), np.int64)
    times = np.fromiter((count for one in counts for count in one.values()), np.int64)
    titles_of = np.repeat(np.arange(len(titles)), [len(one) for one in counts])
    frequencies = np.bincount(of, minlength=len(numbers))
    logs = {int(one): round(_STEPS * (1 + math.log((1 + len(titles)) / (1 + one)))) for one in np.unique(frequencies)}
    weights = np.array([logs[int(one)] for one in frequencies], np.int64)
    squares = np.bincount(titles_of, (times * weights[of]) ** 2, len(titles))
    order = np.argsort(of, kind="stable")  # postings lists, one feature after the other
    starts = np.concatenate([[0], np.cumsum(frequencies)])
    titles_of, values = titles_of[order], (times * weights[of])[order]
    for query in queries:
        known = [(numbers[name], count) for name, count in features(query).items() if name in numbers]
        if not known:
            yield 0, 0.0
            continue
        parts = [slice(starts[number], starts[number + 1]) for number, _ in known]
        own_weights = [count * int(weights[number]) for number, count in known]
        products = np.concatenate([values[part] * weight for part, weight in zip(parts, own_weights, strict=True)])
        dots = np.bincount(np.concatenate([titles_of[part] for part in parts]), products, len(titles))
        similarity = dots**2 / np.maximum(squares, 1)  # exact sums, and division rounds alike everywhere
        best = int(similarity.argmax())
        unknown = _STEPS * (1 + math.log(1 + len(titles)))  # the weight of a feature that no title has
        own_square = sum(weight**2 for weight in own_weights) + sum(
            round(count * unknown) ** 2 for name, count in features(query).items() if name not in numbers
        )
        yield best, math.sqrt(float(similarity[best]) / own_square)


def features(title: str) -> Counter[str]:
    """The words of a title, and their character trigrams, with ^ before and $ after each word."""
    words = text.words(title)
    marked = [f"^{word}$" for word in words]
    return Counter([*words, *(f"{one[at : at + 3]}~" for one in marked for at in range(len(one) - 2))])
