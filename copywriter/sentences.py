"""Sentences of a text, bullets and lines among them, in any script; for what is decided sentence by sentence."""

import re
from collections.abc import Iterator

_CLOSING = "\"'”’»)\\]」』）"
_END = re.compile(
    rf"(?P<dots>[.!?…]+[{_CLOSING}]*)\s+"  # followed by a space: not those of 4.5 or www.example.com
    rf"|[。！？।॥]+[{_CLOSING}]*\s*"  # of scripts that need no space
    r"|\s*\n\s*|\s*[|•●▪■◆;]\s*"
)
_ABBREVIATION = re.compile(r"(?<![^\W\d_])[^\W\d_]{1,4}\.$")


def spans(text: str) -> Iterator[tuple[int, int]]:
    """The start and the end of each sentence, without the white space around it, in order.

    "No. 5" and "ca. five" are no two sentences: none begins with a digit, nor with a small letter behind a short word.
    """
    start = 0
    for found in _END.finditer(text):
        if found["dots"] and _goes_on(text, found):
            continue
        yield from _without_space(text, start, found.end())
        start = found.end()
    yield from _without_space(text, start, len(text))


def _goes_on(text: str, found: re.Match[str]) -> bool:
    following = text[found.end() : found.end() + 1]
    if found["dots"] != ".":
        return False
    return following.isdigit() or (
        following.islower() and bool(_ABBREVIATION.search(text, max(0, found.start() - 5), found.start() + 1))
    )


def _without_space(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    part = text[start:end]
    if part.strip():
        yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())
