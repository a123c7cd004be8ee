"""Rules for single characters: broken and invisible ones, mojibake, Unicode normal form, white space."""

import re
import unicodedata

import ftfy

_BROKEN = re.compile("[\0\ud800-\udfff]")
# All mojibake has two characters beyond ASCII in a row, or one of a few; ftfy's own check takes 0.3 ms a text.
_MAY_BE_MOJIBAKE = re.compile("[^\x00-\x7f](?:[^\x00-\x7f]|(?<=[\x80-\x9fÂÃŒœ]))")
# All control characters except white space, and characters without a shape.
_NEVER_SEEN = (
    "\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\uffff\ue000-\uf8ff\U000e0000-\U000e007f\U000f0000-\U0010ffff"
)
_JOINERS = "\u200c\u200d"  # stay where Persian, Indic scripts and emoji need them
_MAY_BE_INVISIBLE = re.compile(f"[{_NEVER_SEEN}{_JOINERS}]")  # six times faster than the whole pattern
_INVISIBLE = re.compile(
    f"[{_NEVER_SEEN}]|(?<![^\x00-\u02ff{_JOINERS}])[{_JOINERS}]|[{_JOINERS}](?![^\x00-\u02ff{_JOINERS}])"
)


def drop_broken(text: str) -> str:
    """Without NUL and lone surrogates, which UTF-8 files cannot hold."""
    return _BROKEN.sub("", text)


def fix_mojibake(text: str) -> str:
    """With mojibake (UTF-8 decoded as another encoding) repaired: `donâ€™t` becomes `don’t`."""
    return ftfy.fix_encoding(text) if _MAY_BE_MOJIBAKE.search(text) else text


def drop_invisible(text: str) -> str:
    """Without control, zero-width, direction, replacement and private-use characters."""
    return _INVISIBLE.sub("", text) if _MAY_BE_INVISIBLE.search(text) else text


def compose(text: str) -> str:
    """In Unicode normal form C."""
    return unicodedata.normalize("NFC", text)


def collapse_spaces(text: str) -> str:
    """With each run of white space as one space, and none at the ends."""
    return " ".join(text.split())
