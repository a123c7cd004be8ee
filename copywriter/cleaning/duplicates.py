"""Rows that came before: of equal titles, letter case aside, the first row stays."""

from copywriter import text

REASONS = ("duplicate pair", "duplicate title")


# Digests of a row's title, letter case aside, and of both its texts. They stand for the texts: with 128 bits, the
# chance that two of a billion rows share one by accident is 10^-21.
Key = tuple[bytes, bytes]


def key(title: str, description: str) -> Key:
    """The key of a row."""
    return text.digest(title.casefold()), text.digest(title, description)


class Seen:
    """The keys of the rows so far: two digests a row, about 200 bytes."""

    def __init__(self) -> None:
        self.firsts: dict[bytes, bytes] = {}  # by title, the pair that came first
        self.others: set[bytes] = set()  # the pairs that came later: few, for most titles come once

    def reason(self, row: Key) -> str | None:
        """The reason to drop a row, one of REASONS, or None for one that did not come before; it is remembered."""
        title, pair = row
        first = self.firsts.get(title)
        if first is None:
            self.firsts[title] = pair
            return None
        if first == pair or pair in self.others:
            return "duplicate pair"
        self.others.add(pair)
        return "duplicate title"
