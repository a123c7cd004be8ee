"""Charts are inline SVG that contains every point."""

import pytest

from copywriter.report import charts


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.13, 0.31, [0.15, 0.2, 0.25, 0.3]),
        (-3, 3, [-2, 0, 2]),
        (5, 5, [5]),
        (0, 40_000, [0, 10_000, 20_000, 30_000, 40_000]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert charts.ticks(low, high) == pytest.approx(expected)


def test_charts_contain_all_their_points() -> None:
    curve = [(float(step), 4 - step / 100) for step in range(0, 100, 10)]
    assert charts.lines({"loss": curve, "eval_loss": curve[:1]}, "step", "loss").count("<circle") == 11
    assert charts.lines({"loss": []}, "step", "loss") == ""
    assert charts.lines({"loss": [(5.0, 1.0)]}, "step", "loss").count("<circle") == 1
    assert charts.histogram([(0, 5, 3), (5, 10, 0)], 5, "<x>", "y").count("<rect") == 2
    assert "<x>" not in charts.histogram([(0, 5, 3), (5, 10, 0)], 5, "<x>", "y")
    both = charts.bars({"BLEU": {"base": (1.0, 0.5, 1.5), "tuned": (2.0, 1.5, 2.5)}}, "y")
    assert both.count("<rect") == both.count("whisker") == 2
