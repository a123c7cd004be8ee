"""Minimum Bayes risk decoding: of several candidate texts for a title, the one that agrees best with all of them.

Candidates are the texts that a model wrote, each with another of the title's neighbours in its prompt first, and the
neighbours' own descriptions. Agreement is chrF, weighted by how similar the products are; each unsupported number costs
a text some of it (Kumar and Byrne, "Minimum Bayes-Risk Decoding for Statistical Machine Translation", 2004; Popović,
"chrF", 2015).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ORDERS = 6  # n-grams of 1 to 6 characters
_BETA = 2.0  # recall counts twice as much as precision, which keeps short texts from winning
# Chosen on validation rows of real shops (docs/log.md, 2026-11-28).
_WRITTEN_POWER = 6
_OWN_POWER, _OWN_WEIGHT = 2, 1.5
_UNSUPPORTED = 0.02  # chrF, 0 to 1, that a number which nobody gave the model costs its text
_SIMILAR = 0.3  # titles less similar are of another product, whose description must not stand for this one

Values = NDArray[np.float64]


def weights(written: Sequence[float], neighbours: Sequence[float]) -> Values:
    """What each candidate counts as a reference: first the written texts, then the neighbours' own descriptions.

    `written`: the similarity, 0 to 1, of the first neighbour that each written text's prompt showed, where the most
    similar neighbour comes first; `neighbours`: the similarity of each neighbour.
    """
    shown = np.array(written, np.float64)
    own = np.array(neighbours, np.float64)
    best = shown[0] if len(shown) and shown[0] > 0 else 1.0
    counts = (shown / best) ** _WRITTEN_POWER
    counts[:1] = 1.0  # also of a text without neighbours
    return np.concatenate([counts, _OWN_WEIGHT * own**_OWN_POWER])


def choose(written: Sequence[str], own: Sequence[str], unsupported: Sequence[int], shown: Sequence[float]) -> int:
    """The number of the candidate with the largest expected chrF, less what its unsupported numbers cost.

    `written`: the texts of the model, each led by the neighbour of that place; `own`: the neighbours' descriptions,
    counted behind them. `unsupported`: how many numbers and model codes each written text has that neither title, facts
    nor its sources state. `shown`: the similarity of each neighbour, 0 to 1, the largest first. Of equal candidates the
    first is taken. An empty text never wins, nor does the description of a product that is hardly similar.
    """
    texts = [*written, *own]
    if len(texts) < 2:
        return 0
    agreement = pairwise(texts)
    np.fill_diagonal(agreement, 0)
    others = weights(shown[: len(written)], shown[: len(own)])[None] * (1 - np.eye(len(texts)))
    expected = (agreement * others).sum(1) / np.maximum(others.sum(1), 1e-12)
    expected[: len(written)] -= _UNSUPPORTED * np.array(unsupported)
    near = [True] * len(written) + [similarity >= _SIMILAR for similarity in shown[: len(own)]]
    possible = [bool(text.strip()) and similar for text, similar in zip(texts, near, strict=True)]
    # Rounded: sums of floats may differ in their last digits from machine to machine.
    expected = np.round(np.where(possible, expected, -np.inf), 9)
    return int(expected.argmax())


def pairwise(texts: Sequence[str]) -> Values:
    """chrF, 0 to 1, of each text (row) as hypothesis against each text (column) as reference.

    Mean precision and recall over those n-gram orders that both texts have, white space left out.
    """
    letters = [np.array([ord(char) for char in "".join(text.split())], np.int64) for text in texts]
    precision, recall, orders = (np.zeros((len(texts), len(texts))) for _ in range(3))
    grams = letters
    for order in range(1, _ORDERS + 1):
        if order > 1:  # an n-gram is the pair of its first n-1 characters, as a number, and its last character
            grams = [one[:-1] * 0x110000 + char[order - 1 :] for one, char in zip(grams, letters, strict=True)]
        sizes = np.array([len(one) for one in grams])
        numbers = np.unique(np.concatenate(grams), return_inverse=True)[1]
        grams = np.split(numbers.astype(np.int64), np.cumsum(sizes)[:-1])
        width = int(numbers.max()) + 1 if len(numbers) else 1
        counts = np.stack([np.bincount(one, minlength=width) for one in grams]).astype(np.int32)
        shared = np.stack([np.minimum(one, counts).sum(1) for one in counts]).astype(np.float64)
        both = (sizes[:, None] > 0) & (sizes[None] > 0)
        precision += np.where(both, shared / np.maximum(sizes[:, None], 1), 0)
        recall += np.where(both, shared / np.maximum(sizes[None], 1), 0)
        orders += both
    precision, recall = precision / np.maximum(orders, 1), recall / np.maximum(orders, 1)
    divisor = _BETA**2 * precision + recall
    return np.where(divisor > 0, (1 + _BETA**2) * precision * recall / np.maximum(divisor, 1e-12), 0)
