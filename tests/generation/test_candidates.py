"""Candidates: each is led by another neighbour, one of them is the prediction, and its sources are those it saw."""

from pathlib import Path
from typing import Any

import pytest

from copywriter.generation.candidates import Candidates
from copywriter.generation.generate import Generated
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Product
from tests.conftest import changed

TRAIN = [Product(f"Bucket {n}", f"A bucket of tin that holds {n} litres.") for n in (5, 7, 9)]
TEST = [Product("Bucket 6", "It holds 6 litres."), Product("Zebra", "An animal.")]


FOUND = [[(1, 0.3), (0, 0.2), (2, 0.1)], []]


@pytest.fixture
def prompter(tiny_base: Path) -> Any:
    def of(**settings: Any) -> tuple[Candidates, Prompter]:
        p = changed(max_length=200, max_prompt_length=120, **settings)
        made = Prompter(load_tokenizer(tiny_base), p)
        found = FOUND if p.retrieval.neighbours else [[], []]
        return Candidates(made, p, TEST, found, dict(enumerate(TRAIN)), None), made

    return of


def written(*texts: str) -> list[Generated]:
    return [Generated(text, True, 3) for text in texts]


def test_each_candidate_is_led_by_another_neighbour(prompter: Any) -> None:
    pool, made = prompter(retrieval__neighbours=2, decoding__candidates=4)
    assert len(pool.prompts) == 3 + 1  # three neighbours; without one there is one text
    assert pool.starts == [0, 3, 4]
    orders = [(1, 0), (0, 1), (2, 1)]
    expected = [made.prompts(["Bucket 6"], neighbours=[[TRAIN[row] for row in order]])[0] for order in orders]
    assert pool.prompts[:3] == expected
    assert pool.prompts[3] == made.prompts(["Zebra"])[0]


def test_a_text_names_what_its_own_prompt_showed(prompter: Any) -> None:
    pool, _ = prompter(retrieval__neighbours=1, decoding__candidates=3)
    texts = ["Pail, six litres, of zinc.", "Pail of zinc for six litres.", "Six litres: a zinc pail.", "Stripes."]
    one = pool.chosen(0, written(*texts))
    assert one.shown == ((*FOUND[0][texts.index(one.text.text)], 8),)  # all eight words of its description
    alone = pool.chosen(1, written(*texts))
    assert (alone.text, alone.shown) == (Generated("Stripes.", True, 3), ())


def test_a_neighbours_own_text_can_win_and_is_its_source(prompter: Any) -> None:
    pool, _ = prompter(retrieval__neighbours=1, decoding__candidates=2)
    one = pool.chosen(0, written("x", "y", "Stripes."))
    number = [product.description for product in TRAIN].index(one.text.text)
    assert one.shown == ((number, dict(FOUND[0])[number], 8),)
    assert (one.text.stopped, one.text.tokens) == (True, 0)


@pytest.mark.parametrize("settings", [{"decoding__candidates": 1, "retrieval__neighbours": 1}, {}])
def test_one_candidate_is_the_greedy_text(prompter: Any, settings: dict[str, Any]) -> None:
    pool, _ = prompter(**{"retrieval__neighbours": 0, "decoding__candidates": 4} | settings)
    assert pool.starts == [0, 1, 2]
    assert pool.chosen(0, written("Mine.", "Other.")).text.text == "Mine."


def test_numbers_of_title_facts_and_own_sources_cost_nothing(prompter: Any) -> None:
    pool, _ = prompter(retrieval__neighbours=1, decoding__candidates=3)
    shown = [FOUND[0][at][0] for at in range(3)]  # the neighbour that each prompt shows
    for at, row in enumerate(shown):
        supported = f"Bucket 6 is like one of {(5, 7, 9)[row]} litres"
        assert pool._unsupported(0, at, supported) == 0
        assert pool._unsupported(0, at, f"{supported}, or 41 and {(5, 7, 9)[row - 1]}") == 2
