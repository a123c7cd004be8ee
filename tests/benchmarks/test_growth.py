"""The growth of time and memory: exponents between neighbouring sizes, and whether they are linear."""

import pytest

from benchmarks import growth
from benchmarks.growth import Chain


def measured(rows: int, power: float) -> Chain:
    """`rows` rows whose search takes time as rows ** power, beside a stage that grows linearly."""
    seconds = {"clean": rows / 1_000, "retrieve": (rows / 1_000) ** power}
    gib = {"clean": 0.5, "retrieve": 0.5 * (rows / 1_000) ** 0.5}
    whole = {growth.WHOLE: sum(seconds.values())}
    return Chain(seconds | whole, gib | {growth.WHOLE: max(gib.values())}, rows, rows * 4 // 5, 2)


def test_an_exponent_is_the_slope_on_logarithmic_axes() -> None:
    found = growth.exponents((1_000, 10_000), {"a": 2.0, "b": 3.0}, {"a": 20.0, "b": 3.0})
    assert found == pytest.approx({"a": 1.0, "b": 0.0})


def test_linear_growth_is_said_to_be_linear() -> None:
    said = growth.report({rows: measured(rows, 1.0) for rows in (4_000, 16_000)})
    assert (
        "From 4,000 to 16,000 rows time grows as rows^1.00, which is at most linear, and the peak as rows^0.50." in said
    )


def test_a_stage_that_grows_faster_is_named() -> None:
    said = growth.report({rows: measured(rows, 1.5) for rows in (1_000, 4_000, 16_000)})
    first, second = (line for line in said.splitlines() if line.startswith("From "))
    assert first.startswith("From 1,000 to 4,000 rows time grows as rows^1.29, which is more than linear")
    assert second.startswith("From 4,000 to 16,000 rows")
    assert first.endswith("more than linear alone: retrieve (1.50).")


def test_each_size_has_its_seconds_peaks_and_counts() -> None:
    lines = growth.report({4_000: measured(4_000, 1.0)}).splitlines()
    assert lines[2] == "| 4,000 | 4.0 s, 0.50 GiB | 4.0 s, 1.00 GiB | 8.0 s, 1.00 GiB | 2000 |"
    assert lines[-1] == "| 4,000 | 4,000 | 3,200 | 2 |"
    assert not any(line.startswith("From ") for line in lines)
