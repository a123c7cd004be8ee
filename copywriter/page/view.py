"""Answers, tables and scores as HTML. Titles and texts of a catalogue are untrusted: every value is escaped."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from copywriter import paths
from copywriter.evaluation import scores
from copywriter.evaluation.verdict import number
from copywriter.generation.answers import printable
from copywriter.page import title_tables
from copywriter.page.answering import Panel
from copywriter.page.messages import Messages
from copywriter.page.title_tables import Progress, TitleTable
from copywriter.retrieval.retriever import Source

_SCORES = ("bleu", "rouge1", "rouge2", "rougeL", "chrf", "stopped")
_LAST_LINES = 5  # of a table are shown while it grows
_BAD_LINES = 10  # are listed


def panel(say: Messages, name: str, one: Panel | None) -> str:
    """One model's text with its counts; None: nothing was asked yet."""
    title = escape(say(name))
    if one is None:
        return f'<section class="answer"><h3>{title}</h3><p class="empty">{escape(say("empty"))}</p></section>'
    notes = ""
    if one.answer:
        text = one.answer.text
        end = say("ended" if text.stopped else "cut")
        notes = f'<p class="notes">{escape(say("counts", tokens=text.tokens, seconds=one.seconds, end=end))}</p>'
        if one.unsupported:
            numbers = ", ".join(f"<mark>{_shown(each)}</mark>" for each in one.unsupported)
            notes += f'<p class="notes">{say("unsupported", numbers=numbers)}</p>'
    growing = "" if one.answer else ' aria-busy="true"'
    return (
        f'<section class="answer"><h3>{title}</h3><div class="written" id="text-{name}"{growing}>{one.html}</div>'
        f"{notes}</section>"
    )


def sources(say: Messages, found: Sequence[Source]) -> str:
    """The training products that the model saw, with their similarity; each opens to its description."""
    head = f"<h3>{escape(say('sources'))}</h3>"
    if not found:
        return f'<section class="sources">{head}<p class="notes">{escape(say("no_sources"))}</p></section>'
    listed = "".join(
        f"<li><details><summary>{_shown(one.product.title)} "
        f'<span class="similarity">{escape(say("similarity", value=one.similarity))}</span></summary>'
        f"<p>{_shown(one.product.description)}</p></details></li>"
        for one in found
    )
    return f'<section class="sources">{head}<ul>{listed}</ul></section>'


def status(text: str, problem: bool = False) -> str:
    """A line that screen readers speak; a problem is an alert."""
    return (
        f'<p class="{"problem" if problem else "status"}" role="{"alert" if problem else "status"}">{escape(text)}</p>'
    )


def notice(html: str) -> str:
    """A line above the page's form; `html` is one of the messages."""
    return f'<p class="notice">{html}</p>'


def uploaded(say: Messages, table: TitleTable) -> str:
    """What was read of a table, and the lines that are no rows, each with its reason."""
    text = say(
        "table_read", file=_shown(table.file), rows=f"{len(table.rows) - len(table.bad):,}", title=_shown(table.title)
    )
    listed = ""
    if table.bad:
        reasons = [say("line", number=row.number, reason=title_tables.reason(row)) for row in table.bad[:_BAD_LINES]]
        more = [f"… {len(table.bad) - _BAD_LINES}"] if len(table.bad) > _BAD_LINES else []
        items = "".join(f"<li>{_shown(one)}</li>" for one in reasons + more)
        listed = f'<p class="notes">{escape(say("table_bad", count=len(table.bad)))}</p><ul class="notes">{items}</ul>'
    return f'<p class="status" role="status">{text}</p>{listed}'


def progress(say: Messages, one: Progress, table: TitleTable) -> str:
    """A bar, the counts, and the last rows."""
    parts = [say("progress", done=one.done, total=one.total)]
    if one.failed:
        parts.append(say("progress_failed", failed=one.failed))
    if 0 < one.done < one.total:
        left = one.seconds / one.done * (one.total - one.done)
        parts.append(say("progress_left", minutes=max(1, round(left / 60))))
    written, _, error = table.added
    rows = "".join(
        f"<tr><td>{_shown(line.get(table.title, ''))}</td>"
        f"<td>{_shown(line.get(written) or line.get(error, ''))}</td></tr>"
        for line in one.lines[-_LAST_LINES:]
    )
    shown = f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>' if rows else ""
    label = escape(", ".join(parts))
    return (
        f'<progress max="{one.total}" value="{one.done}" aria-label="{label}"></progress>'
        f'<p class="status" role="status">{label}</p>{shown}'
    )


def score_table(say: Messages) -> str:
    """The scores in metrics/ as README has them, with a link to the report where it exists."""
    found: dict[str, Any] = {
        side: json.loads(paths.scores(side).read_text(encoding="utf-8"))
        for side in ("base", "tuned", "nearest")
        if paths.scores(side).exists()
    }
    if not found:
        return f'<p class="notes">{escape(say("no_scores"))}</p>'
    names = [name for name in _SCORES if any(name in one for one in found.values())]
    head = "".join(f'<th scope="col">{escape(scores.NAMES[name])}</th>' for name in names)
    best = {name: max(one[name] for side, one in found.items() if name in one) for name in names}
    rows = "".join(
        f'<tr><th scope="row">{escape(say(side))}</th>'
        + "".join(f"<td>{_score(name, one.get(name), best[name])}</td>" for name in names)
        + "</tr>"
        for side, one in found.items()
    )
    report = f'<a href="report">{escape(say("report"))}</a>' if paths.REPORT_PAGE.exists() else escape(say("no_report"))
    count = max(int(one.get("rows", 0)) for one in found.values())
    return (
        f"<p>{escape(say('score_of', rows=f'{count:,}'))}</p>"
        f'<div class="scroll"><table class="scores"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div><p>{report}</p>"
    )


def _score(name: str, value: float | None, best: float) -> str:
    if value is None:
        return ""
    text = escape(number(name, value))
    return f"<strong>{text}</strong>" if value == best else text


def _shown(text: str) -> str:
    return escape(printable(text))
