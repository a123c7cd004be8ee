"""The forms in which texts are compared: their words, and their digests."""

import re
import unicodedata
from hashlib import blake2b

BETWEEN = "\0"  # joins texts in a digest; no cleaned text has it
_WORD = re.compile(r"[^\W_]+")
# Scripts that write no spaces between words: Thai and Lao, Burmese, Khmer, kana and Han.
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3031-\u3035\u303b\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9f\U00016ff0-\U00018dff\U0001aff0-\U0001b16f"
    "\U00020000-\U0003ffff]"
)
_BEFORE_MARKS = "\u0300"  # no mark, and no letter of those scripts, comes before this code point
_END, _JOIN = "\1", "\2"  # a word ends here, unless a mark joins it


class _Parts(dict[int, str]):
    """By code point, what a character becomes before a text is split into words; filled on the way."""

    def __missing__(self, code: int) -> str:
        one = chr(code)
        spaceless = _SPACELESS.match(one)
        if unicodedata.category(one).startswith("M"):
            part = _JOIN + one + (_END if spaceless else "")
        elif one.isalnum():
            part = f" {one}{_END}" if spaceless else one
        else:
            part = " "
        self[code] = part
        return part


_PARTS = _Parts()


def words(text: str) -> list[str]:
    """The casefolded words of letters and digits, in order.

    A mark, such as an Indic vowel sign, belongs to its letter. In scripts without spaces every letter is a word: no
    dictionary is needed, and five of them in a row, as in shingles, are about two or three words.
    """
    folded = text.casefold()
    if folded.isascii() or not any(c >= _BEFORE_MARKS and len(_PARTS[ord(c)]) > 1 for c in set(folded)):
        return _WORD.findall(folded)
    return folded.translate(_PARTS).replace(_END + _JOIN, "").replace(_END, " ").replace(_JOIN, "").split()


def digest(*texts: str) -> bytes:
    """16 bytes of BLAKE2b over texts without NUL: the rows' identity, and their order under a seed."""
    return digest_of_bytes(BETWEEN.join(texts).encode())


def digest_of_bytes(joined: bytes) -> bytes:
    """The digest of texts in UTF-8 that are already joined by BETWEEN."""
    return blake2b(joined, digest_size=16).digest()
