"""Mean ROUGE-1, -2 and -L of rouge-score as a module of `evaluate`, several times as fast."""

import functools
import importlib.metadata
from typing import Any

import datasets
import evaluate
from nltk.stem.porter import PorterStemmer
from rouge_score import scoring
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize
from rouge_score.tokenizers import Tokenizer

KINDS = ("rouge1", "rouge2", "rougeL")


class Stems(Tokenizer):  # type: ignore[misc]
    """rouge-score's own tokenizer; a word's stem and a text's tokens are computed once."""

    def __init__(self) -> None:
        self.stem = functools.lru_cache(2**18)(PorterStemmer().stem)
        self._tokens = functools.lru_cache(4)(lambda text: tokenize(text, self))

    def tokenize(self, text: str) -> list[str]:
        """The stems of a text's words."""
        tokens: list[str] = self._tokens(text)
        return tokens


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


def rouge_l(reference: list[str], written: list[str]) -> float:
    """F1 of the longest common subsequence, in the arithmetic of rouge-score."""
    if not reference or not written:
        return 0.0
    length = common_subsequence(reference, written)
    return float(scoring.fmeasure(length / len(written), length / len(reference)))


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
        stems = Stems()
        scorer = RougeScorer(list(KINDS[:2]), tokenizer=stems)
        rows = []
        for written, reference in zip(predictions, references, strict=True):
            pair = scorer.score(reference, written)
            longest = rouge_l(stems.tokenize(reference), stems.tokenize(written))
            rows.append([pair["rouge1"].fmeasure, pair["rouge2"].fmeasure, longest])
        means = {kind: 100 * sum(row[at] for row in rows) / len(rows) for at, kind in enumerate(KINDS)}
        version = importlib.metadata.version("rouge-score")
        signature = f"ROUGE|stemmer:yes|measure:f1|aggregate:mean|version:{version}"
        return {**means, "signature": signature, "statistics": rows}
