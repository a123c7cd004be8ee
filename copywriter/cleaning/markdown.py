"""A rule for Markdown that was exported as text: headings, emphasis, code, links, images, lists of lines."""

import re

# Letters and digits that end a word. In scripts without spaces every place is between two words.
_WORD = r"[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
_NO_WORD_BEFORE, _NO_WORD_AFTER = rf"(?<!{_WORD})", rf"(?!{_WORD})"
_TARGET = r"<?(?=[^\s()<>]*[./#:@])[^\s()<>]+(?:\([^\s()]*\))?[^\s()<>]*>?(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?"
_LINK = re.compile(rf"(?P<image>!)?\[(?P<text>[^\[\]\n]*)\]\(\s*{_TARGET}\s*\)")
_HEADING = re.compile(r"^[ \t]*(?:\#{2,6}(?!\#)[ \t]*|\#[ \t]+(?=[^\W\d]))+(?=\S)", re.MULTILINE)
_CONTENT = {  # by mark, what it may stand around: a single line, and no name such as `__init__`
    **{mark: rf"[^{mark[0]}\n]{{1,400}}" for mark in ("***", "**", "*", "~~", "`")},
    "__": r"(?![a-z0-9_]+__)(?=[^_\n]*[^\W\d_])[^_\n]{1,400}",
}
_EMPHASIS = re.compile(
    "|".join(
        rf"{_NO_WORD_BEFORE}(?<![{mark[0]}]){re.escape(mark)}(?=[^\s{mark[0]}])(?P<_{number}>{content})"
        rf"(?<=[^\s{mark[0]}]){re.escape(mark)}(?![{mark[0]}]){_NO_WORD_AFTER}"
        for number, (mark, content) in enumerate(_CONTENT.items())
    )
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w-]*[ \t]*$\n?", re.MULTILINE)
_RULE = re.compile(
    r"(?:(?<=\n)|\A)[ \t]*([-*_=])(?:[ \t]*\1){2,}[ \t]*(?=\n)|(?<=\n)[ \t]*([-*_=])(?:[ \t]*\2){2,}[ \t]*\Z"
)
# A table: a row with bars, the line of dashes below it, more rows with bars.
_TABLE = re.compile(
    r"^[^\n|]*\|[^\n]*\n[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|)+(?:[ \t]*:?-{2,}:?[ \t]*)?(?:\n|\Z)"
    r"(?:[^\n|]*\|[^\n]*(?:\n|\Z))*",
    re.MULTILINE,
)
_TABLE_MARKS = re.compile(r"^[ \t|:-]+$\n?|[ \t]*\|[ \t]*", re.MULTILINE)


def drop_markdown(text: str) -> str:
    """Without the marks of Markdown; `2*3*4`, `C# 5`, `# 8 screws` and a lone `*` stay."""
    text = _LINK.sub(lambda match: " " if match["image"] else match["text"], text)
    if "\n" in text:
        text = _FENCE.sub("", text)
        text = _RULE.sub("", text)
        if "|" in text and "--" in text:
            text = _TABLE.sub(lambda match: _TABLE_MARKS.sub(" ", match[0]), text)
    text = _EMPHASIS.sub(lambda match: match[match.lastindex or 0], text)
    return _HEADING.sub("", text) if "#" in text else text
