"""Results come in the order of the work, whatever the number of processes, and no more is taken than is needed."""

import os
import time

import pytest

from copywriter import parallel
from copywriter.errors import UserError


def slow_if_even(number: int) -> tuple[int, int]:
    time.sleep(0.05 * (number % 2 == 0))
    return number, os.getpid()


def refuse_three(number: int) -> int:
    if number == 3:
        raise UserError("three is no number")
    return number


def die(number: int) -> int:
    os._exit(number)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_are_in_order(processes: int) -> None:
    results = list(parallel.in_order(slow_if_even, range(9), processes))
    assert [number for number, _ in results] == list(range(9))
    assert len({process for _, process in results} - {os.getpid()}) == (processes if processes > 1 else 0)


@pytest.mark.parametrize("items", [[], [7]])
def test_one_item_needs_no_other_process(items: list[int]) -> None:
    assert list(parallel.in_order(slow_if_even, items, 2)) == [(item, os.getpid()) for item in items]


def test_at_most_two_items_per_process_are_taken_ahead() -> None:
    items = iter(range(4, 99))
    results = parallel.in_order(refuse_three, items, 2)
    assert next(results) == 4
    assert next(items) == 8


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_in_the_work_is_raised(processes: int) -> None:
    with pytest.raises(UserError, match="three is no number"):
        list(parallel.in_order(refuse_three, range(9), processes))


def test_a_killed_worker_is_an_error_and_does_not_hang() -> None:
    with pytest.raises(UserError, match="a worker process was killed, most often because memory ran out"):
        list(parallel.in_order(die, range(9), 2))
