"""Corpus chrF as sacreBLEU computes it (Popovic 2015)."""

from collections.abc import Mapping, Sequence

import numpy as np

from copywriter.evaluation.metric import Context, Counts, Metric, Score, Values
from copywriter.evaluation.predictions import Prediction


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """For 1 to 6 characters: written n-grams, reference n-grams, matches."""
    from sacrebleu.metrics.chrf import CHRF

    found = CHRF()._extract_corpus_statistics([one.written for one in rows], [[one.reference for one in rows]])
    return np.array(found, np.int64)


def combine(sums: Mapping[str, Values], beta: int = 2) -> dict[str, Values]:
    """F-beta of precision and recall, each averaged over the n-gram lengths that both sides have; 0 without a match."""
    precision, recall, orders = (np.zeros_like(sums["rows"]) for _ in range(3))
    for n in range(1, 7):
        ngrams, reference_ngrams, match = (sums[f"chrf_{name}_{n}"] for name in ("runs", "reference_runs", "match"))
        both = (ngrams > 0) & (reference_ngrams > 0)
        precision += np.where(both, match / np.maximum(ngrams, 1), 0)
        recall += np.where(both, match / np.maximum(reference_ngrams, 1), 0)
        orders += both
    precision, recall = precision / np.maximum(orders, 1), recall / np.maximum(orders, 1)
    below = beta**2 * precision + recall
    f_beta = 100 * (1 + beta**2) * precision * recall / np.where(below > 0, below, 1)
    return {"chrf": np.where(below > 0, f_beta, 0.0)}


def signature(context: Context) -> str:
    """sacreBLEU's own."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    metric.num_refs = 1
    return f"chrF|{metric.get_signature()}"


METRIC = Metric(
    name="chrf",
    columns=tuple(f"chrf_{name}_{n}" for n in range(1, 7) for name in ("runs", "reference_runs", "match")),
    scores=(
        Score(
            "chrf",
            "chrF",
            place=30,
            better=1,
            scale="points",
            verdict=True,
            hub="chrf",
            explanation="**chrF** (0 to 100): the share of n-grams of up to six characters that the two texts have in "
            "common; it tolerates other endings and spellings.",
        ),
    ),
    count=count,
    combine=combine,
    signature=signature,
    pairs=True,
)
