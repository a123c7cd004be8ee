"""Examples of what each cleaning rule changed: a uniform sample of texts before and after, cut to a few lines."""

from bisect import bisect_left
from collections.abc import Mapping

from copywriter.records import Example

PAIRS = 20  # of each rule
WINDOW = 200  # characters of a text that are shown
LEAD = 60  # about so many of them come before the change

Examples = dict[
    str, list[tuple[bytes, Example]]
]  # by rule, the pairs of the rows with the smallest digests: a uniform draw


def choose(changes: Mapping[bytes, Mapping[str, tuple[str, str]]]) -> Examples:
    """The first PAIRS of each rule, from the changes by row digest and rule: the texts before and after."""
    chosen: Examples = {}
    for key in sorted(changes):
        for rule, texts in changes[key].items():
            pairs = chosen.setdefault(rule, [])
            if len(pairs) < PAIRS and (pair := excerpt(rule, *texts)):
                pairs.append((key, pair))
    return chosen


def merge(some: Examples, more: Examples) -> Examples:
    """The first pairs of both; the result does not depend on how the rows were divided."""
    return {rule: sorted({*some.get(rule, ()), *more.get(rule, ())})[:PAIRS] for rule in {**some, **more}}


def excerpt(rule: str, before: str, after: str) -> Example | None:
    """The change with whole words around it; None if they are too long."""
    shared = bisect_left(range(min(len(before), len(after))), True, key=lambda n: before[: n + 1] != after[: n + 1])
    starts = (n for n in range(max(0, shared - LEAD), shared + 1) if not n or before[n - 1].isspace())
    start = next(starts, None)
    if start is None:
        return None
    ends = [_end_of_word(text, start, start + WINDOW) for text in (before, after)]
    if min(ends) < shared or before[start : ends[0]] == after[start : ends[1]]:
        return None
    return Example(rule, *(_part(text, start, end) for text, end in zip((before, after), ends, strict=True)))


def _end_of_word(text: str, start: int, end: int) -> int:
    return next((n for n in range(end, start, -1) if n >= len(text) or text[n].isspace()), start)


def _part(text: str, start: int, end: int) -> str:
    return ("… " if start else "") + text[start:end] + (" …" if end < len(text) else "")
