"""Rare words: the same on every run, in a share of the words that is fixed."""

from collections import Counter
from random import Random

import numpy as np
import pytest

from benchmarks import retrieval, tail

TEXT = "The lantern hangs in a quiet room, by the old door. It was made by hand in a village."


def test_a_rank_has_always_the_same_word() -> None:
    words = [tail.word(rank) for rank in range(1, 2_000)]
    tail.word.cache_clear()
    assert [tail.word(rank) for rank in range(1, 2_000)] == words
    assert len(set(words)) > 1_900


def test_the_share_of_a_word_falls_with_its_rank() -> None:
    rng, drawn = Random(1), Counter[str]()
    drawn.update(tail.draw(1_000, rng) for _ in range(20_000))
    assert drawn[tail.word(1)] / 20_000 == pytest.approx(np.log(2) / np.log(1_000), rel=0.1)
    assert drawn[tail.word(1)] > 4 * drawn[tail.word(10)] > 0


def test_a_title_gets_up_to_four_words_behind_it() -> None:
    added = [tail.with_title("A Red Cup", 1_000, Random(seed)).removeprefix("A Red Cup").split() for seed in range(200)]
    assert {len(words) for words in added} == {0, 1, 2, 3, 4}


def test_one_of_ten_words_of_a_description_is_replaced() -> None:
    for seed in range(50):
        made = tail.with_description(TEXT, 1_000, Random(seed))
        pairs = list(zip(TEXT.split(), made.split(), strict=True))
        changed = [(old, new) for old, new in pairs if old != new]
        assert len(changed) == 2  # of 18 words
        assert all(
            (old[-1] in ".,") == (new[-1] in ".,") and old[0].isupper() == new[0].isupper() for old, new in changed
        )


def test_titles_of_the_search_benchmark_have_a_tail_too() -> None:
    titles = retrieval.titles_of(500)
    assert titles == retrieval.titles_of(500)
    assert len(set(titles)) > 490
