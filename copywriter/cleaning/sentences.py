"""Rules for sentences: a space between glued ones; addresses, edition notes, copyright lines and notices go."""

import re

_LOWER, _UPPER = "a-zß-öø-ÿа-яё", "A-ZÀ-ÖØ-ÞА-ЯЁ"
_SUFFIX = r"(?i:com|net|org|edu|gov|info|biz|co|uk|js|html?|aspx?|php|pdf|jpe?g|png|gif|zip|exe|txt|docx?|xlsx?|csv)\b"
# A full stop belongs to an address if the address continues after it, and not if a sentence begins.
_ADDRESS = rf"(?:\b(?:https?|ftp)://|\bwww\.)(?:[^\s<>\"“”(){{}}\[\]|.,;!]|[.,;!]++(?=[a-z0-9/_#%&=?~-]|{_SUFFIX}))+"
_CALL = (  # words that introduce an address
    r"(?:\bFor [^.!?|]{1,60}? )?(?:\b[Pp]lease )?\b(?:[Vv]isit|[Ss]ee|[Gg]o to|[Cc]heck out)"
    r"(?: us| our (?:web ?)?site)?(?: at| on)?[ :-]{1,3}|(?:\b[Oo]nline )?\bat |[:-] "
)
_PLACE = rf"(?:{_CALL})?(?:\(\s*{_ADDRESS}\s*\)|\[\s*{_ADDRESS}\s*\]|<\s*{_ADDRESS}\s*>|{_ADDRESS})"
_ADDRESSES = re.compile(f"({_ADDRESS})")
_URL = re.compile(rf"(?:(?<=[.!?])\s|\A){_PLACE}[.!]?(?=\s|\Z)|\s?{_PLACE}")
# A pattern for each mark, because `re` finds a given character many times faster than one of several.
_GLUED = {
    mark: re.compile(
        rf"{re.escape(mark)}(?=[)”»]?[{_UPPER}])(?:(?<=[{_LOWER}0-9][{_LOWER}].)|(?<=[A-Z]{{2}}.)|(?<=[)%®™”].))[)”»]?"
        rf"(?=.[\w'’-]|[AI] )(?!{_SUFFIX})(?!\w{{1,40}}@)"
    )
    for mark in ".!?"
}
_EDITION_REST = r"[^.]{0,80}? [Ee]dition(?: of this title| edition)?(?:\.|\Z) ?"
_EDITION = re.compile(rf"--(?:This|The|What|From) {_EDITION_REST}"), re.compile(rf"This text refers to {_EDITION_REST}")
_RESERVED = r"[Aa]ll [Rr]ights [Rr]eserved"
_OWNED = (
    r"C(?:opyright|OPYRIGHT) (?:©|\([Cc]\)|\d{4})",
    r"Text copyright (?:©|\([Cc]\)|\d{4})",
    *(rf"{sign} ?(?:Copyright\b|\d{{4}}(?:[-–]\d{{4}})?,? (?=[A-Z]))" for sign in (r"©", r"\([Cc]\)")),
    *(rf"{sign} ?(?=[^.|]{{0,60}}\.? {_RESERVED})" for sign in (r"©", r"\([Cc]\)", "Copyright")),
)
_COPYRIGHT = re.compile(
    rf"(?:{'|'.join([*_OWNED, *(rf'--? ?{line}' for line in _OWNED)])})"
    rf"(?:[^.|]|(?<=\b[A-Z])\.|\.(?=[a-z0-9])){{0,80}}(?:\.(?![a-z0-9])|\Z|(?=\|))(?: {_RESERVED}\b\.?)? ?"
)
_NOTICE = re.compile(
    r"(?:Make sure this fits by entering your model number|Enter your model number to make sure this fits"
    r"|This fits your ?)\.(?: ?[|›])? ?"
    r"|(?:(?<=[.!?] )|\A)(?:View [Ll]arger\b\.? ?)+(?=[A-Z]|\Z)"
)


def unglue(text: str) -> str:
    """With a space in `the end.Start`; abbreviations, numbers, versions, file names and addresses stay."""
    if "://" not in text and "www." not in text:
        return _unglue(text)
    parts = _ADDRESSES.split(text)  # every other one is an address
    return "".join(part if index % 2 else _unglue(part) for index, part in enumerate(parts))


def _unglue(text: str) -> str:
    for mark, glued in _GLUED.items():
        if mark in text:
            text = glued.sub(lambda match: match[0] + " ", text)
    return text


def drop_addresses(text: str) -> str:
    """Without web addresses, which a model would invent; names such as `shop.example` stay."""
    return _URL.sub("", text)


def drop_editions(text: str) -> str:
    """Without notes on the edition of a book that a text describes."""
    signed, plain = _EDITION
    text = _drop(signed, text) if "--" in text else text
    return _drop(plain, text) if "This text refers to" in text else text


def drop_copyright(text: str) -> str:
    """Without copyright lines; `copyright law`, `(c)` and `© 2003` stay."""
    return _drop(_COPYRIGHT, text)


def drop_notices(text: str) -> str:
    """Without notices of a shop's page: `View larger`, a request for a model number."""
    return _drop(_NOTICE, text) if "his fits" in text or "View" in text else text


def _drop(pattern: re.Pattern[str], text: str) -> str:
    """Without the matches of a pattern; no words are joined, and no space is left at the end."""
    rest = pattern.sub(lambda match: " " if text[max(0, match.start() - 1) : match.start()].strip() else "", text)
    return text if rest == text else rest.rstrip()
