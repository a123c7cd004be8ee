"""What a raw file holds, counted: its columns, its texts under the cleaning rules, and which rows would be dropped."""

import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from copywriter.cleaning import duplicates, rules
from copywriter.reading import json_rows, tables
from copywriter.reading.fields import paths, value
from copywriter.reading.tables import Chunk, Row

SAMPLE_BYTES = 64_000_000  # of JSON lines; a smaller file is looked at as a whole
SAMPLE_ROWS = 64_000  # of the other formats
TITLES = ("title", "name", "producttitle", "productname", "itemname", "titulo", "nome", "titel", "titre", "nombre")
DESCRIPTIONS = (
    *("description", "content", "text", "body", "bodyhtml", "productdescription", "longdescription", "itemdescription"),
    *("descricao", "descripcion", "beschreibung", "details", "about"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Chunks of a file in their order, and how many rows the whole file has, blank lines among them."""

    chunks: list[Chunk]
    rows: int
    whole: bool  # all chunks are in the sample


@dataclass(slots=True)
class Column:
    """What the rows hold under one name: characters of each text, and how many rows hold something else."""

    lengths: list[int] = field(default_factory=list)
    others: int = 0

    def percentile(self, share: float) -> int:
        """The length that so many of the texts do not exceed; 0 without any."""
        return sorted(self.lengths)[min(int(share * len(self.lengths)), len(self.lengths) - 1)] if self.lengths else 0


@dataclass(slots=True)
class Verdict:
    """What clean would do with the rows."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    malformed: list[Row] = field(default_factory=list)  # the first three
    examples: list[Row] = field(default_factory=list)


def draw(file: Path, given: Mapping[str, Any]) -> Sample:
    """All chunks of a file, or if it is large as many as the sample takes, each equally likely, the same every time."""
    chance = random.Random(0)
    kept: list[tuple[int, Chunk]] = []
    rows = number = 0
    for number, chunk in enumerate(tables.file_chunks(file, given), 1):
        rows += len(chunk.parsed) or chunk.lines.count(b"\n") + (not chunk.lines.endswith(b"\n"))
        if len(kept) < _room(chunk):
            kept.append((number, chunk))
        elif (place := chance.randrange(number)) < len(kept):
            kept[place] = number, chunk
    chunks = [chunk for _, chunk in sorted(kept, key=lambda pair: pair[0])]
    return Sample(chunks, rows, whole=number == len(kept))


def _room(chunk: Chunk) -> int:
    if chunk.parsed:
        return SAMPLE_ROWS // tables.ROWS_PER_CHUNK
    return SAMPLE_BYTES // max(len(chunk.lines), json_rows.BLOCK_BYTES)


def columns(sample: Sample) -> tuple[int, dict[str, Column]]:
    """How many rows the sample has, and every column of theirs, those of objects in them by their paths."""
    found: dict[str, Column] = {}
    rows = 0
    for chunk in sample.chunks:
        for record in tables.records(chunk):
            rows += 1
            for name in paths(record.fields or {}):
                column = found.setdefault(name, Column())
                held = value(record.fields, name)
                if isinstance(held, str) and held.strip():
                    column.lengths.append(len(held))
                elif held is not None and not isinstance(held, str | dict):
                    column.others += 1
    return rows, {name: column for name, column in found.items() if column.lengths or column.others}


def guess(found: Mapping[str, Column]) -> tuple[str | None, str | None]:
    """The columns that are most likely the title and the description: by their names, else by their lengths."""
    texts = [name for name, column in found.items() if len(column.lengths) > column.others]
    title = _named(texts, TITLES)
    description = _named([name for name in texts if name != title], DESCRIPTIONS)
    rest = sorted((name for name in texts if name not in (title, description)), key=lambda n: found[n].percentile(0.5))
    description = description or (rest.pop() if rest else None)
    return title or (rest.pop() if rest else None), description


def _named(names: Iterable[str], wanted: tuple[str, ...]) -> str | None:
    plain = {name: re.sub(r"[^a-z]", "", name.rpartition(".")[2].lower()) for name in names}
    ranked = [name for name in plain if plain[name] in wanted]
    return min(ranked, key=lambda name: wanted.index(plain[name]), default=None)


def judge(sample: Sample, title: str, description: str, examples: int = 5) -> Verdict:
    """What clean would do with the sample's rows under all its rules; the examples are rows kept, evenly spaced."""
    verdict, seen = Verdict(), duplicates.Seen()
    kept: list[Row] = []
    for chunk in sample.chunks:
        rows = list(tables.rows(chunk, title, description))
        cleaned = rules.judge([(row.title, row.description) for row in rows], rules.RULES)
        for row, clean in zip(rows, cleaned, strict=True):
            verdict.changed.update({rule for rule, *_ in clean.changes})
            if row.malformed and len(verdict.malformed) < 3:
                verdict.malformed.append(row)
            reason = row.malformed or clean.reason or seen.reason(duplicates.key(clean.title, clean.description))
            if reason:
                verdict.dropped[reason] += 1
            else:
                kept.append(row)
    verdict.kept = len(kept)
    verdict.examples = [kept[number * len(kept) // examples] for number in range(min(examples, len(kept)))]
    return verdict
