"""Rules for escapes that programs wrote into a text: printed lists, backslash and Excel escapes, HTML entities."""

import re
from html import unescape
from html.entities import html5

_LIST = re.compile(r"\s*\[\s*(?=['\"])(?P<items>.*['\"])\s*,?\s*\]\s*", re.DOTALL)
_NEXT_ITEM = re.compile(r"(?<!\\)['\"]\s*,\s*['\"]")
_IN_LIST = re.compile(r"(?P<units>(?:\\u[0-9a-fA-F]{4})+)|\\x(?P<byte>[0-9a-fA-F]{2})|\\(?P<one>[nrtfv'\"\\/])")
_AMPERSAND = re.compile(r"&(?:amp;|#0*38;|#x0*26;)+", re.IGNORECASE)
_ENTITY = re.compile(r"&(#\d{1,7};|#[xX][0-9a-fA-F]{1,6};|[a-zA-Z][a-zA-Z0-9]{1,31};)")
_NULL = re.compile(r"\s*\\+N\s*")  # how databases export an empty field
# What has backslashes of its own: Windows paths, mentions of an escape in quotes, words of TeX, and words with a
# backslash that starts no escape, such as the pattern `^\d+\n`.
_FOLDER = r"[^\\/:*?\"<>|.!,;\s]+(?:[ .][^\\/:*?\"<>|.!,;\s]+){0,3}\\+"
_FILE = r"[^\\/:*?\"<>|\s]*"
_LITERAL = "|".join(
    (
        rf"(?:(?<![^\W_])|(?<=\\[nrt]))[A-Za-z]:\\+(?![nrt](?![a-z]))(?:{_FOLDER})*{_FILE}",
        rf"(?<![^\s(\"'])\\\\[A-Za-z][\w.-]*\\(?!\\)(?:{_FOLDER})*{_FILE}",
        rf"(?:%\w+%|HKEY_\w+|HK(?:LM|CU)|(?<![\w.])\.\.?|~)\\+(?![\"'/])(?:{_FOLDER})*{_FILE}",
        r"(?<![!-~])[\w.-]+(?:\\[\w.-]+)+\.(?:bat|cfg|csv|dll|docx?|exe|ini|jpe?g|log|msi|pdf|png|txt|xlsx?|zip)\b",
        r"(?P<mark>[\"'`])\\[nrt](?P=mark)",
        r"\\(?:nabla|newline|rightarrow|text[a-z]+|theta|times)(?![a-z])",
        r"(?<![!-~])(?:[!-\[\]-~]|\\[nrtu\"'/\\0-9])*+\\[^nrtu\"'/\\0-9\s][!-~]*",
    )
)
_CONTROL = r"x(?P<control>00[01][0-9a-fA-F]|0020|007[fF]|00[89][0-9a-fA-F]|00[aA]0)_"
_ESCAPE = re.compile(
    rf"(?P<literal>{_LITERAL})"
    rf"|_(?:x005[fF]_)*+{_CONTROL}|(?P<underscore>_(?:x005[fF]_)+)"  # Excel's
    r"|(?P<lines>(?:\\+[nr])+)|(?P<tab>\\+t)|\\+(?P<quote>[\"'])"
    r"|(?P<units>(?:\\+u(?!005[cCfF])[0-9a-fA-F]{4})+)"
    r"|(?:(?<=[\w<:.)\]])|(?<=\\/))\\+(?P<slash>/)"
)
_MAY_HAVE_ESCAPE = re.compile(r"\\[nrtu\"'/N]|_x00")


def join_list(text: str, between: str = " ") -> str:
    """The items of a list that a program printed into the text, `['a', 'b']`, one after the other."""
    match = _LIST.fullmatch(text)
    if not match:
        return text
    items = (_IN_LIST.sub(_unescape, item).strip() for item in _NEXT_ITEM.split(match["items"][1:-1]))
    return between.join(filter(None, items))


def _unescape(match: re.Match[str]) -> str:
    if match["units"]:
        return _utf16(match["units"])
    return chr(int(match["byte"], 16)) if match["byte"] else " " if match["one"] in "nrtfv" else match["one"]


def _utf16(units: str) -> str:
    return bytes.fromhex(units.replace("\\", "").replace("u", "")).decode("utf-16-be", "ignore")


def decode_escapes(text: str) -> str:
    r"""Characters for escapes that an exporter left, `\n`, `\"`, `\u00e9`, `\/`, `_x000D_`; Windows paths stay."""
    if not _MAY_HAVE_ESCAPE.search(text):
        return text
    if _NULL.fullmatch(text):
        return ""
    while (decoded := _ESCAPE.sub(_decode, text)) != text:  # each round is shorter
        text = decoded
    return text


def _decode(match: re.Match[str]) -> str:
    kind, found = match.lastgroup, match[0]
    if kind == "control":
        return "\n" if match["control"].upper() in ("000A", "000D") else " "
    if kind == "units":
        return _utf16(found)
    return {"underscore": "_", "lines": "\n", "tab": "\t", "quote": found[-1], "slash": "/"}.get(str(kind), found)


def decode_entities(text: str) -> str:
    """Characters for HTML entities, also for those encoded more than once; `AT&T` and unknown names stay."""
    text = _AMPERSAND.sub("&", text)
    return _ENTITY.sub(lambda m: unescape(m[0]) if m[1][0] == "#" else html5.get(m[1], m[0]), text)
