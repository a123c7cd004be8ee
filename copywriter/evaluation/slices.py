"""Slices of the test rows: by length of title and description, by similarity to the nearest training title, and by how
much of tuned's text is copied from its sources.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from copywriter import text
from copywriter.evaluation.predictions import Prediction

PARTS = 4
BY = {
    "title words": "words in the title",
    "description words": "words in the catalogue's description",
    "similarity": "similarity of the title to the nearest training title, 0 to 1",
    "copied": "share of tuned's words copied from its sources, in runs of eight or more",
}
COPIED = (0.0, 0.25, 0.5, 1.0)  # upper ends of the slices by copied share


def slices(
    rows: Sequence[Prediction], similarity: Sequence[float], copied: NDArray[np.float64]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yields (key of BY, range as text, mask of the rows): about quarters of the rows, equal values together.

    `copied`: the copied share of each of tuned's texts; its slices have fixed ends, and are left out where nothing is
    copied. Rows have no category, so no slice is by category.
    """
    measured = {
        "title words": [len(text.words(row.title)) for row in rows],
        "description words": [len(text.words(row.reference)) for row in rows],
        "similarity": similarity,
    }
    for by, values in measured.items():
        for low, high, inside in quarters(np.array(values, np.float64)):
            shown = f"{low:.2f} to {high:.2f}" if by == "similarity" else f"{low:.0f} to {high:.0f}"
            yield by, shown, inside
    part = np.searchsorted(COPIED, copied, side="left")
    for number in np.unique(part) if copied.any() else ():
        shown = f"over {COPIED[number - 1]:.0%} to {COPIED[number]:.0%}" if number else "0%"
        yield "copied", shown, part == number


def quarters(values: NDArray[np.float64]) -> Iterator[tuple[float, float, NDArray[np.bool_]]]:
    """Yields (smallest, largest, mask) of about equal parts, ascending; fewer where many values are equal."""
    edges = np.unique(np.quantile(values, np.arange(1, PARTS) / PARTS, method="inverted_cdf"))
    part = np.searchsorted(edges, values, side="left")
    for number in np.unique(part):
        inside = part == number
        yield float(values[inside].min()), float(values[inside].max()), inside
