"""Candidate texts of titles: the prompts to answer, and which of the answers and neighbours' own texts is taken.

Each prompt of a title is led by another of its neighbours; see copywriter/generation/consensus.py for the choice.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from copywriter.generation import consensus
from copywriter.generation.generate import Generated
from copywriter.grounding import Stated, unsupported
from copywriter.params import Params
from copywriter.prompt import Prompter
from copywriter.records import Product
from copywriter.retrieval import neighbours


@dataclass(frozen=True, slots=True)
class Chosen:
    """The text that was taken, and (training row, similarity, words of its description) of each product it saw."""

    text: Generated
    shown: tuple[tuple[int, float, int], ...]


class Candidates:
    """The candidates of some titles.

    prompts: those of a title one after the other. starts: of each title the number of its first prompt, which is the
    one of training.
    """

    def __init__(
        self,
        prompter: Prompter,
        p: Params,
        rows: Sequence[Product],
        found: Sequence[Sequence[tuple[int, float]]],
        products: Mapping[int, Product],
        questions: Sequence[str] | None,
    ) -> None:
        """`rows`: titles and facts. `questions`: the user's own; None: those that params.yaml gives the titles.

        `found`: of each title (training row, similarity), the most similar first, none where none are shown;
        `products`: the training rows by number.
        """
        self._prompter, self._count = prompter, p.retrieval.neighbours
        self._rows, self._found, self._products = rows, found, products
        written = [max(1, min(p.decoding.candidates, len(some))) for some in found]
        self.starts = [0, *itertools.accumulate(written)]
        self._shown = [
            neighbours.led_by(first, found[row], self._count)
            for row, count in enumerate(written)
            for first in range(count)
        ]
        of = [row for row, count in enumerate(written) for _ in range(count)]  # the title of each prompt
        self.prompts = prompter.prompts(
            [rows[row].title for row in of],
            [questions[row] for row in of] if questions is not None else None,
            [self._of(some) for some in self._shown] if self._count else None,
            [rows[row].facts for row in of],
        )

    def chosen(self, row: int, generated: Sequence[Generated]) -> Chosen:
        """The text of a title; `generated`: the answers to all prompts. A neighbour's own text has no tokens."""
        start = self.starts[row]
        written, found = generated[start : self.starts[row + 1]], self._found[row]
        if len(written) > 1:
            own = [one.description for one in self._of(found)]
            similarities = [similarity for _, similarity in found]
            odd = [self._unsupported(row, start + at, one.text) for at, one in enumerate(written)]
            best = consensus.choose([one.text for one in written], own, odd, similarities)
            if best >= len(written):
                number = best - len(written)
                whole = Generated(own[number], stopped=True, tokens=0)
                return Chosen(whole, ((*found[number], len(own[number].split())),))
            start, written = start + best, written[best:]
        shown = self._shown[start]
        words = self._prompter.words_shown(self.prompts[start], self._of(shown)) if shown else []
        return Chosen(written[0], tuple((*one, count) for one, count in zip(shown, words, strict=True) if count))

    def _unsupported(self, row: int, prompt: int, text: str) -> int:
        """How many numbers of a written text neither its title, its facts nor the products of its prompt state."""
        sources = (f"{one.title}\n{one.description}" for one in self._of(self._shown[prompt]))
        return len(unsupported(text, Stated((self._rows[row].title, self._rows[row].facts, *sources))))

    def _of(self, some: Sequence[tuple[int, float]]) -> list[Product]:
        return [self._products[row] for row, _ in some]
