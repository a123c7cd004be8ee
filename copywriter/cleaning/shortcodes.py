"""Rules for what a shop's software would have replaced: template expressions and page builders' shortcodes."""

import re

_VALUE = r"(?:\"[^\"]*\"|'[^']*'|[“”″][^“”″\]]*[“”″])"
_PATH = r"[A-Za-z_]\w*(?:\.\w+|\[[^\[\]{}]*\])*"  # product.title, images[0]
_EXPRESSION = re.compile(
    # Magento's directives, with or without arguments.
    r"\{\{/?(?:block|config|css|customvar|depend|for|if|else|inlinecss|layout|media|protocol|skin|store|template|trans"
    r"|var|view|widget)\b[^{}]*\}\}"
    r"|\{\{[#/^>][^{}]*\}\}"  # Handlebars' blocks
    # Liquid, Twig, Handlebars: a name or a quoted text, with filters. Two words are prose.
    rf"|\{{\{{\{{?[-~]?\s*[&!]?\s*(?:{_PATH}|\"[^\"{{}}]*\"|'[^'{{}}]*')(?:\s*\|[^{{}}]*)?\s*[-~]?\}}?\}}\}}"
    r"|\{%-?\s*(?P<raw>comment|javascript|schema|style|stylesheet)\s*-?%\}"
    r"(?:(?!\{%-?\s*(?P=raw)).)*?\{%-?\s*end(?P=raw)\s*-?%\}"
    r"|\{%-?\s*[a-z]\w*(?:\s(?:\"[^\"]*\"|'[^']*'|(?!%\}|\{%).)*)?-?%\}"
    r"|<\?(?:php\b|=)(?:(?!<\?).)*?\?>|<%[=-]?\s(?:(?!<%).)*?%>",  # PHP, ERB
    re.DOTALL,
)
_ATTRIBUTE = rf"\s+[A-Za-z][\w-]*\s*=\s*{_VALUE}"
_SHORTCODE = re.compile(
    # What they hold is encoded, or an address.
    r"\[(?P<code>vc_raw_html|vc_raw_js|img|IMG)\b[^\[\]]*\][^\[\]]*\[/(?P=code)\]"
    r"|(?P<bullet>\[\*\])"  # BBCode's list item
    rf"|\[(?P<end>/?)(?P<name>[A-Za-z][\w-]*)(?P<attributes>(?:{_ATTRIBUTE}|\s+(?!/)[^\s\[\]]+|=[^\[\]\s]+)*)\s*/?\]",
    re.DOTALL,
)
_ALONE = ("gallery", "playlist")  # without attributes and end, yet no words of prose
_QUOTED = re.compile(_ATTRIBUTE)


def drop_templates(text: str) -> str:
    """Without `{{ product.title }}`, `{{widget id="4"}}` and `{% if x %}`; `{{` in prose stays."""
    return _cut(_EXPRESSION, text)


def drop_shortcodes(text: str) -> str:
    """Without `[vc_row]`, `[gallery ids="1,2"]`, `[b]` with its `[/b]`; `[new]`, `[x]` and `[1]` stay."""
    found = list(_SHORTCODE.finditer(text))
    ends = {match["name"].lower() for match in found if match["end"]}
    starts = {match["name"].lower() for match in found if match["name"] and not match["end"]}
    paired = starts & ends

    def replace(match: re.Match[str]) -> str:
        name, attributes = (match["name"] or "").lower(), match["attributes"] or ""
        if match["bullet"]:
            return " " if "list" in paired else match[0]
        snake = "_" in name and (match["end"] or attributes or not text[match.start() - 1 : match.start()].isalnum())
        alone = name in _ALONE and not attributes
        return (
            _gap(match) if match["code"] or snake or alone or name in paired or _QUOTED.match(attributes) else match[0]
        )

    return _SHORTCODE.sub(replace, text) if found else text


def _cut(pattern: re.Pattern[str], text: str) -> str:
    """Without what the pattern finds; no words are joined."""
    return pattern.sub(_gap, text)


def _gap(match: re.Match[str]) -> str:
    """A space where a match stands between two words, else nothing."""
    text, start, end = match.string, match.start(), match.end()
    return " " if text[start - 1 : start].isalnum() and text[end : end + 1].isalnum() else ""
