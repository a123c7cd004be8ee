"""Consensus: chrF equals sacrebleu's; the text that agrees with the others wins, and similar products count more."""

import numpy as np
import pytest
from sacrebleu.metrics.chrf import CHRF

from copywriter.generation import consensus

TEXTS = [
    "A red wool scarf, 180 cm long.",
    "A red wool scarf that is soft and 180 cm long. Wash it by hand.",
    "Echarpe de lã vermelha, 180 cm.",
    "红色羊毛围巾。",
    "a",
    "Bolts of steel, twelve in a box.",
]


def test_agreement_is_chrf_of_sacrebleu() -> None:
    theirs = CHRF()
    found = consensus.pairwise(TEXTS)
    for row, text in enumerate(TEXTS):
        for column, reference in enumerate(TEXTS):
            expected = theirs.sentence_score(text, [reference]).score
            assert 100 * found[row, column] == pytest.approx(expected, abs=1e-6)


def test_the_text_that_agrees_with_the_others_wins() -> None:
    texts = ["Bolts of steel.", "A soft red wool scarf.", "A red scarf of soft wool.", "A soft scarf of red wool."]
    assert consensus.choose(texts, [], [0] * 4, [0.8] * 4) in (1, 2, 3)
    first = consensus.choose(texts, [], [0] * 4, [0.9, 0, 0, 0])  # the others do not count
    assert first == int(consensus.pairwise(texts)[1:, 0].argmax()) + 1


def test_one_candidate_and_empty_texts() -> None:
    assert consensus.choose(["Alone."], [], [3], []) == 0
    assert consensus.choose(["", "Bolts.", ""], [], [0, 90, 0], [0.5] * 3) == 1
    assert consensus.choose(["", ""], [], [0, 0], [0.5] * 2) == 0
    assert np.isfinite(consensus.pairwise(["", "a"])).all()


@pytest.mark.parametrize(("similarity", "taken"), [(0.29, False), (0.31, True)])
def test_only_a_similar_products_own_text_can_be_taken(similarity: float, taken: bool) -> None:
    best = consensus.choose(["x", "y"], ["A soft scarf of red wool."] * 2, [0, 0], [similarity] * 2)
    assert (best >= 2) == taken


def test_texts_count_by_the_similarity_of_their_neighbours() -> None:
    found = consensus.weights([0.8, 0.4, 0.0], [0.8, 0.4])
    assert found[0] == 1 > found[1] > found[2] == 0
    assert found[3] > found[4] > 0
    assert consensus.weights([0.0], [0.0]).tolist() == [1.0, 0.0]
    assert consensus.weights([0.0], []).tolist() == [1.0]


def test_an_unsupported_number_costs_a_text_its_place() -> None:
    texts = ["A soft red wool scarf.", "A red scarf of soft wool.", "A soft scarf of red wool."]
    alike = [0.8] * 3
    best = consensus.choose(texts, [], [0, 0, 0], alike)
    invented = [20 * (number == best) for number in range(3)]
    assert consensus.choose(texts, [], invented, alike) != best
    assert consensus.choose(texts, [], [20, 20, 20], alike) == best  # none is left out, however many it has
