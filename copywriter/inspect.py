"""Shows what a catalogue's file holds, and the entry for sources.yaml: `python -m copywriter.inspect shop.csv`."""

import argparse
import os
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from copywriter import files, params, paths, sources
from copywriter.errors import UserError
from copywriter.fetching import archives, downloads
from copywriter.reading import columns, csv_rows, diagnosis, fact_columns, layout, pins, profile, tables, workbooks
from copywriter.reading.columns import Choice, Column
from copywriter.reading.fact_columns import Fact
from copywriter.reading.profile import Sample, Verdict

WIDTH = 100  # characters of a line of text that is shown
LAYOUT = ("format", "encoding", "delimiter", "quoting", "header_row", "sheet")
OPTIONS = ("member", *LAYOUT, "title", "description", "facts")


def report(arguments: argparse.Namespace) -> Iterator[str]:
    """What to print, line by line; UserError when the file cannot be read, or little of it would be kept."""
    remote = "://" in arguments.file
    source = downloads.from_url(arguments.file, None) if remote else _existing(Path(arguments.file))
    misplaced = None if remote else downloads.misplaced(source)
    if misplaced and arguments.pin is not None:
        raise UserError(misplaced)
    place = arguments.file if remote else str(paths.CATALOGUES / source.name)
    name, known = _known(place, arguments.pin)
    entry: dict[str, Any] = {"kind": "file", "url" if remote else "path": place, "sha256": files.sha256(source)}
    given = {key: value for key in OPTIONS if (value := getattr(arguments, key)) is not None}
    entry |= {key: given.get(key, getattr(known, key, None)) for key in OPTIONS}
    asked = {"title": "", "description": "", "licence": "", "facts": entry["facts"] or ()}
    named = params.check(sources.File, entry | asked, "the options").fact_columns
    with tempfile.TemporaryDirectory() as folder:
        file = source
        if entry["member"] or archives.is_archive(source):
            file = archives.take_member(source, entry["member"], Path(folder))
            yield f"{source.name} is a zip archive; this is its file {file.name}"
        sample = profile.draw(file, entry)
        sheets = workbooks.sheets(file) if sample.layout.format == "xlsx" else []
    needed = [entry["title"], entry["description"], *(column for _, column in named)]
    total, found = profile.columns(sample, [name for name in needed if name])
    extent = "rows, all looked at" if sample.whole else f"of about {sample.rows:,} rows looked at, drawn by chance"
    yield f"{file.name}: {sample.layout}, {source.stat().st_size:,} bytes, {total:,} {extent}"
    if taken := [key for key in OPTIONS if getattr(known, key, None) and key not in given]:
        yield f"the entry {name} of {paths.SOURCES} gives {', '.join(taken)}; options replace them"
    if len(sheets) > 1:
        yield f"its sheets are {', '.join(map(repr, sheets))}; --sheet reads another one"
    yield from column_lines(total, found)
    for _, column in named:
        _require(column, found, "value")
    entry |= yield from _chosen(file.name, sample, total, found, entry)
    if arguments.facts is None and known is None:
        chosen = fact_columns.choose(found, entry["title"], entry["description"])
        entry["facts"] = [one.said for one in chosen]
        yield from fact_lines(chosen)
    verdict = profile.judge(sample, entry["title"], entry["description"])
    yield from verdict_lines(verdict)
    yield from note_lines(verdict, found)
    if verdict.is_little:
        raise UserError(diagnosis.little(file.name, verdict, entry))
    if not sample.whole:
        yield "\nDuplicates are seen inside the sample only; clean counts all of them."
    entry["licence"] = "mine"
    if known is None:  # what was found is fixed, so that a later row cannot change it
        entry["header_row"] = entry["header_row"] or sample.layout.header_row
        entry["sheet"] = entry["sheet"] or sample.layout.sheet
        entry["quoting"] = entry["quoting"] or (sample.layout.quoting if sample.layout.quoting != "double" else None)
    said = {key: value for key, value in entry.items() if value}
    if misplaced:
        yield f"\n{misplaced}"
    if arguments.pin and arguments.pin != name:
        yield f"\nThe entry is called {name}: names are lower-case letters, digits and '-', and no value of YAML."
    yield "\nIts entry, under `datasets:` of sources.yaml:"
    yield from pins.entry_lines(name, said)
    if arguments.pin is not None:
        yield f"\n{pins.renew(paths.SOURCES, name, said)}; use it with `dvc exp run -S dataset={name}`"


def _chosen(
    file: str, sample: Sample, total: int, found: Mapping[str, Column], entry: Mapping[str, Any]
) -> Generator[str, None, dict[str, str]]:
    """Yields lines about the columns of titles and descriptions and returns both; UserError when one is not certain."""
    for name in filter(None, (entry["title"], entry["description"])):
        _require(name, found)
    given = entry["title"] and entry["description"]
    if total and not given and (message := diagnosis.no_header(file, sample.layout, list(found))):
        raise UserError(message)
    title, description = columns.choose(found, entry["title"], entry["description"])
    if not title.name or not description.name:
        yield from candidate_lines("title", title, total)
        yield from candidate_lines("description", description, total)
        raise UserError(diagnosis.no_choice(file, sample, total, found, title, description))
    yield f"\ntitle: {title.name}    description: {description.name}"
    return {"title": title.name, "description": description.name}


def candidate_lines(what: str, choice: Choice, total: int) -> Iterator[str]:
    """The columns among which a person has to choose, each with a sample."""
    if choice.name:
        yield f"\n{what}: {choice.name}"
    elif choice.candidates:
        yield f"\ncandidates for the {what}:"
        for name, _, column in choice.candidates:
            yield f"  {name}: {_share(len(column.lengths), total)} filled, {column.what}"
            yield f"    {_shown(max(column.texts[:20], key=len))}"


def column_lines(total: int, found: Mapping[str, Column]) -> Iterator[str]:
    """A table of the columns: how many rows have nothing there, and how long the texts are."""
    filled = {name: column for name, column in found.items() if column.lengths or column.others}
    if filled:
        width = max([6, *(len(_name(name)) for name in filled)])
        yield f"\n{'column':{width}}  empty   characters: 5%     50%     95%     most   holds"
    for name, column in filled.items():
        empty = f"{100 * (total - len(column.lengths) - column.others) / total:4.0f}%"
        if column.is_text:
            lengths = [column.percentile(share) for share in (0.05, 0.5, 0.95, 1)]
            numbers = f"{lengths[0]:14,} {lengths[1]:7,} {lengths[2]:7,} {lengths[3]:8,}"
            yield f"{_name(name):{width}}  {empty}  {numbers}   {column.what}"
        else:
            yield f"{_name(name):{width}}  {empty}   no text"
    if empty_columns := [_name(name) for name in found if name not in filled]:
        yield f"empty columns: {', '.join(empty_columns)}"


def fact_lines(chosen: Sequence[Fact]) -> Iterator[str]:
    """The columns that are proposed as facts, each with a sample."""
    if chosen:
        yield "facts, which a prompt states behind the title (--facts COLUMN ... names others, --facts alone none):"
    for one in chosen:
        yield f"  {one.said}: {_shown(one.column.texts[0])}"


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """What clean would do, and some rows."""
    total = verdict.kept + verdict.dropped.total()
    yield f"\nclean would keep {_share(verdict.kept, total)} of the {total:,} rows looked at"
    for reason, count in verdict.dropped.most_common():
        yield f"  dropped  {_share(count, total):>16}  {reason}"
    for rule, count in verdict.changed.most_common():
        yield f"  changed  {_share(count, total):>16}  by the rule {rule}"
    for row in verdict.malformed:
        yield f"  {row.malformed}: {tables.describe(row)}"
    for row in verdict.examples:
        yield f"\n  {_shown(row.title)}\n    {_shown(row.description)}"


def note_lines(verdict: Verdict, found: Mapping[str, Column]) -> Iterator[str]:
    """Explanations and warnings about the rows."""
    handles = {"Handle", "URL handle"} & found.keys()
    if verdict.dropped["no title"] and handles and "Title" in found:
        yield "\nThis is Shopify's layout: rows without a title are variants and images of the product above."
    for what, count in verdict.personal.items():
        if count:
            yield f"\nwarning: {count:,} rows to keep hold {what}, perhaps personal data: a model can repeat them"
    total = verdict.kept + verdict.dropped.total()
    malformed = sum(verdict.dropped[reason] for reason in tables.MALFORMED)
    if malformed > 0.05 * total and not verdict.is_little:
        yield (
            f"\nwarning: {_share(malformed, total)} of the rows are malformed, and clean stops if their share exceeds "
            "clean.max_malformed of params.yaml: try --delimiter, --quoting or --encoding"
        )


def _name(name: str) -> str:
    return _shown(name, 40)


def _share(count: int, total: int) -> str:
    return f"{count:,} ({100 * count / max(total, 1):.1f}%)"


def _shown(text: str | None, width: int = WIDTH) -> str:
    line = " ".join((text or "").split())
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line[: width + 1])
    return line if len(line) <= width else line[: width - 1] + "…"


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise UserError(f"there is no file {file}; give the path or the URL of one")
    downloads.verify(file, None)
    return file


def _known(place: str, pin: str | None) -> tuple[str, sources.File | None]:
    """The name of this file's entry in sources.yaml, and the entry if it is there; `pin` may give the name."""
    entries = sources.load().datasets if paths.SOURCES.exists() else {}
    for name, entry in entries.items():
        if (
            isinstance(entry, sources.File)
            and name in (pin or name, pin and pins.name_for(pin))
            and place in (str(entry.path), entry.url)
        ):
            return name, entry
    return (pins.name_for(pin) if pin else pins.name_for_file(place)), None


def _require(name: str, found: Mapping[str, Column], what: str = "text") -> None:
    if name not in found or not (found[name].lengths or (what == "value" and found[name].others)):
        held = [one for one, column in found.items() if one != name or column.lengths or column.others]
        there = ", ".join(map(repr, held[:20])) or "none"
        raise UserError(f"no row has a {what} under {name!r}; the columns are {there}")


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # `| head` is no error: the rest goes nowhere, and what --pin writes is written
        # Not by SIGPIPE's default: that would end the process at any connection that its other side has closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Wires the command."""
    parser = argparse.ArgumentParser(prog="python -m copywriter.inspect", description=__doc__)
    parser.add_argument("file", metavar="FILE", help="a path or a URL")
    parser.add_argument("--title", metavar="COLUMN", help="which column is the title; a path such as product.name too")
    parser.add_argument("--description", metavar="COLUMN", help="which column is the description")
    parser.add_argument(
        "--facts",
        metavar="COLUMN",
        nargs="*",
        help="which columns are facts of a product, in the order of the prompt; NAME=COLUMN gives one another name",
    )
    parser.add_argument("--member", help="which file of a zip archive")
    parser.add_argument("--format", choices=layout.FORMATS, help="where the guess is wrong")
    parser.add_argument("--encoding", help="where the guess is wrong: cp1252, utf-16, ...")
    parser.add_argument("--delimiter", help="where the guess is wrong")
    parser.add_argument("--quoting", choices=csv_rows.QUOTINGS, help="where the guess is wrong: none for stray quotes")
    parser.add_argument(
        "--header-row", type=int, metavar="N", help="the line, or the sheet's row, that names the columns"
    )
    parser.add_argument("--sheet", help="which sheet of a workbook")
    parser.add_argument("--pin", nargs="?", const="", metavar="NAME", help="write the entry, or its new SHA-256")
    try:
        for line in report(parser.parse_args()):
            _say(line)
    except UserError as error:
        print(f"inspect: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
