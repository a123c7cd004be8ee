"""The learning rate of each step: the steps that runs of different lengths share, the decay, transformers' rates."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
    get_wsd_schedule,
)

from copywriter import params
from copywriter.checkpoints.schedule import Schedule

GIVEN: dict[str, Any] = {
    "shape": "wsd",
    "warmup_steps": 5,
    "decay": 0.5,
}


def of(epoch_steps: int, epochs: int, decay_shape: str = "1-sqrt", **changes: Any) -> Schedule:
    return Schedule(params.Schedule(**{**GIVEN, **changes}), epoch_steps, epochs * epoch_steps, decay_shape)


@given(
    steps=st.integers(1, 60),
    epochs=st.integers(1, 5),
    more=st.integers(1, 4),
    warmup=st.integers(0, 70),
    decay=st.floats(0, 0.99),
    shape=st.sampled_from(["wsd", "constant"]),
)
def test_runs_of_different_lengths_share_every_step_before_the_decay(
    steps: int, epochs: int, more: int, warmup: int, decay: float, shape: str
) -> None:
    short = of(steps, epochs, warmup_steps=warmup, decay=decay, shape=shape)
    long = of(steps, epochs + more, warmup_steps=warmup, decay=decay, shape=shape)
    assert short.shared_steps > (epochs - 1) * steps  # less than an epoch decays
    for step in range(short.shared_steps):
        assert short.factor(step) == long.factor(step)
    kept = [step for step in range(1, long.total + 1) if long.ends_an_epoch(step)]
    assert kept == [of(steps, k, decay=decay, shape=shape).shared_steps for k in range(1, epochs + more + 1)]


@given(
    steps=st.integers(1, 60),
    epochs=st.integers(1, 4),
    warmup=st.integers(0, 30),
    shape=st.sampled_from(["wsd", "cosine", "linear", "constant"]),
    decay_shape=st.sampled_from(["1-sqrt", "linear"]),
)
def test_rates_are_those_of_transformers_one_step_later(
    steps: int, epochs: int, warmup: int, shape: str, decay_shape: str
) -> None:
    ours = of(steps, epochs, decay_shape, warmup_steps=warmup, shape=shape)
    rising, falling, after = warmup + 1, ours.decay_steps + 1, ours.total + 1  # theirs start with a step at rate 0
    stable = after - rising - falling
    assume(shape != "wsd" or stable >= 0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    linear: Any = get_linear_schedule_with_warmup
    theirs: Any = {
        "wsd": lambda: get_wsd_schedule(optimizer, rising, falling, num_stable_steps=stable, decay_type=decay_shape),
        "cosine": lambda: get_cosine_schedule_with_warmup(optimizer, rising, after),
        "linear": lambda: linear(optimizer, rising, after),
        "constant": lambda: get_constant_schedule_with_warmup(optimizer, rising),
    }[shape]()
    for step in range(ours.total):
        expected = theirs.lr_lambdas[0](step + 1)
        assert ours.factor(step) == (pytest.approx(expected, abs=1e-15) if shape == "linear" else expected)


@given(steps=st.integers(2, 60), epochs=st.integers(1, 4), shape=st.sampled_from(["wsd", "cosine", "linear"]))
def test_the_rate_rises_then_falls_and_is_above_zero_until_the_end(steps: int, epochs: int, shape: str) -> None:
    schedule = of(steps, epochs, shape=shape)
    factors = [schedule.factor(step) for step in range(schedule.total)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


@pytest.mark.parametrize(("shape", "halfway"), [("linear", 0.5), ("1-sqrt", 1 - 0.5**0.5)])
def test_the_decay_has_the_shape_that_is_asked_for(shape: str, halfway: float) -> None:
    schedule = of(200, 2, decay_shape=shape, decay=0.495)  # 99 steps: the 50th of them is in the middle
    assert schedule.decay_steps == 99
    assert schedule.factor(400 - 50) == pytest.approx(halfway)
    assert schedule.factor(400 - 100) == 1


def test_a_schedule_that_depends_on_the_total_shares_nothing() -> None:
    for shape in ("cosine", "linear"):
        schedule = of(10, 3, shape=shape)
        assert not schedule.extends
        assert schedule.shared_steps == 0
        assert not any(schedule.ends_an_epoch(step) for step in range(31))
