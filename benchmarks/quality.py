"""Texts and scores of several models on the same rows, in memory: no file of the pipeline is touched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from copywriter import paths, records
from copywriter.evaluation import likelihood, measure, ngrams, scores, significance
from copywriter.evaluation.metrics import memorisation
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.row_statistics import Statistics
from copywriter.evaluation.scores import GRADES
from copywriter.evaluation.verdict import number, sentence, verdict
from copywriter.generation import generate
from copywriter.modeling import compilation
from copywriter.params import Decoding, Params
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Product

SETS = {"validation": paths.VALIDATION, "test": paths.TEST}
SHOWN = ("bleu", "rouge1", "rouge2", "rougeL", "chrf", "nll", "stopped", "length_ratio")


@dataclass(frozen=True, slots=True)
class Side:
    """What one model wrote under one decoding, and what each row adds to the scores."""

    texts: list[str]
    statistics: Statistics

    @property
    def scores(self) -> dict[str, float]:
        """All scores, as evaluate writes them."""
        return scores.rounded(self.statistics.sum(0))


class Judge:
    """Asks models for the same rows, and scores them by the functions of evaluate."""

    def __init__(self, rows: Sequence[Product], p: Params) -> None:
        """`rows`: titles to ask, with their descriptions. The prompts' tokenizer is that of models/base."""
        self.rows = rows
        self.tokenizer = load_tokenizer(paths.BASE)
        self._prompter = Prompter(self.tokenizer, p)
        self._width = p.max_prompt_length
        self._compile = p.advanced.compile is not False
        self._decoding, self._constrain_numbers = p.decoding, p.advanced.constrain_numbers
        titles = [row.title for row in rows]
        self.prompts = self._prompter.prompts(titles)
        self._examples = self._prompter.examples(titles, [row.description for row in rows])
        train = [row.description for row in records.iterate_products(paths.TRAIN)]
        self._library = ngrams.index(train, memorisation.WORDS)

    def ask(self, dense: Any, decodings: Mapping[str, Decoding]) -> dict[str, Side]:
        """What `dense` writes under each decoding; the likelihood of the references is the same for all."""
        # Blocks are compiled as evaluate does it; in float32 they are not, so that the plain kernels are the reference.
        full = dense.dtype is torch.float32
        compiled = self._compile and not full and compilation.obstacle(dense.device) is None
        nll = dict(likelihood.nll(dense, self._examples))
        sides = {}
        for name, decoding in decodings.items():
            written = dict(
                generate.texts(
                    dense,
                    self.tokenizer,
                    self.prompts,
                    decoding,
                    self._width,
                    compiled,
                    constrain_numbers=self._constrain_numbers and decoding == self._decoding,
                )
            )
            sides[name] = self.side([written[row] for row in range(len(self.rows))], nll)
        return sides

    def side(self, written: Sequence[generate.Generated], nll: Mapping[int, float]) -> Side:
        """The scores of these texts, one for each of the first rows; those that `nll` lacks have no likelihood."""
        made = [
            Prediction(
                row.title,
                self._prompter.question(row.title),
                row.description,
                one.text,
                one.stopped,
                one.tokens,
                nll.get(number),
                len(example.input_ids) - example.prompt_length,
            )
            for number, (row, one, example) in enumerate(zip(self.rows, written, self._examples, strict=False))
        ]
        return Side([one.text for one in written], measure.measure(made, self._library)[0])


def plain(decoding: Decoding) -> Decoding:
    """The same without a word on loops: greedy as `generate` has it."""
    return decoding.model_copy(update={"repetition_penalty": 1.0, "no_repeat_ngram_size": 0})


def table(heads: Sequence[str], lines: Sequence[tuple[Sequence[str], Side]]) -> str:
    """A line for each side: what names it, and its scores."""
    columns = [*heads, *(scores.NAMES[name] for name in SHOWN)]
    found = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
    for names, side in lines:
        values = side.scores
        found.append(
            f"| {' | '.join([*names, *(number(name, values[name]) if name in values else '' for name in SHOWN)])} |"
        )
    return "\n".join(found)


def against(before: str, one: Side, after: str, other: Side, seed: int) -> list[str]:
    """The verdict over the two and a sentence a grade, each with its interval and p-value."""
    found = significance.compare(one.statistics, other.statistics, seed)
    told = [sentence(name, found[name], before, after) for name in (*GRADES, "stopped")]
    return [verdict(found, before, after, len(one.statistics)), *told]


def equal(one: Side, other: Side) -> float:
    """The share of rows for which both wrote the same text."""
    return sum(first == second for first, second in zip(one.texts, other.texts, strict=True)) / len(one.texts)


def write(folder: Path, name: str, text: str) -> None:
    """Keeps a table beside the logs, and prints it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    print(text)
