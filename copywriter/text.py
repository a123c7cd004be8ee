"""Cleaning rules for catalogue text, the reasons to drop a row, and the forms in which rows are compared."""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from html import unescape
from html.entities import html5

import ftfy

PASSES = 12  # real text settles in two or three; what does not in twelve is nested on purpose, a layer a pass
REASONS = ("no title", "no description", "description repeats title")
_AMPERSAND = re.compile(r"&(?:amp;|#0*38;|#x0*26;)+", re.IGNORECASE)
_ENTITY = re.compile(r"&(#\d{1,7};|#[xX][0-9a-fA-F]{1,6};|[a-zA-Z][a-zA-Z0-9]{1,31};)")
_UNSEEN_BLOCK = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b[^<>]*>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(
    r"<(?:[!?][a-z\[][^<>]*|/?(?:"
    r"(?P<inline>a|abbr|acronym|b|big|cite|code|del|dfn|em|font|i|ins|kbd|label|mark|q|s|samp|small|span|strike|strong|sub"
    r"|sup|tt|u|var|wbr|[a-z]\w*:\w+)"
    r"|article|aside|audio|base|blockquote|body|br|button|caption|center|col|dd|details|div|dl|dt|embed|fieldset|figure"
    r"|footer|form|frame|h[1-6]|head|header|hr|html|iframe|img|input|legend|li|link|main|meta|nav|noscript|object|ol"
    r"|option|p|param|pre|script|section|select|source|style|table|tbody|td|textarea|tfoot|th|thead|title|tr|ul|video"
    r")(?P<attributes>\s[^<>]*|/)?)>",
    re.IGNORECASE,
)
# What any mojibake has, two characters beyond ASCII in a row or one of a few; ftfy's own look takes 0.3 ms a text.
_MOJIBAKE_SIGN = re.compile("[^\x00-\x7f](?:[^\x00-\x7f]|(?<=[\x80-\x9fÂÃŒœ]))")
# All controls but those that are white space. Joiners stay where Persian, Indic scripts and emoji need them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\uffff\ud800-\uf8ff\U000e0000-\U000e007f\U000f0000-\U0010ffff]"
    "|(?<![^\x00-\u02ff\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\u02ff\u200c\u200d])"
)
_LOWER, _UPPER = "a-zß-öø-ÿа-яё", "A-ZÀ-ÖØ-ÞА-ЯЁ"
_GLUED = re.compile(
    rf"(?P<address>(?:https?://|www\.)\S+)|(?P<end>(?:[{_LOWER}0-9][{_LOWER}]|[A-Z]{{2}}|[)%®™”])[.!?])"
    rf"(?=[{_UPPER}][\w'’-]|[AI] )"
    r"(?!(?i:com|net|org|edu|gov|info|biz|co|uk|js|html?|aspx?|php|pdf|jpe?g|png|gif|zip|exe|txt|docx?|xlsx?|csv)\b)"
    r"(?!\w{1,40}@)"
)
_GLUE = re.compile(rf"[.!?][{_UPPER}]")
_BOILERPLATE = re.compile(
    r"(?:--(?:This|The|What|From)\b|This text refers to the\b)[^.]{0,80}? edition(?: of this title| edition)?(?:\.|\Z)"
    r"|Make sure this fits by entering your model number\.(?: ?[|›])?"
    r"|(?:(?<=[.!?] )|\A)(?:View [Ll]arger\b\.? ?)+(?=[A-Z]|\Z)"
    r"|(?:\b(?:Text c|C)opyright (?=©|\(c\)|\d{4})|(?:©|\(c\)) ?(?=[^.|]{0,60}\. All rights reserved))"
    r"(?:[^.|]|(?<=\b[A-Z])\.){1,80}(?:\.|\Z)(?: All rights reserved\.?)?"
)
_BOILERPLATE_SIGNS = ("--", "This text refers", "Make sure this fits", "View ", "opyright ", "All rights")


def decode_entities(text: str) -> str:
    """Characters for HTML entities, also for those encoded more than once; `AT&T` and unknown names stay."""
    if "&" not in text or ";" not in text:
        return text
    text = _AMPERSAND.sub("&", text)
    return _ENTITY.sub(lambda m: unescape(m[0]) if m[1][0] == "#" else html5.get(m[1], m[0]), text)


def strip_markup(text: str) -> str:
    """Without comments, scripts, styles and HTML tags; a block tag leaves a space. `<3` and `x < y` stay."""
    if "<" not in text:
        return text
    return _TAG.sub(_tag, _UNSEEN_BLOCK.sub(" ", text))


def _tag(match: re.Match[str]) -> str:
    attributes = match["attributes"] or ""
    if "=" not in attributes and len(attributes.split()) > 1:  # `a <b and c> d` is prose
        return match[0]
    return "" if match["inline"] else " "


def fix_mojibake(text: str) -> str:
    """UTF-8 that was read as another encoding, read rightly: `donâ€™t` becomes `don’t`."""
    return ftfy.fix_encoding(text) if not text.isascii() and _MOJIBAKE_SIGN.search(text) else text


def drop_invisible(text: str) -> str:
    """Without control, zero-width, direction, replacement and private-use characters and lone surrogates."""
    return text if text.isprintable() and "\ufffd" not in text else _INVISIBLE.sub("", text)


def compose(text: str) -> str:
    """In Unicode normal form C."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def collapse_space(text: str) -> str:
    """With one space for every run of white space, and none at the ends."""
    return " ".join(text.split())


def unglue_sentences(text: str) -> str:
    """`the end.Start` with its space; abbreviations, numbers, versions, file names and addresses stay."""
    return _GLUED.sub(lambda match: match["address"] or match["end"] + " ", text) if _GLUE.search(text) else text


def drop_boilerplate(text: str) -> str:
    """Without what shops add to any product: edition notes, fitting notes, copyright lines, `View larger`."""
    return _BOILERPLATE.sub(" ", text) if any(map(text.__contains__, _BOILERPLATE_SIGNS)) else text


RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("entities", decode_entities),
    ("markup", strip_markup),
    ("mojibake", fix_mojibake),
    ("invisible", drop_invisible),
    ("composition", compose),
    ("space", collapse_space),
    ("glued sentences", unglue_sentences),
    ("boilerplate", drop_boilerplate),
)


def clean(text: str) -> str:
    """`text` after all rules, repeated until nothing changes, so that it can be cleaned twice; empty after PASSES."""
    for _ in range(PASSES):
        before = text
        for _, rule in RULES:
            text = rule(text)
        if text == before:
            return text
    return ""


def reason(title: str, description: str) -> str | None:
    """Why a row of cleaned texts is dropped, one of REASONS, or None to keep it."""
    if not any(map(str.isalnum, title)):
        return "no title"
    if not any(map(str.isalnum, description)):
        return "no description"
    if len(description) <= 2 * len(title) and words(title) == words(description):
        return "description repeats title"
    return None


def words(text: str) -> list[str]:
    """The casefolded words of letters and digits, in order; marks such as Indic vowel signs belong to their letter."""
    folded = text.casefold()
    if folded.isascii():
        return re.findall(r"[^\W_]+", folded)
    return "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded).split()


def digest(*texts: str) -> bytes:
    """16 bytes of BLAKE2b over texts without NUL: the rows' identity, and their order under a seed."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).digest()
