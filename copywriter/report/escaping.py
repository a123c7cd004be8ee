"""Escaping of untrusted texts inside Markdown."""

import html
import re
from collections.abc import Sequence

from markupsafe import Markup

from copywriter.records import Example

# Characters with a meaning in Markdown, or that would make a link. < > & become HTML entities.
_ACTIVE = re.compile(r"[\\`*_{}\[\]#|~$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_LIST_OR_LINE = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+=]))")


def escape(text: str) -> str:
    """`text` on one line, escaped so that Markdown renders it unchanged; unprintable characters become U+FFFD."""
    line = " ".join(text.split())
    seen = "".join(char if char.isprintable() or char in "\u200c\u200d" else "\ufffd" for char in line)
    return _ACTIVE.sub(r"\\\g<0>", html.escape(seen, quote=False))


def quote(text: str) -> Markup:
    """`text` as a Markdown quotation, one paragraph for each line."""
    lines = [_LIST_OR_LINE.sub(r"\1\\", escape(line)) for line in text.splitlines() if line.strip()]
    return Markup("\n>\n".join(f"> {line}" for line in lines) or "> *(nothing)*")


def visible(text: str) -> str:
    """`text` on one line, with escapes for unprintable characters: `\\n`, `\\u200b`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def diff(pairs: Sequence[Example]) -> Markup:
    """The pairs for a fenced block, two lines each, none of which can end the block."""
    return Markup("\n\n".join(f"- {visible(pair.before)}\n+ {visible(pair.after)}" for pair in pairs))


def shorten(text: str, limit: int) -> str:
    """The first whole words of `text`, at most `limit` characters, with an ellipsis where it is truncated."""
    text = text.strip()
    if len(text) <= limit:
        return text
    whole_words = re.match(rf".{{1,{limit}}}(?!\S)", text, re.DOTALL)
    return (whole_words[0].rstrip() if whole_words else text[:limit]) + " …"
