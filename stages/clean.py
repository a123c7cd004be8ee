"""Cleans the raw catalogue: rows of title and description without duplicates; every dropped row is counted.

Reads: data/raw (manifest.json and the files that it names).
Writes: data/clean.parquet, data/cleaning_examples.jsonl, metrics/clean_counts.json.
Params: clean.max_malformed, clean.without.
"""

import gc
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from copywriter import errors, files, parallel, params, paths, records, stage
from copywriter.cleaning import duplicates, examples, facts, rules
from copywriter.cleaning.duplicates import Key
from copywriter.cleaning.examples import Examples
from copywriter.errors import UserError
from copywriter.reading import tables
from copywriter.reading.tables import Chunk

REASONS = (*tables.MALFORMED, *rules.REASONS, *duplicates.REASONS)


@dataclass(slots=True)
class Cleaned:
    """The rows of a chunk that are kept unless they are duplicates, and the counts of all its rows."""

    rows: pa.Table
    keys: list[Key]
    counts: "Counts"


@dataclass(slots=True)
class Counts:
    """Rows by outcome: `read` is the sum of `kept` and all of `dropped`."""

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    changed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(rules.RULES, 0))  # rows, kept or not, by rule
    facts: dict[str, Counter[str]] = field(default_factory=dict)  # by name: kept rows with it, values not kept whole
    malformed: list[str] = field(default_factory=list)  # the first three, described
    examples: Examples = field(default_factory=dict)

    def add(self, more: "Counts") -> None:
        """Adds the counts of the rows that follow."""
        self.read += more.read
        self.kept += more.kept
        self.dropped = {reason: count + more.dropped[reason] for reason, count in self.dropped.items()}
        self.changed = {rule: count + more.changed[rule] for rule, count in self.changed.items()}
        self.facts = {name: self.facts.get(name, Counter()) + count for name, count in more.facts.items()}
        self.malformed = (self.malformed + more.malformed)[:3]
        self.examples = examples.merge(self.examples, more.examples)

    def __str__(self) -> str:
        dropped = "".join(f"; {count:,} {reason}" for reason, count in self.dropped.items() if count)
        return f"{self.kept:,} of {self.read:,} rows kept{dropped}"


def clean_rows(
    chunks: Iterable[Chunk], manifest: Mapping[str, Any], given: params.Clean, counts: Counts, processes: int = 1
) -> Iterator[pa.Table]:
    """The rows to keep, in file order; updates `counts`. UserError if the counts are those of a wrong file.

    `manifest` names the fields. Of rows with equal titles, ignoring case, the first is kept, whatever their facts.
    """
    fields = (manifest["title"], manifest["description"], manifest.get("facts", ()))
    work = partial(clean_chunk, *fields, tuple(given.without))
    seen = duplicates.Seen()
    with tqdm(**errors.progress("rows")) as bar:
        for cleaned in parallel.in_order(work, chunks, processes):
            counts.add(cleaned.counts)
            bar.update(cleaned.counts.read)
            reasons = [seen.reason(key) for key in cleaned.keys]
            for reason in filter(None, reasons):
                counts.dropped[reason] += 1
            kept = [reason is None for reason in reasons]
            counts.kept += sum(kept)
            rows = cleaned.rows.filter(pa.array(kept, pa.bool_()))
            for name in counts.facts:
                have = pc.match_substring_regex(rows["facts"], rf"(?m)^{re.escape(name)}: ")
                counts.facts[name][facts.FILLED] += pc.sum(have).as_py() or 0
            yield rows
    require_rows(counts, manifest, given.max_malformed)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Off while a chunk is cleaned: it makes many tuples and no cycles, and collecting takes an eighth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@no_garbage_collection()
def clean_chunk(
    title: str, description: str, named: Sequence[tuple[str, str]], without: Collection[str], chunk: Chunk
) -> Cleaned:
    """A chunk's rows, cleaned. Duplicates are found later.

    `title` and `description` name the fields, `named` the facts with theirs.
    """
    found = list(tables.rows(chunk, title, description, [column for _, column in named]))
    kept: list[tuple[str, ...]] = []
    held: list[tuple[object, ...]] = []  # the facts of the rows that are kept
    keys: list[Key] = []
    counts = Counts(read=len(found))
    shown: dict[bytes, dict[str, tuple[str, str]]] = {}
    verdicts = rules.judge([(row.title, row.description) for row in found], rules.chosen(without))
    for row, (cleaned_title, cleaned_description, changes, reason) in zip(found, verdicts, strict=True):
        changed = (
            {rule: (before, after) for rule, before, after in changes} if changes else {}
        )  # a rule's last are shown
        for rule in changed:
            counts.changed[rule] += 1
        if row.malformed and len(counts.malformed) < 3:
            counts.malformed.append(tables.describe(row))
        if reason := row.malformed or reason:
            counts.dropped[reason] += 1
            continue
        key = duplicates.key(cleaned_title, cleaned_description)
        keys.append(key)
        kept.append((cleaned_title, cleaned_description))
        held.append(row.facts)
        if changed:
            shown.setdefault(key[1], {}).update(changed)
    counts.examples = examples.choose(shown)
    if not named:
        return Cleaned(records.table(kept), keys, counts)
    names = [name for name, _ in named]
    cleaner = facts.Cleaner(names, rules.chosen(without))
    kept = [(*texts, lines) for texts, lines in zip(kept, cleaner.lines(held), strict=True)]
    counts.facts = cleaner.counts
    return Cleaned(records.table(kept, names), keys, counts)


def require_rows(counts: Counts, manifest: Mapping[str, Any], max_malformed: float) -> None:
    """UserError if the counts are those of a wrong file."""
    if not counts.read:
        raise UserError("the catalogue is empty: its files have no row; check its entry in sources.yaml")
    malformed = sum(counts.dropped[reason] for reason in tables.MALFORMED)
    if malformed > max_malformed * counts.read:
        raise UserError(
            f"{malformed:,} of {counts.read:,} rows cannot be read as texts in the fields {manifest['title']!r} and "
            f"{manifest['description']!r}, more than clean.max_malformed {max_malformed} allows: "
            f"{'; '.join(counts.malformed)}; check the file, or raise clean.max_malformed"
        )
    if not counts.kept:
        raise UserError(f"every row was dropped: {counts}; check the title and description fields in sources.yaml")


def run(
    given: params.Params,
    raw: Path = paths.RAW,
    cleaned: Path = paths.CLEAN,
    shown: Path = paths.CLEANING_EXAMPLES,
    counted: Path = paths.CLEAN_COUNTS,
    processes: int | None = None,
) -> str:
    """Cleans the catalogue in the folder `raw`, in one process per processor by default; the summary line."""
    chosen = rules.chosen(given.clean.without)
    errors.existing(raw, "dvc repro fetch")
    manifest = json.loads(errors.existing(raw / "manifest.json", "dvc repro --force fetch").read_text(encoding="utf-8"))
    counts = Counts()
    processes = processes or parallel.processors()
    rows = clean_rows(tables.chunks(raw, manifest), manifest, given.clean, counts, processes)
    records.write_tables(cleaned, rows)
    records.write_examples(shown, (pair for rule in chosen for _, pair in counts.examples.get(rule, ())))
    changed = {rule: counts.changed[rule] for rule in chosen}
    result = {"read": counts.read, "kept": counts.kept, "dropped": counts.dropped, "changed": changed}
    named = {name: {kind: count[kind] for kind in facts.KINDS} for name, count in counts.facts.items()}
    files.write_json(counted, result | ({"facts": named} if named else {}))
    return str(counts)


def main() -> None:
    """Wires the stage."""
    stage.run("clean", lambda: run(params.load()))


if __name__ == "__main__":
    main()
