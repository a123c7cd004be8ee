"""Rendering of templates. Every value is escaped for the page's format unless it is Markup."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from copywriter.evaluation.verdict import number
from copywriter.report import escaping

TEMPLATES = Path(__file__).with_name("templates")

FILTERS: dict[str, Callable[..., str]] = {
    "code": lambda text: Markup(f"`{text.replace('`', chr(39))}`"),
    "count": lambda value: f"{value:,}",
    "diff": escaping.diff,
    "fixed": lambda value, digits=2: f"{value:.{digits}f}",
    "percent": lambda share: f"{share:.1%}",
    "quote": escaping.quote,
    "score": lambda value, name, signed=False: number(name, value, signed),
    "shorten": escaping.shorten,
}


def render(template: str, **values: Any) -> str:
    """Renders a file of TEMPLATES: Markdown if its name ends in .md.j2, else HTML; a missing value raises."""
    as_markdown = template.endswith(".md.j2")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=not as_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    if as_markdown:
        environment.finalize = lambda value: value if isinstance(value, Markup) else escaping.escape(str(value))
    environment.filters.update(FILTERS)
    return environment.get_template(template).render(**values)
