"""Rules for HTML, which a tokenizer of the WHATWG's rules reads: comments, scripts, drawings, tags, style sheets."""

import re
from collections.abc import Collection, Iterator
from operator import eq
from typing import NamedTuple

from turbohtml import TokenType, tokenize

# Elements that are dropped with all that they hold; those that part no words; the others; attributes without a value.
_WITH_CONTENT, _INLINE, _BLOCK, _BOOLEAN = map(
    str.split,
    (
        "audio canvas head iframe math noembed noframes noscript object script style svg template title video",
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q rp rt ruby s samp small"
        " span strike strong sub sup time tt u var wbr",
        "address applet area article aside audio base basefont blockquote body br button canvas caption center col"
        " colgroup datalist dd details dialog dir div dl dt embed fieldset figcaption figure footer form frame frameset"
        " h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe img input legend li link main map marquee math menu meta"
        " meter nav nobr noembed noframes noscript object ol optgroup option output p param picture plaintext pre"
        " progress script search section select slot source style summary svg table tbody td template textarea tfoot th"
        " thead title tr track ul video xmp",
        "allowfullscreen async autofocus autoplay checked compact controls default defer disabled hidden inert ismap"
        " itemscope loop multiple muted nohref nomodule noresize noshade novalidate nowrap open playsinline readonly"
        " required reversed selected",
    ),
)
_KNOWN = frozenset([*_INLINE, *_BLOCK])
_TO_THE_END = ("script", "style")  # dropped also where they do not end
_MAY_HAVE_BLOCK = re.compile(rf"<(?:!--|(?:{'|'.join(_WITH_CONTENT)})\b)", re.IGNORECASE)
_MAY_HAVE_TAG = re.compile(r"<[a-zA-Z/!?]")
_NAME = re.compile(r"[a-z][\w.-]*(?::[\w.-]+)?")
_QUOTED_VALUE = re.compile(r"\s[\w:@.-]+\s*=\s*[\"']")
_QUOTED = re.compile(r"""=\s*(?:"[^"]*"|'[^']*')""")
_DECLARATION = re.compile(r"<[!?][a-zA-Z\[]")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)
_BROKEN_TAG = re.compile(r"</?(?P<name>[a-zA-Z][\w:.-]*)(?P<attributes>[^<>]*)(?P<end>>?)")
_ITEMS = frozenset(("li", "dd"))  # elements that become sentences
_AROUND_ITEMS = frozenset(("li", "dd", "dt", "ul", "ol", "menu", "dl"))
_LAST_OF_ITEM = re.compile(r"([^\W_])[\"'”’»)\]%°®™]*\Z")
_WIDE_FULL_STOP = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_NO_FULL_STOP = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Burmese, Khmer
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
_STYLE = re.compile(rf"(?:{_SELECTOR}(?:[\s,>+~]*{_SELECTOR}){{0,30}}+\s*)?\{{\s*{_PROPERTY}\s*:[^{{}}]*\}}")
_EMPTY_MEDIA = re.compile(r"@media[^{};]{0,200}\{\s*\}")


class Piece(NamedTuple):
    """A part of a text: what was written, its kind (text, start, end or comment), and the name of a tag."""

    source: str
    kind: str = "text"
    name: str = ""


_KINDS = {
    TokenType.START_TAG: "start",
    TokenType.END_TAG: "end",
    TokenType.COMMENT: "comment",
    TokenType.DOCTYPE: "comment",
    TokenType.PROCESSING_INSTRUCTION: "comment",
    TokenType.TEXT: "text",
    TokenType.CHARACTER_REFERENCE: "text",
}
_RESTARTS = 100  # of the tokenizer in a text, behind a `<` that begins no tag


def pieces(text: str) -> Iterator[Piece]:
    """The parts of a text, in order; together they are the text, with newlines as its line ends.

    A `<` in prose can make the tokenizer read a tag up to the `>` of another one, or up to the end of the text where a
    quotation mark is missing. Such a `<` is text, and the tokenizer starts again behind it.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    shadow = text.replace("</>", "< >")  # which the tokenizer would skip
    start = 0
    for _ in range(_RESTARTS):
        at = start
        for token in tokenize(shadow[start:], resolve_references=False, capture_attributes=False, capture_source=True):
            kind = _KINDS[token.type]
            end = at + len((token.data if token.type is TokenType.TEXT else token.source) or "")
            source = text[at:end]
            if kind != "text" and "<" in source[1:] and not _may_hold_tags(source):
                break
            yield Piece(source, kind, token.tag or "")
            at = end
        if at == len(text):
            return
        match = _BROKEN_TAG.match(text, at)
        if match and match["name"].lower() in _KNOWN and (match[0].endswith(">") or "=" in match["attributes"]):
            yield Piece(match[0], "end" if match[0][1] == "/" else "start", match["name"].lower())
            start = match.end()
        else:
            yield Piece(text[at])
            start = at + 1
    yield Piece(text[start:])


def _may_hold_tags(source: str) -> bool:
    """Whether what was read as one tag or comment may have another `<`: a comment, or a tag in a quoted value."""
    return source.startswith(("<!--", "<![CDATA[")) or "<" not in _QUOTED.sub("", source)[1:]


def drop_blocks(text: str) -> str:
    """Without HTML comments, and without elements that show no text of their own, such as scripts, styles, drawings."""
    if not _MAY_HAVE_BLOCK.search(text):
        return text
    found = list(pieces(text))
    last_end = {piece.name: at for at, piece in enumerate(found) if piece.kind == "end"}
    kept, until = [], ""
    for at, (source, kind, name) in enumerate(found):
        if until:  # inside of an element that is dropped
            until = "" if kind == "end" and name == until else until
        elif kind == "comment" and source.startswith("<!--"):
            kept.append(" ")
        elif kind == "start" and name in _WITH_CONTENT and (last_end.get(name, 0) > at or name in _TO_THE_END):
            kept.append(" ")
            until = name
        else:
            kept.append(source)
    return text if len(kept) == len(found) and all(map(eq, kept, (p.source for p in found))) else "".join(kept)


def drop_styles(text: str) -> str:
    """Without the rules of a style sheet whose tags were lost, `.caption { color: red; }`; other braces stay."""
    return _EMPTY_MEDIA.sub(" ", _STYLE.sub(" ", text)) if "}" in text else text


def drop_tags(text: str) -> str:
    """Without HTML tags; a block's tag leaves a space, and a list's items end as sentences. `<3` and `x < y` stay."""
    if not _MAY_HAVE_TAG.search(text):
        return text
    found = list(pieces(_CDATA.sub(r" \1 ", text)))
    started = {name for _, kind, name in found if kind == "start"}
    paired = started & {name for _, kind, name in found if kind == "end"}
    kept: list[str] = []
    item: int | None = None  # where the text of an open list item begins in `kept`
    changed = False
    for source, kind, name in found:
        if kind == "text" or not _is_tag(source, kind, name, paired):
            kept.append(source)
            continue
        changed = True
        if item is not None and name in _AROUND_ITEMS:
            kept[item:] = [_sentence("".join(kept[item:]))]
            item = None
        if kind == "start" and name in _ITEMS:
            item = len(kept)
        kept.append("" if name in _INLINE or ":" in name else " ")
    if item is not None:
        kept[item:] = [_sentence("".join(kept[item:]))]
    return "".join(kept) if changed else text


def _is_tag(source: str, kind: str, name: str, paired: Collection[str]) -> bool:
    """Whether what the tokenizer read as a tag is one, and not prose such as `<Enter>` or `a <b and c> d`."""
    if kind == "comment":
        return bool(_DECLARATION.match(source)) and source.endswith(">")
    if name in _KNOWN:
        words = "" if "=" in source else source[1 + len(name) :].strip("/> \n\t")
        return len(words.split()) < 2 or set(words.lower().split()) <= set(_BOOLEAN)
    if not _NAME.fullmatch(name):
        return False
    return kind == "end" or ":" in name or name in paired or source.endswith("/>") or bool(_QUOTED_VALUE.search(source))


def _sentence(item: str) -> str:
    """The text of a list's item with a full stop where none ends it."""
    text = item.rstrip()
    last = _LAST_OF_ITEM.search(text)
    if not last or _NO_FULL_STOP.match(last[1]):
        return item
    return text + ("。" if _WIDE_FULL_STOP.match(last[1]) else ".")
