"""What machines left in a text that people read: printed lists, entities, comments, scripts, styles and tags."""

import re
from html import unescape
from html.entities import html5

_LIST = re.compile(r"\s*\[\s*(?=['\"])(?P<items>.*['\"])\s*,?\s*\]\s*", re.DOTALL)
_NEXT_ITEM = re.compile(r"(?<!\\)['\"]\s*,\s*['\"]")
_ESCAPE = re.compile(r"(?P<units>(?:\\u[0-9a-fA-F]{4})+)|\\x(?P<byte>[0-9a-fA-F]{2})|\\(?P<one>[nrtfv'\"\\/])")
_AMPERSAND = re.compile(r"&(?:amp;|#0*38;|#x0*26;)+", re.IGNORECASE)
_ENTITY = re.compile(r"&(#\d{1,7};|#[xX][0-9a-fA-F]{1,6};|[a-zA-Z][a-zA-Z0-9]{1,31};)")
_BLOCK = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b[^<>]*>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_SELECTOR = (
    r"(?:[.#@][a-zA-Z_-][\w-]*+|\*"
    r"|\b(?:a|and|b|body|dd|div|dl|dt|em|font|h[1-6]|hr|html|i|img|li|ol|p|span|strong|table|tbody|td|th|tr|ul)\b)"
    r"(?:::?[a-z-]++|\([^(){}]{0,80}\))?"
)
_PROPERTY = (
    r"(?:-\w+-)?(?:align|background|border|bottom|box|clear|color|content|cursor|display|filter|flex|float|font|height"
    r"|justify|left|letter|line|list|margin|max|min|opacity|outline|overflow|padding|position|right|src|text|top"
    r"|transform|transition|vertical|visibility|white|width|word|z|zoom)(?:-[a-z]+)*"
)
_STYLE = re.compile(
    rf"(?:{_SELECTOR}(?:[\s,>+~]*{_SELECTOR}){{0,30}}+\s*)?\{{\s*{_PROPERTY}\s*:[^{{}}]*\}}"
    r"|@media[^{};]{0,200}\{\s*\}"
)
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


def join_list(text: str) -> str:
    """The items of a list that a program printed into the text, `['a', 'b']`, one after the other."""
    match = _LIST.fullmatch(text)
    if not match:
        return text
    items = (_ESCAPE.sub(_unescape, item).strip() for item in _NEXT_ITEM.split(match["items"][1:-1]))
    return " ".join(filter(None, items))


def _unescape(match: re.Match[str]) -> str:
    if match["units"]:
        return bytes.fromhex(match["units"].replace("\\u", "")).decode("utf-16-be", "ignore")
    return chr(int(match["byte"], 16)) if match["byte"] else " " if match["one"] in "nrtfv" else match["one"]


def decode_entities(text: str) -> str:
    """Characters for HTML entities, also for those encoded more than once; `AT&T` and unknown names stay."""
    text = _AMPERSAND.sub("&", text)
    return _ENTITY.sub(lambda m: unescape(m[0]) if m[1][0] == "#" else html5.get(m[1], m[0]), text)


def drop_blocks(text: str) -> str:
    """Without HTML comments, scripts and style sheets, also those that do not end."""
    return _BLOCK.sub(" ", text)


def drop_styles(text: str) -> str:
    """Without the rules of a style sheet whose tags were lost, `.caption { color: red; }`; other braces stay."""
    return _STYLE.sub(" ", text) if "}" in text else text


def drop_tags(text: str) -> str:
    """Without HTML tags; a block tag leaves a space. `<3` and `x < y` stay."""
    return _TAG.sub(_tag, text)


def _tag(match: re.Match[str]) -> str:
    attributes = match["attributes"] or ""
    if "=" not in attributes and len(attributes.split()) > 1:  # `a <b and c> d` is prose
        return match[0]
    return "" if match["inline"] else " "
