"""Texts of unknown content inside Markdown: they read as they are, and none of them breaks out of its place."""

import html
import re
from collections.abc import Sequence

from markupsafe import Markup

from copywriter.records import Example

# What means something to Markdown or would become a link; < > & are HTML's and become entities.
_ACTIVE = re.compile(r"[\\`*_{}\[\]#|~$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_LIST_OR_LINE = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+=]))")


def escape(text: str) -> str:
    """`text` on one line, to be read as it is by whoever renders Markdown; what does not print becomes U+FFFD."""
    line = " ".join(text.split())
    seen = "".join(char if char.isprintable() or char in "\u200c\u200d" else "\ufffd" for char in line)
    return _ACTIVE.sub(r"\\\g<0>", html.escape(seen, quote=False))


def quote(text: str) -> Markup:
    """`text` as a Markdown quotation, a paragraph a line."""
    lines = [_LIST_OR_LINE.sub(r"\1\\", escape(line)) for line in text.splitlines() if line.strip()]
    return Markup("\n>\n".join(f"> {line}" for line in lines) or "> *(nothing)*")


def visible(text: str) -> str:
    """`text` on one line, as it is but for what does not print, which shows as its escape: `\\n`, `\\u200b`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def diff(pairs: Sequence[Example]) -> Markup:
    """The pairs for a fenced block, two lines each, none of which can end it; Markdown leaves the rest as it is."""
    return Markup("\n\n".join(f"- {visible(pair.before)}\n+ {visible(pair.after)}" for pair in pairs))


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters from the start of `text`, whole words, and an ellipsis where something is left out."""
    text = text.strip()
    if len(text) <= limit:
        return text
    whole_words = re.match(rf".{{1,{limit}}}(?!\S)", text, re.DOTALL)
    return (whole_words[0].rstrip() if whole_words else text[:limit]) + " …"
