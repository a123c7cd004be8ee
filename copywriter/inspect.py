"""Says what is in a catalogue's file, and the entry for sources.yaml: `python -m copywriter.inspect shop.csv`."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from copywriter import files, params, paths, sources
from copywriter.errors import UserError
from copywriter.fetching import archives, downloads
from copywriter.reading import layout, pins, profile, tables
from copywriter.reading.profile import Column, Verdict

WIDTH = 100  # characters of a line of text that is shown
OPTIONS = ("member", "format", "encoding", "delimiter", "title", "description")


def report(arguments: argparse.Namespace) -> Iterator[str]:
    """What to print, line by line; UserError when the file cannot be read."""
    remote = "://" in arguments.file
    source = downloads.from_url(arguments.file, None) if remote else _existing(Path(arguments.file))
    misplaced = None if remote else downloads.misplaced(source)
    if misplaced and arguments.pin is not None:
        raise UserError(misplaced)
    place = arguments.file if remote else str(paths.CATALOGUES / source.name)
    name, known = _known(place, arguments.pin)
    entry = {"kind": "file", "url" if remote else "path": place, "sha256": files.sha256(source)}
    entry |= {key: getattr(arguments, key) or getattr(known, key, None) for key in OPTIONS}
    params.check(sources.File, entry | dict.fromkeys(("title", "description", "licence"), ""), "the options")
    with tempfile.TemporaryDirectory() as folder:
        file = source
        if entry["member"] or archives.is_archive(source):
            file = archives.take_member(source, entry["member"], Path(folder))
            yield f"{source.name} is a zip archive; this is its file {file.name}"
        sample = profile.draw(file, entry)
        shape = tables.guess(file, entry)
    total, found = profile.columns(sample)
    extent = "rows, all looked at" if sample.whole else f"of about {sample.rows:,} rows looked at, drawn by chance"
    yield f"{file.name}: {shape}, {source.stat().st_size:,} bytes, {total:,} {extent}"
    yield from column_lines(total, found)
    guessed = profile.guess(found)
    title, description = entry["title"] or guessed[0], entry["description"] or guessed[1]
    if not title or not description:
        raise UserError(f"{file.name} has no two columns of text; give --title and --description")
    _require(title, description, found)
    yield f"\ntitle: {title}    description: {description}"
    yield from verdict_lines(profile.judge(sample, title, description))
    if not sample.whole:
        yield "\nOf duplicates only those inside the sample are seen; clean counts them all."
    entry |= {"title": title, "description": description, "licence": "mine"}
    said = {key: value for key, value in entry.items() if value}
    if misplaced:
        yield f"\n{misplaced}"
    yield "\nIts entry, under `datasets:` of sources.yaml:"
    yield from pins.entry_lines(name, said)
    if arguments.pin is not None:
        yield f"\n{pins.renew(paths.SOURCES, name, said)}; use it with `dvc exp run -S dataset={name}`"


def column_lines(total: int, found: dict[str, Column]) -> Iterator[str]:
    """A table of the columns: how many rows have nothing there, and how long the texts are."""
    width = max([6, *(len(name) for name in found)])
    yield f"\n{'column':{width}}  empty   characters: 5%     50%     95%     most"
    for name, column in found.items():
        empty = f"{100 * (total - len(column.lengths) - column.others) / total:4.0f}%"
        if len(column.lengths) > column.others:
            lengths = [column.percentile(share) for share in (0.05, 0.5, 0.95, 1)]
            yield f"{name:{width}}  {empty}  {lengths[0]:14,} {lengths[1]:7,} {lengths[2]:7,} {lengths[3]:8,}"
        else:
            yield f"{name:{width}}  {empty}   no text"


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


def _share(count: int, total: int) -> str:
    return f"{count:,} ({100 * count / max(total, 1):.1f}%)"


def _shown(text: str | None) -> str:
    line = " ".join((text or "").split())
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line[: WIDTH + 1])
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise UserError(f"there is no file {file}; give the path or the URL of one")
    downloads.verify(file, None)
    return file


def _known(place: str, pin: str | None) -> tuple[str, sources.File | None]:
    """The name of this file's entry in sources.yaml, and the entry if it is there; `pin` may give the name."""
    entries = sources.load().datasets if paths.SOURCES.exists() else {}
    for name, entry in entries.items():
        if isinstance(entry, sources.File) and (pin or name) == name and place in (str(entry.path), entry.url):
            return name, entry
    return pin or pins.name_for(place), None


def _require(title: str, description: str, found: dict[str, Column]) -> None:
    for name in (title, description):
        if name not in found:
            there = ", ".join(map(repr, list(found)[:20])) or "none"
            raise UserError(f"no row has a text under {name!r}; the columns are {there}")


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
    parser.add_argument("--member", help="which file of a zip archive")
    parser.add_argument("--format", choices=layout.FORMATS, help="where the guess is wrong")
    parser.add_argument("--encoding", help="where the guess is wrong: cp1252, utf-16, ...")
    parser.add_argument("--delimiter", help="where the guess is wrong")
    parser.add_argument("--pin", nargs="?", const="", metavar="NAME", help="write the entry, or its new SHA-256")
    try:
        for line in report(parser.parse_args()):
            _say(line)
    except UserError as error:
        print(f"inspect: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
