"""A row's facts, such as brand and size: values of any kind as cleaned texts of one line, and as lines of a prompt."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from copywriter.cleaning import escapes, rules
from copywriter.cleaning.rules import Rule

MAX_CHARACTERS = 100  # of a value; a longer one is truncated at a word
BETWEEN = ", "  # the items of a list
KINDS = FILLED, TRUNCATED, UNREADABLE = "filled", "truncated", "unreadable"  # what is counted


def text_of(held: object) -> str:
    """A value as a text: numbers as they are written, a list as its items between commas.

    TypeError when it is an object, or a list with one in it: a path names one of its fields instead.
    """
    match held:
        case None:
            return ""
        case str():
            return escapes.join_list(held, BETWEEN)
        case bool():
            return "yes" if held else "no"
        case float():
            return "" if held != held else str(int(held)) if held.is_integer() and abs(held) < 1e15 else str(held)
        case bytes():
            return held.decode("utf-8", "replace")
        case list() | tuple():
            return BETWEEN.join(filter(None, (text_of(item).strip() for item in held)))
        case Mapping():
            raise TypeError("an object")
    return str(held)


class Cleaner:
    """Cleans the facts of rows by the rules for titles; `counts`, by name, those that it did not keep whole."""

    def __init__(self, names: Sequence[str], chosen: Mapping[str, Rule] = rules.RULES) -> None:
        self.names, self._rules = names, chosen
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in names}

    def lines(self, rows: Iterable[Sequence[object]]) -> list[str]:
        """For each row a line `name: value` for each value that has a letter or a digit.

        `rows`: the values of each row in the order of the names, in which the lines come too.
        """
        texts = [[self._text(name, held) for name, held in zip(self.names, row, strict=True)] for row in rows]
        distinct = list(dict.fromkeys(text for row in texts for text in row))  # many rows share a brand or a size
        cleaned = dict(zip(distinct, rules.settle(distinct, self._rules).texts, strict=True))
        return [
            "\n".join(
                filter(None, (self._line(name, cleaned[text]) for name, text in zip(self.names, row, strict=True)))
            )
            for row in texts
        ]

    def _text(self, name: str, held: object) -> str:
        try:
            return text_of(held)
        except (TypeError, RecursionError):
            self.counts[name][UNREADABLE] += 1
            return ""

    def _line(self, name: str, text: str) -> str:
        value = " ".join(text.split())
        if len(value) > MAX_CHARACTERS:
            self.counts[name][TRUNCATED] += 1
            value = value[: MAX_CHARACTERS + 1].rpartition(" ")[0].rstrip(" ,;") or value[:MAX_CHARACTERS]
        return f"{name}: {value}" if any(map(str.isalnum, value)) else ""


def ordered(given: Mapping[str, object], names: Sequence[str]) -> str:
    """The lines of one product's facts, given in any order, in that of `names`; TypeError as text_of."""
    for value in given.values():
        text_of(value)
    some = [name for name in names if name in given]
    return Cleaner(some).lines([[given[name] for name in some]])[0]
