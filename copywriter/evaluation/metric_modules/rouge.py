"""Mean ROUGE-1, -2 and -L of rouge-score as a module of `evaluate`, several times as fast."""

import functools
import importlib.metadata
import itertools
from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import datasets
import evaluate
from nltk.stem.porter import PorterStemmer
from rouge_score import scoring
from rouge_score.tokenize import tokenize

KINDS = ("rouge1", "rouge2", "rougeL")
_STEMMER = SimpleNamespace(stem=functools.lru_cache(2**18)(PorterStemmer().stem))  # most words come again


def common(left: Iterable[Any], right: Iterable[Any]) -> int:
    """How many items both have; one that stands several times counts as often as in the side that has it less often."""
    counts, others = Counter(left), Counter(right)
    return sum(min(count, others[one]) for one, count in counts.items() if one in others)


def common_subsequence(left: list[str], right: list[str]) -> int:
    """Length of the longest common subsequence, a column of its table as the bits of one number.

    Hyyro 2004, "Bit-parallel LCS-length computation revisited": a bit that is 0 is a step up in the column.
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
    return float(scoring.fmeasure(match / max(written, 1), match / max(reference, 1)))


def pair(reference: str, written: str) -> list[float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L."""
    left, right = tokenize(reference, _STEMMER), tokenize(written, _STEMMER)
    pairs = [list(itertools.pairwise(side)) for side in (left, right)]
    return [
        f1(common(left, right), len(left), len(right)),
        f1(common(*pairs), *map(len, pairs)),
        f1(common_subsequence(left, right), len(left), len(right)),
    ]


class Rouge(evaluate.Metric):  # type: ignore[misc]
    """Lin 2004: F1 of each pair, averaged, times 100. Its tokenizer keeps ASCII letters and digits only.

    Statistics a row: F1 of ROUGE-1, ROUGE-2 and ROUGE-L, 0 to 1.
    """

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=str(__doc__),
            citation="Lin 2004",
            inputs_description="predictions and references: lists of texts",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        rows = [pair(reference, written) for written, reference in zip(predictions, references, strict=True)]
        means = {kind: 100 * sum(row[at] for row in rows) / len(rows) for at, kind in enumerate(KINDS)}
        version = importlib.metadata.version("rouge-score")
        signature = f"ROUGE|stemmer:yes|measure:f1|aggregate:mean|version:{version}"
        return {**means, "signature": signature, "statistics": rows}
