"""Mean F1 of ROUGE-1, ROUGE-2 and ROUGE-L as rouge-score computes them (Lin 2004), several times as fast.

For languages that need letters outside a-z, words are those of text.words and are not stemmed: the stemmer is English.
"""

import functools
import importlib.metadata
import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from copywriter import text
from copywriter.evaluation.metric import SHARE, Context, Counts, Metric, Score, Values
from copywriter.evaluation.predictions import Prediction

KEYS = ("rouge1", "rouge2", "rougeL")


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L of each row, in billionths."""
    words = unicode_words if context.tokenizers.rouge == "unicode" else ascii_words
    found = [pair(words(one.reference), words(one.written)) for one in rows]
    return np.rint(np.array(found, np.float64).reshape(len(rows), len(KEYS)) * SHARE).astype(np.int64)


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """Means over the rows, 0 to 100."""
    return {key: 100 * (sums[key] / sums["rows"]) / SHARE for key in KEYS}


def signature(context: Context) -> str:
    """In the form of sacreBLEU's, with the reason for another tokenizer than rouge-score's."""
    version = f"measure:f1|aggregate:mean|version:{importlib.metadata.version('rouge-score')}"
    if context.tokenizers.rouge == "unicode":
        return f"ROUGE|tok:unicode|stemmer:no|{version}|why:{context.tokenizers.rouge_reason}"
    return f"ROUGE|stemmer:yes|{version}"


def ascii_words(written: str) -> list[str]:
    """The stemmed words of rouge-score's own tokenizer: ASCII letters and digits."""
    from rouge_score.tokenize import tokenize

    found: list[str] = tokenize(written, _stemmer())
    return found


def unicode_words(written: str) -> list[str]:
    """Casefolded words of letters and digits of any script; marks belong to their letters."""
    return text.words(unicodedata.normalize("NFC", written))


def pair(reference: list[str], written: list[str]) -> list[float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L of two lists of words."""
    bigrams = [list(itertools.pairwise(side)) for side in (reference, written)]
    return [
        f1(common(reference, written), len(reference), len(written)),
        f1(common(*bigrams), *map(len, bigrams)),
        f1(common_subsequence(reference, written), len(reference), len(written)),
    ]


def common(left: Iterable[Any], right: Iterable[Any]) -> int:
    """The size of the multiset intersection."""
    counts, others = Counter(left), Counter(right)
    return sum(min(count, others[one]) for one, count in counts.items() if one in others)


def common_subsequence(left: list[str], right: list[str]) -> int:
    """Length of the longest common subsequence, a column of its table as the bits of one number.

    Hyyro 2004, "Bit-parallel LCS-length computation revisited": a 0 bit is a step up in the column.
    """
    places: dict[str, int] = {}
    for at, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << at
    everything = (1 << len(left)) - 1
    column = everything
    for word in right:
        matches = column & places.get(word, 0)
        column = ((column + matches) | (column - matches)) & everything
    return len(left) - column.bit_count()


def f1(match: int, reference: int, written: int) -> float:
    """F1 of so many matches among the items of both sides, in the arithmetic of rouge-score."""
    from rouge_score import scoring

    return float(scoring.fmeasure(match / max(written, 1), match / max(reference, 1)))


@functools.cache
def _stemmer() -> SimpleNamespace:
    from nltk.stem.porter import PorterStemmer

    return SimpleNamespace(stem=functools.lru_cache(2**18)(PorterStemmer().stem))  # most words recur


METRIC = Metric(
    name="rouge",
    columns=KEYS,
    scores=(
        Score(
            "rouge1",
            "ROUGE-1",
            place=20,
            better=1,
            scale="points",
            verdict=True,
            hub="rouge",
            explanation="**ROUGE-1**, **-2** and **-L** (0 to 100): how many words, pairs of adjacent words, and words "
            "in the same order the two texts have in common.",
        ),
        Score("rouge2", "ROUGE-2", place=21, better=1, scale="points", verdict=True, hub="rouge"),
        Score("rougeL", "ROUGE-L", place=22, better=1, scale="points", verdict=True, hub="rouge"),
    ),
    count=count,
    combine=combine,
    signature=signature,
    pairs=True,
)
