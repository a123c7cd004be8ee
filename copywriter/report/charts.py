"""Charts as inline SVG: lines, bars with intervals, histograms. Colours come from the page's style sheet.

Rendering the Vega-Lite templates of `dvc plots` with vl-convert was tried: its SVG is deterministic and follows the
page's colours, but the first chart takes 1.7 s (the whole stage takes 0.5 s), files are two to four times as large, and
tooltips need the Vega runtime, a script that the page's content security policy would have to allow.
"""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 12, 40

Point = tuple[float, float]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers between `low` and `high`, in steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


class _Plane:
    """The drawing area: scales, axes and their labels."""

    def __init__(self, x: Point, y: Point, x_label: str, y_label: str, x_ticks: bool = True) -> None:
        self._x, self._y = (x[0], max(x[1], x[0] + 1e-9)), (y[0], max(y[1], y[0] + 1e-9))
        self.parts: list[str] = []
        for value in ticks(*self._y):
            at = self.y(value)
            self.add(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
            self.text(LEFT - 6, at + 4, f"{value:,g}", "end")
        for value in ticks(*self._x, 6) if x_ticks else ():
            self.text(self.x(value), HEIGHT - BOTTOM + 16, f"{value:,g}")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label)
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self.add(f'<text class="label" transform="translate(12 {middle:g}) rotate(-90)">{escape(y_label)}</text>')

    def x(self, value: float) -> float:
        share = (value - self._x[0]) / (self._x[1] - self._x[0])
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 2)

    def y(self, value: float) -> float:
        share = (value - self._y[0]) / (self._y[1] - self._y[0])
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 2)

    def add(self, element: str) -> None:
        self.parts.append(element)

    def text(self, x: float, y: float, words: str, anchor: str = "middle") -> None:
        self.add(f'<text class="label" x="{x:g}" y="{y:g}" style="text-anchor:{anchor}">{escape(words)}</text>')

    def bar(self, left: float, right: float, value: float, kind: str, tip: str) -> None:
        top = self.y(value)
        box = f'x="{left:g}" y="{top:g}" width="{max(right - left, 0.5):g}" height="{self.y(self._y[0]) - top:g}"'
        self.add(f'<rect class="{kind}" {box}><title>{escape(tip)}</title></rect>')

    def svg(self, name: str) -> Markup:
        head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">'
        return Markup(head + "".join(self.parts) + "</svg>")


def lines(series: Mapping[str, Sequence[Point]], x_label: str, y_label: str) -> Markup:
    """One curve for each series, with its key as CSS class; empty when no series has a point."""
    points = [point for one in series.values() for point in one]
    if not points:
        return Markup("")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    margin = (max(ys) - min(ys)) * 0.05 or 0.5
    plane = _Plane((min(xs), max(xs)), (min(ys) - margin, max(ys) + margin), x_label, y_label)
    for kind, one in series.items():
        places = " ".join(f"{plane.x(x)},{plane.y(y)}" for x, y in one)
        plane.add(f'<polyline class="curve {kind}" points="{places}"/>')
        if len(one) <= 40:
            for x, y in one:
                tip = f"{x:,g}: {y:,.4g}"
                plane.add(
                    f'<circle class="{kind}" cx="{plane.x(x)}" cy="{plane.y(y)}" r="3"><title>{tip}</title></circle>'
                )
    return plane.svg(y_label)


def bars(groups: Mapping[str, Mapping[str, tuple[float, float, float]]], y_label: str) -> Markup:
    """Groups of bars (value, low, high), one for each side, with its key as CSS class and the interval as a whisker."""
    top = max([1.0, *(high for group in groups.values() for _, _, high in group.values())])
    plane = _Plane((0, len(groups)), (0, top * 1.05), "", y_label, x_ticks=False)
    for number, (name, group) in enumerate(groups.items()):
        width = (plane.x(1) - plane.x(0)) * 0.8 / len(group)
        plane.text(plane.x(number + 0.5), HEIGHT - BOTTOM + 16, name)
        for place, (side, (value, low, high)) in enumerate(group.items()):
            left = plane.x(number + 0.1) + place * width
            plane.bar(left + 1, left + width - 1, value, side, f"{name}, {side}: {value:.2f} ({low:.2f} to {high:.2f})")
            middle = left + width / 2
            plane.add(
                f'<line class="whisker" x1="{middle:g}" x2="{middle:g}" y1="{plane.y(low)}" y2="{plane.y(high)}"/>'
            )
    return plane.svg(y_label)


def histogram(bins: Sequence[tuple[float, float, float]], limit: float, x_label: str, y_label: str) -> Markup:
    """A histogram of (over, up to, count), with a line at the limit."""
    plane = _Plane((0, bins[-1][1]), (0, max(count for _, _, count in bins) * 1.05 or 1), x_label, y_label)
    for low, high, count in bins:
        tip = f"over {low:,g}, up to {high:,g}: {count:,g}"
        plane.bar(plane.x(low), plane.x(high) - 1, count, "past" if low >= limit else "within", tip)
    at = plane.x(limit)
    plane.add(f'<line class="limit" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    plane.text(at + 4, TOP + 10, f"limit {limit:,g}", "start")
    return plane.svg(x_label)
