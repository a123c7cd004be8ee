"""The cleaning rules in their order, each under its name with its sign, and the reasons to drop a row."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby, product
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from copywriter.cleaning import characters, markup, sentences
from copywriter.stage import UserError
from copywriter.text import words

PASSES = 12  # real text settles in two or three; what does not in twelve is nested on purpose, a layer a pass
UNSETTLED = "markup without end"
REASONS = (UNSETTLED, "no title", "no description", "description repeats title")
Change = tuple[str, str, str]  # a rule's name, the text before and after it
_ODD = "[^ -~‘’“”–—…®™°]|[‘’“”–—…®™°]{2}"  # beyond printable ASCII and what good typography adds to it, one at a time


class Rule(NamedTuple):
    """A rule, and its sign: a pattern (RE2's) that every text has in it which the rule changes.

    Arrow looks for signs in all texts of a chunk at once, most of a gigabyte a second; Python sees those that have one.
    """

    sign: str
    apply: Callable[[str], str]


RULES: Mapping[str, Rule] = {
    "broken": Rule(r"\x00", characters.drop_broken),
    "lists": Rule(r"^\s*\[", markup.join_list),
    "entities": Rule("&", markup.decode_entities),
    "blocks": Rule("<", markup.drop_blocks),
    "tags": Rule("<", markup.drop_tags),
    "styles": Rule(r"\{", markup.drop_styles),
    "mojibake": Rule(_ODD, characters.fix_mojibake),
    "invisible": Rule(_ODD, characters.drop_invisible),
    "nfc": Rule(_ODD, characters.compose),
    "spaces": Rule(f"  |^ | $|{_ODD}", characters.collapse_spaces),
    "glued": Rule(sentences.GLUE, sentences.unglue),
    "urls": Rule(r"://|www\.", sentences.drop_addresses),
    "editions": Rule("--[TWF]|This text refers to", sentences.drop_editions),
    "copyright": Rule(r"opyright|OPYRIGHT|\([Cc]\)|©", sentences.drop_copyright),
    "notices": Rule("his fits|View [Ll]arger", sentences.drop_notices),
}


def chosen(without: Collection[str] = ()) -> Mapping[str, Rule]:
    """The rules but for those `without`; UserError for a name that is none of them, or cannot be left out."""
    optional = [name for name in RULES if name != "broken"]
    if unknown := [name for name in without if name not in optional]:
        raise UserError(f"clean.without names {unknown[0]!r}; the rules that can be left out are {', '.join(optional)}")
    return {name: rule for name, rule in RULES.items() if name not in without}


class Settled(NamedTuple):
    """Cleaned texts; by their places what the rules did to them, and which never settled and are empty now."""

    texts: list[str]
    changes: Mapping[int, Sequence[Change]]
    unsettled: frozenset[int]


class Verdict(NamedTuple):
    """A cleaned title with its description, what the rules did to both, and why they are dropped, or None."""

    title: str
    description: str
    changes: Sequence[Change]
    reason: str | None


def settle(texts: Sequence[str], rules: Mapping[str, Rule]) -> Settled:
    """The texts after the rules, repeated until none changes them, so that cleaning twice is cleaning once."""
    settled = list(texts)
    changes: dict[int, list[Change]] = {}
    any_sign = "|".join({rule.sign: None for rule in rules.values()})
    waiting = list(range(len(texts)))
    for _ in range(PASSES):
        waiting = _having(any_sign, settled, waiting)
        changed: set[int] = set()
        for sign, group in groupby(rules.items(), lambda item: item[1].sign):
            places = _having(sign, settled, waiting)
            for (name, rule), place in product(group, places):
                before = settled[place]
                if (after := rule.apply(before)) != before:
                    settled[place] = after
                    changes.setdefault(place, []).append((name, before, after))
                    changed.add(place)
        waiting = sorted(changed)
    for place in waiting:
        settled[place] = ""
    return Settled(settled, changes, frozenset(waiting))


def _having(sign: str, texts: Sequence[str], places: Sequence[int]) -> list[int]:
    """Those of the places where a text has the sign; all when one of the texts has half a code point."""
    if not places:
        return []
    try:
        found = pc.match_substring_regex(pa.array([texts[place] for place in places], pa.large_string()), sign)
    except UnicodeEncodeError:
        return list(places)
    return [place for place, has_it in zip(places, found.to_pylist(), strict=True) if has_it]


def clean(text: str) -> str:
    """`text` after all rules; empty when it does not settle."""
    return settle([text], RULES).texts[0]


def judge(pairs: Sequence[tuple[str | None, str | None]], rules: Mapping[str, Rule]) -> Iterator[Verdict]:
    """What becomes of titles with their descriptions, one after the other; None is a text that is missing."""
    settled = settle([text or "" for pair in pairs for text in pair], rules)
    for place in range(0, len(settled.texts), 2):
        title, description = settled.texts[place : place + 2]
        changes = [*settled.changes.get(place, ()), *settled.changes.get(place + 1, ())]
        endless = not settled.unsettled.isdisjoint((place, place + 1))
        yield Verdict(title, description, changes, UNSETTLED if endless else reason(title, description))


def reason(title: str, description: str) -> str | None:
    """Why settled texts are dropped, one of REASONS, or None to keep them."""
    if not any(map(str.isalnum, title)):
        return "no title"
    if not any(map(str.isalnum, description)):
        return "no description"
    if len(description) <= 2 * len(title) and words(title) == words(description):
        return "description repeats title"
    return None
