"""Why a file has no columns to train on, and what to do: one sentence for each cause."""

from collections.abc import Mapping
from typing import Any

from copywriter.reading import column_names, tables
from copywriter.reading.columns import Choice, Column, kind
from copywriter.reading.layout import Layout
from copywriter.reading.profile import Sample, Verdict


def no_choice(
    file: str, sample: Sample, total: int, found: Mapping[str, Column], title: Choice, description: Choice
) -> str:
    """Why the column of titles or of descriptions is not known."""
    layout, filled = sample.layout, {name: column for name, column in found.items() if column.lengths or column.others}
    records = (record for chunk in sample.chunks for record in tables.records(chunk))
    malformed = next((record for record in records if record.malformed), None)
    under = " under its header" if layout.format in ("csv", "xlsx") else ""
    if not total:
        return f"{file} has no rows{under}; export the products again"
    if not found and malformed:
        return (
            f"none of the {total:,} rows of {file} can be read: {malformed.malformed} in the first one; "
            "try --delimiter, --quoting, --encoding or --format"
        )
    if not filled:
        rows = f"all {total:,} rows" if total > 1 else "the only row"
        return f"{rows} of {file} {'are' if total > 1 else 'is'} empty; export the products again"
    if len(found) == 1:
        only = next(iter(found))
        cure = "; is there another --delimiter?" if layout.format == "csv" else ""
        return f"{file} has only one column, {only[:60]!r}, and a title and a description are needed{cure}"
    if not any(column.is_text for column in filled.values()):
        return f"{file} has no column of texts: its {len(filled)} filled columns hold numbers or other values"
    missing = [
        f"which column is the {what} is not certain" if choice.candidates else f"it has no column of {what}s"
        for what, choice in (("title", title), ("description", description))
        if not choice.name
    ]
    options = [
        f"--{what} COLUMN" for what, choice in (("title", title), ("description", description)) if not choice.name
    ]
    looked_for = ""
    if not description.name and not description.candidates:
        kinds = sorted({column.what for column in filled.values() if column.is_text})
        looked_for = f" (running text that differs from row to row; the columns hold {', '.join(kinds)})"
    return f"{file}: {' and '.join(missing)}{looked_for}; give {' and '.join(options)} if one of them is"


def no_header(file: str, layout: Layout, names: list[str]) -> str | None:
    """That a table has no header, if its columns' names are a row of data: sentences, addresses or prices."""
    if layout.format not in ("csv", "xlsx") or not _is_data(names):
        return None
    shown = ", ".join(map(repr, names[:4]))
    return f"{file} has no header: its first row is {shown}; add a row with the columns' names above it"


def _is_data(names: list[str]) -> bool:
    if any(column_names.title_strength(name) > 0 or column_names.description_strength(name) > 0 for name in names):
        return False
    return any(kind(name) in ("prose", "url", "number") for name in names if "column (" not in name)


def little(file: str, verdict: Verdict, entry: Mapping[str, Any]) -> str:
    """Why hardly a row would be kept."""
    total = verdict.kept + verdict.dropped.total()
    reason, count = verdict.dropped.most_common(1)[0]
    causes = {
        "no title": f"{entry['title']!r} is empty there: give another --title",
        "no description": f"{entry['description']!r} is empty there: give another --description",
        "description repeats title": "both columns hold the same: give another --description",
        "not a text": "a column holds numbers or objects there: give another --title or --description",
        "broken quotes": "try --quoting none or --quoting backslash",
        "wrong number of fields": "try another --delimiter or --quoting",
        "wrong encoding": "try another --encoding",
    }
    cure = causes.get(reason, "give another --title or --description")
    return (
        f"clean would keep {verdict.kept:,} of {total:,} rows of {file}, so no entry is printed; "
        f"{count:,} are dropped for {reason!r}: {cure}"
    )
