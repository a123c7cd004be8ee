"""Duplicates: of rows with equal titles, ignoring case, only the first is kept."""

from copywriter import text

REASONS = ("duplicate pair", "duplicate title")


# Digests of a row's casefolded title and of both its texts. With 128 bits, the chance that any two of a billion rows
# collide is 10^-21.
Key = tuple[bytes, bytes]


def key(title: str, description: str) -> Key:
    """The digests by which a row is compared."""
    return text.digest(title.casefold()), text.digest(title, description)


class Seen:
    """The keys of the rows so far: two digests a row, about 200 bytes."""

    def __init__(self) -> None:
        self.firsts: dict[bytes, bytes] = {}  # by title, its first pair
        self.others: set[bytes] = set()  # later pairs: few, because most titles are unique

    def reason(self, row: Key) -> str | None:
        """Remembers the row; the reason to drop it, one of REASONS, or None if its title is new."""
        title, pair = row
        first = self.firsts.get(title)
        if first is None:
            self.firsts[title] = pair
            return None
        if first == pair or pair in self.others:
            return "duplicate pair"
        self.others.add(pair)
        return "duplicate title"
