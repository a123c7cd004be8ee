"""Sums of row statistics -> scores. All scores here are corpus scores; every function takes one sum or many at once."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from copywriter.evaluation.row_statistics import COLUMNS, NATS, SHARE

Values = NDArray[np.float64]

OVERLAP = ("bleu", "rouge1", "rouge2", "rougeL", "chrf")  # 0 to 100, higher is better
NAMES = {  # in the order in which they are shown
    "bleu": "BLEU",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "chrf": "chrF",
    "nll": "NLL of the reference",
    "perplexity": "perplexity",
    "stopped": "stopped by itself",
    "length_ratio": "length ratio",
    "repeated_4grams": "repeated 4-grams",
    "distinct_2": "distinct 2-grams",
    "copied_from_title": "copied from the title",
    "memorised_8grams": "8-grams found in training",
    "invented_facts": "numbers not in the title",
    "invented_texts": "texts with such a number",
    "unconfirmed_facts": "numbers in neither title nor reference",
    "tokens": "tokens written",
}
BETTER = {  # 1: higher, -1: lower; the others describe a text and grade nothing
    **dict.fromkeys((*OVERLAP, "stopped"), 1),
    **dict.fromkeys(("nll", "perplexity", "repeated_4grams", "unconfirmed_facts"), -1),
}
SHARES = ("stopped", "repeated_4grams", "distinct_2", "copied_from_title", "memorised_8grams", "invented_texts")


# What the catalogue's own texts can be measured by as well.
WITHOUT_REFERENCE = (
    "repeated_4grams",
    "distinct_2",
    "copied_from_title",
    "memorised_8grams",
    "invented_facts",
    "invented_texts",
)


def of(sums: NDArray[np.int64] | Values) -> dict[str, Values]:
    """Each score of statistics summed over rows, (..., COLUMNS) -> (...): NaN where nothing defines it.

    A text without a word has shares of 0. BLEU and chrF are 0 where nothing matches.
    """
    at = {name: np.asarray(sums[..., column], np.float64) for column, name in enumerate(COLUMNS)}
    nll = _ratio(at["nll"], at["nll_tokens"]) / NATS
    mean: Callable[[str], Values] = lambda name: at[name] / at["rows"]  # noqa: E731
    return {
        "bleu": _bleu(at),
        **{name: 100 * mean(name) / SHARE for name in ("rouge1", "rouge2", "rougeL")},
        "chrf": _chrf(at),
        "nll": nll,
        "perplexity": np.exp(nll),
        "stopped": _ratio(at["stopped"], at["asked"]),
        "length_ratio": at["bleu_words"] / np.maximum(at["bleu_reference_words"], 1),
        "repeated_4grams": mean("repeated_4grams") / SHARE,
        "distinct_2": mean("distinct_2") / SHARE,
        "copied_from_title": at["title_match"] / np.maximum(at["title_runs"], 1),
        "memorised_8grams": at["verbatim_match"] / np.maximum(at["verbatim_runs"], 1),
        "invented_facts": mean("invented"),
        "invented_texts": mean("with_invented"),
        "unconfirmed_facts": mean("unconfirmed"),
        "tokens": _ratio(at["tokens"], at["asked"]),
    }


def rounded(sums: NDArray[np.int64]) -> dict[str, float]:
    """The scores of one sum to four digits, without those that nothing defines."""
    return {name: round(float(value), 4) for name, value in of(sums).items() if not np.isnan(value)}


def _ratio(above: Values, below: Values) -> Values:
    found: Values = np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
    return found


def _bleu(at: Mapping[str, Values]) -> Values:
    """As sacreBLEU: brevity penalty, geometric mean of four precisions, those without a match smoothed by halves."""
    words, reference_words = at["bleu_words"], at["bleu_reference_words"]
    short = words < reference_words
    penalty = np.where(short, np.exp(np.where(short, 1 - reference_words / np.maximum(words, 1), 0)), 1.0)
    smooth = np.ones_like(words)
    total = np.zeros_like(words)
    for n in range(1, 5):
        match, runs = at[f"bleu_match_{n}"], at[f"bleu_runs_{n}"]
        smooth = np.where((match == 0) & (runs > 0), 2 * smooth, smooth)
        total += np.log(np.where(match > 0, match, 1 / smooth) / np.maximum(runs, 1))
    defined = (at["bleu_runs_4"] > 0) & (at["bleu_match_1"] > 0)  # without 4-word runs the score is as good as 0
    return np.where(defined, 100 * penalty * np.exp(total / 4), 0.0)


def _chrf(at: Mapping[str, Values], beta: int = 2) -> Values:
    """As sacreBLEU: precision and recall averaged over the run lengths that both sides have, then their F score."""
    precision, recall, orders = (np.zeros_like(at["rows"]) for _ in range(3))
    for n in range(1, 7):
        runs, theirs, match = (at[f"chrf_{name}_{n}"] for name in ("runs", "reference_runs", "match"))
        both = (runs > 0) & (theirs > 0)
        precision += np.where(both, match / np.maximum(runs, 1), 0)
        recall += np.where(both, match / np.maximum(theirs, 1), 0)
        orders += both
    precision, recall = precision / np.maximum(orders, 1), recall / np.maximum(orders, 1)
    below = beta**2 * precision + recall
    return np.where(below > 0, 100 * (1 + beta**2) * precision * recall / np.where(below > 0, below, 1), 0.0)
