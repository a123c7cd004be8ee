"""The cleaning rules in their order, each with its name and prefilter, and the reasons to drop a row."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from copywriter.cleaning import characters, escapes, markdown, markup, prefilter, sentences, shortcodes
from copywriter.cleaning.prefilter import EDGE, Pair, Prefilter
from copywriter.errors import UserError
from copywriter.text import words

PASSES = 12  # real text settles in two or three; a text that does not in twelve is nested on purpose
UNSETTLED = "markup without end"
REASONS = (UNSETTLED, "no title", "no description", "description repeats title")
Change = tuple[str, str, str]  # a rule's name, the text before and after it


class Rule(NamedTuple):
    """A function that returns a text without one kind of defect, and the pairs of bytes that such a text has.

    A text with none of the pairs skips the rule. A rule without a prefilter is applied to every text.
    """

    apply: Callable[[str], str]
    prefilter: Prefilter | None = None


def _bytes(*ranges: tuple[int, int]) -> bytes:
    return bytes(byte for first, last in ranges for byte in range(first, last + 1))


_CONTROLS = Pair(_bytes((0, 8), (14, 27), (127, 127)))
_SPACES = (  # spaces doubled or at an end, and other white space
    *(Pair(b" " + EDGE, b" "), Pair(b" ", EDGE), Pair(_bytes((9, 13), (28, 31)))),
    *(Pair(b"\xc2", b"\x85\xa0"), Pair(b"\x9a", b"\x80"), Pair(b"\x81", b"\x9f")),
    Pair(b"\x80", _bytes((0x80, 0x8A), (0xA8, 0xA9), (0xAF, 0xAF))),
)
_INVISIBLE = (  # by the last two bytes of each range in characters.py
    *(_CONTROLS, Pair(b"\xc2", _bytes((0x80, 0x9F), (0xAD, 0xAD))), Pair(b"\xcd", b"\x8f"), Pair(b"\xd8", b"\x9c")),
    *(Pair(b"\xa0", b"\x8e"), Pair(b"\x80", _bytes((0x8B, 0x8F), (0xAA, 0xAE))), Pair(b"\x81", _bytes((0xA0, 0xAF)))),
    Pair(b"\xee\xef\xf3\xf4"),
)
_MOJIBAKE = (  # two characters beyond ASCII in a row, or a C1 control, Â, Ã, Œ, œ
    *(Pair(_bytes((0x80, 0xBF)), _bytes((0xC2, 0xF4))), Pair(b"\xc2", _bytes((0x80, 0x9F)))),
    *(Pair(b"\xc3", b"\x82\x83"), Pair(b"\xc5", b"\x92\x93")),
)
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZÀЁ".encode()  # `À` and `Ё` begin as all such capitals do
_TAG = (Pair(b"<", _LETTERS + b"/!?"),)

# A new rule is a function, its entry here and its cases in tests/cleaning/test_rules.py.
RULES: Mapping[str, Rule] = {
    "broken": Rule(characters.drop_broken, (Pair(b"\0"), Pair(b"\xed", _bytes((0xA0, 0xBF))))),
    "lists": Rule(escapes.join_list, (Pair(b"["),)),
    "escapes": Rule(escapes.decode_escapes, (Pair(b"\\", b"\\nrtu\"'/N"), Pair(b"_", b"x"))),
    "entities": Rule(escapes.decode_entities, (Pair(b"&"),)),
    "templates": Rule(shortcodes.drop_templates, (Pair(b"{", b"{%"), Pair(b"<", b"?%"))),
    "shortcodes": Rule(shortcodes.drop_shortcodes, (Pair(b"[", _LETTERS + b"/"),)),
    "blocks": Rule(markup.drop_blocks, _TAG),
    "tags": Rule(markup.drop_tags, _TAG),
    "markdown": Rule(
        markdown.drop_markdown,
        (Pair(b"*`"), Pair(b"_", b"_"), Pair(b"~", b"~"), Pair(b"]", b"("), Pair(b"# " + EDGE, b"#"), Pair(b"\n")),
    ),
    "styles": Rule(markup.drop_styles, (Pair(b"{"),)),
    "mojibake": Rule(characters.fix_mojibake, _MOJIBAKE),
    "invisible": Rule(characters.drop_invisible, _INVISIBLE),
    "nfc": Rule(characters.compose, (Pair(_bytes((0xCC, 0xF4))),)),  # all from U+0300 on; what comes before is composed
    "spaces": Rule(characters.collapse_spaces, _SPACES),
    "glued": Rule(sentences.unglue, (Pair(".!?)”»".encode(), _CAPITALS),)),
    "urls": Rule(sentences.drop_addresses, (Pair(b":w", b"/w"),)),
    "editions": Rule(sentences.drop_editions, (Pair(b"-x", b"-t"),)),  # `--`, `This text`
    "copyright": Rule(sentences.drop_copyright, (Pair(b"(yY\xc2", b"cCrR\xa9"),)),  # `(c)`, `opyright`, `©`
    "notices": Rule(sentences.drop_notices, (Pair(b"fV", b"i"),)),  # `fits`, `View`
}


def chosen(without: Collection[str] = ()) -> Mapping[str, Rule]:
    """All rules except those named in `without`; UserError for an unknown name or one that cannot be left out."""
    optional = [name for name in RULES if name != "broken"]
    if unknown := [name for name in without if name not in optional]:
        raise UserError(f"clean.without names {unknown[0]!r}; the rules that can be left out are {', '.join(optional)}")
    return {name: rule for name, rule in RULES.items() if name not in without}


class Settled(NamedTuple):
    """Cleaned texts; by index the changes of each, and the indices of those that never settled and are empty now."""

    texts: list[str]
    changes: Mapping[int, Sequence[Change]]
    unsettled: frozenset[int]


class Verdict(NamedTuple):
    """A cleaned title and description, the changes to both, and the reason to drop them, or None."""

    title: str
    description: str
    changes: Sequence[Change]
    reason: str | None


def settle(texts: Sequence[str], rules: Mapping[str, Rule]) -> Settled:
    """The texts after the rules, repeated until none changes them, so that cleaning twice is cleaning once."""
    settled = list(texts)
    changes: dict[int, list[Change]] = {}
    table = prefilter.table(tuple(rule.prefilter for rule in rules.values()))
    flags = table.flags(settled)
    for _ in range(PASSES):
        changed: set[int] = set()
        for (name, rule), mask in zip(rules.items(), table.masks, strict=True):
            now = []
            for place in np.flatnonzero(flags & flags.dtype.type(mask)).tolist():
                before = settled[place]
                if (after := rule.apply(before)) != before:
                    settled[place] = after
                    changes.setdefault(place, []).append((name, before, after))
                    now.append(place)
            flags[now] = table.flags([settled[place] for place in now])
            changed.update(now)
        again = np.array(sorted(changed), np.intp)
        flags, waiting = np.zeros_like(flags), flags[again]
        flags[again] = waiting
    for place in changed:
        settled[place] = ""
    return Settled(settled, changes, frozenset(changed))


def clean(text: str) -> str:
    """`text` after all rules; empty when it does not settle."""
    return settle([text], RULES).texts[0]


def judge(pairs: Sequence[tuple[str | None, str | None]], rules: Mapping[str, Rule]) -> Iterator[Verdict]:
    """The verdicts on pairs of title and description, in order; None is a missing text."""
    settled = settle([text or "" for pair in pairs for text in pair], rules)
    changes_of = settled.changes.get
    texts = iter(settled.texts)
    for number, (title, description) in enumerate(zip(texts, texts, strict=True)):
        places = 2 * number, 2 * number + 1
        changes = (*changes_of(places[0], ()), *changes_of(places[1], ()))
        endless = not settled.unsettled.isdisjoint(places)
        yield Verdict(title, description, changes, UNSETTLED if endless else reason(title, description))


def reason(title: str, description: str) -> str | None:
    """Why settled texts are dropped, one of REASONS, or None to keep them."""
    if not _has_letters(title):
        return "no title"
    if not _has_letters(description):
        return "no description"
    if len(description) <= 2 * len(title) and words(title) == words(description):
        return "description repeats title"
    return None


def _has_letters(text: str) -> bool:
    return text[:1].isalnum() or any(map(str.isalnum, text))  # the first character usually decides
