"""The forms in which texts are compared: their words, and their digests."""

import re
import unicodedata
from hashlib import blake2b

BETWEEN = "\0"  # what no text has


def words(text: str) -> list[str]:
    """The casefolded words of letters and digits, in order; marks such as Indic vowel signs belong to their letter."""
    folded = text.casefold()
    if folded.isascii() or not any(unicodedata.category(c)[0] == "M" for c in set(folded)):
        return re.findall(r"[^\W_]+", folded)
    return "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded).split()


def digest(*texts: str) -> bytes:
    """16 bytes of BLAKE2b over texts without NUL: the rows' identity, and their order under a seed."""
    return digest_of_bytes(BETWEEN.join(texts).encode())


def digest_of_bytes(joined: bytes) -> bytes:
    """The digest of texts in UTF-8 that are joined already, with BETWEEN between them."""
    return blake2b(joined, digest_size=16).digest()
