"""Marks the unsupported numbers of a text that comes in pieces: underlined on a terminal, <mark> in HTML."""

import html
import re
from collections.abc import Callable

from copywriter.grounding import Stated, mentions

_TAIL = re.compile(r"(?:\S+\s*){0,2}\Z")  # may still become part of a number: "5" of "5 1/2", "5" of "5 inch"


def plain(text: str, marked: bool) -> str:
    """A part of a text without marks."""
    return text


def underlined(text: str, marked: bool) -> str:
    """A part of a text for a terminal."""
    return f"\x1b[4m{text}\x1b[24m" if marked else text


def as_html(text: str, marked: bool) -> str:
    """A part of a text for a page, escaped."""
    return f"<mark>{html.escape(text)}</mark>" if marked else html.escape(text)


class Marker:
    """Pieces of a text in, the same text with marks out, as soon as the end of each number is certain."""

    def __init__(self, stated: Stated, form: Callable[[str, bool], str] = underlined) -> None:
        """`form`: how a part is written that is, or is not, an unsupported number."""
        self._stated = stated
        self._form = form
        self._text = ""
        self._done = 0  # characters returned so far

    def add(self, piece: str) -> str:
        """What can be shown after this piece: all but about two words."""
        self._text += piece
        tail = _TAIL.search(self._text)
        return self._until(tail.start() if tail else len(self._text))

    def end(self) -> str:
        """The rest."""
        return self._until(len(self._text))

    def _until(self, end: int) -> str:
        shown = ""
        for one in mentions(self._text):
            if one.end > end:
                end = min(end, one.start)
            elif one.start >= self._done and not self._stated.supports(one):
                shown += self._part(one.start, False) + self._part(one.end, True)
        return shown + self._part(end, False)

    def _part(self, end: int, marked: bool) -> str:
        text = self._text[self._done : end]
        self._done = max(self._done, end)
        return self._form(text, marked) if text else ""
