"""How much of a text is in a training description word for word."""

from collections.abc import Mapping, Sequence

import numpy as np

from copywriter.evaluation import ngrams
from copywriter.evaluation.metric import Context, Counts, Metric, Score, Values
from copywriter.evaluation.predictions import Prediction

WORDS = 8  # of an n-gram: one of so many words that is in a training text counts as memorised


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """8-grams of the text, and those of them that are in any training description."""
    found, total = ngrams.verbatim([one.written for one in rows], context.training_ngrams, WORDS)
    return np.stack([total, found], axis=1)


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """The share over all rows."""
    return {"memorised_8grams": sums["verbatim_match"] / np.maximum(sums["verbatim_runs"], 1)}


METRIC = Metric(
    name="memorisation",
    columns=("verbatim_runs", "verbatim_match"),
    scores=(
        Score(
            "memorised_8grams",
            "8-grams found in training",
            place=90,
            scale="share",
            without_reference=True,
            explanation="**8-grams found in training**: the share of the text's n-grams of eight words that are in a "
            "training description word for word.",
        ),
    ),
    count=count,
    combine=combine,
    training_texts=True,
)
