"""How much of a text is copied from its title, and from its sources."""

from collections.abc import Mapping, Sequence

import numpy as np

from copywriter.evaluation import ngrams
from copywriter.evaluation.metric import Context, Counts, Metric, Score, Values
from copywriter.evaluation.metrics import memorisation
from copywriter.evaluation.predictions import Prediction


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """2-grams of the text, and those of them that are in its title; words, and those in copied runs of 8 or more."""
    written = [one.written for one in rows]
    found, total = ngrams.shared(written, [one.title for one in rows], 2)
    copied, words = ngrams.covered(written, context.shown or [""] * len(rows), memorisation.WORDS)
    return np.stack([total, found, words, copied], axis=1)


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """The shares over all rows."""
    return {
        "copied_from_title": sums["title_match"] / np.maximum(sums["title_runs"], 1),
        "copied_from_sources": sums["copied_words"] / np.maximum(sums["words"], 1),
    }


METRIC = Metric(
    name="copying",
    columns=("title_runs", "title_match", "words", "copied_words"),
    scores=(
        Score("copied_from_title", "copied from the title", place=80, scale="share", without_reference=True),
        Score(
            "copied_from_sources",
            "copied from the sources",
            place=81,
            scale="share",
            explanation="**Copied from the sources**: the share of the text's words in runs of eight or more that the "
            "products shown in its prompt have too. The nearest text is its own source.",
        ),
    ),
    count=count,
    combine=combine,
)
