"""Corpus BLEU as sacreBLEU computes it (Papineni et al. 2002, Post 2018), and the length ratio of the same words."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from copywriter.errors import UserError
from copywriter.evaluation.metric import Context, Counts, Metric, Score, Values
from copywriter.evaluation.predictions import Prediction

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """Words, reference words, matching n-grams and all n-grams of 1 to 4 words."""
    # The first of the two steps of BLEU.corpus_score; `combine` is the second.
    metric = _sacrebleu(context)
    found = metric._extract_corpus_statistics([one.written for one in rows], [[one.reference for one in rows]])
    return np.array(found, np.int64)


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """BLEU, 0 where nothing matches, and written words for each reference word."""
    ratio = sums["bleu_words"] / np.maximum(sums["bleu_reference_words"], 1)
    return {"bleu": _bleu(sums), "length_ratio": ratio}


def signature(context: Context) -> str:
    """sacreBLEU's own, and the reason for another tokenizer than 13a."""
    metric = _sacrebleu(context)
    metric.num_refs = 1
    reason = context.tokenizers.bleu_reason
    return f"BLEU|{metric.get_signature()}{f'|why:{reason}' if reason else ''}"


def _sacrebleu(context: Context) -> "BLEU":
    from sacrebleu.metrics.bleu import BLEU

    try:
        return BLEU(tokenize=context.tokenizers.bleu)
    except RuntimeError as error:  # sacreBLEU's own for a missing package
        raise UserError("Japanese texts need mecab-python3 and ipadic; run 'pip install -r requirements.txt'") from error


def _bleu(sums: Mapping[str, Values]) -> Values:
    """Brevity penalty times the geometric mean of four precisions; precisions without a match are smoothed (exp)."""
    words, reference_words = sums["bleu_words"], sums["bleu_reference_words"]
    short = words < reference_words
    penalty = np.where(short, np.exp(np.where(short, 1 - reference_words / np.maximum(words, 1), 0)), 1.0)
    smooth = np.ones_like(words)
    total = np.zeros_like(words)
    for n in range(1, 5):
        match, ngrams = sums[f"bleu_match_{n}"], sums[f"bleu_runs_{n}"]
        smooth = np.where((match == 0) & (ngrams > 0), 2 * smooth, smooth)
        total += np.log(np.where(match > 0, match, 1 / smooth) / np.maximum(ngrams, 1))
    defined = (sums["bleu_runs_4"] > 0) & (sums["bleu_match_1"] > 0)  # without a 4-gram sacreBLEU returns 0 as well
    return np.where(defined, 100 * penalty * np.exp(total / 4), 0.0)


METRIC = Metric(
    name="bleu",
    columns=(
        *(f"bleu_{name}" for name in ("words", "reference_words", *(f"match_{n}" for n in range(1, 5)))),
        *(f"bleu_runs_{n}" for n in range(1, 5)),
    ),
    scores=(
        Score(
            "bleu",
            "BLEU",
            place=10,
            better=1,
            scale="points",
            verdict=True,
            hub="bleu",
            explanation="**BLEU** (0 to 100): the share of n-grams of one to four words that are also in the "
            "reference. A product can be described in many ways, so even a good description scores low.",
        ),
        Score(
            "length_ratio",
            "length ratio",
            place=60,
            explanation="**Length ratio**: words written for each word of the reference. It is neither good nor bad: "
            "a text that repeats itself can reach 1.00.",
        ),
    ),
    count=count,
    combine=combine,
    signature=signature,
    pairs=True,
)
