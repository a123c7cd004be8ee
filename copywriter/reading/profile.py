"""A sample of a raw file: its columns, and what clean would do with its rows."""

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from copywriter.cleaning import duplicates, rules
from copywriter.reading import json_rows, tables
from copywriter.reading.columns import Column
from copywriter.reading.fields import items_of, paths, text_of, value
from copywriter.reading.layout import Layout
from copywriter.reading.tables import Chunk, Row

SAMPLE_BYTES = 64_000_000  # of JSON lines; a smaller file is looked at as a whole
SAMPLE_ROWS = 64_000  # of the other formats
EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63}){1,4}")
DIGITS = re.compile(r"\d(?:[ ()./-]{0,2}\d){6}")  # in every phone number; ten times as fast to look for
PHONE = re.compile(
    r"(?<![\w+])(?:\+\d(?:[ ()./-]{0,2}\d){8,13}|\(\d{2,4}\) ?\d{3,5}[ -]\d{4}|\d{3}-\d{3}-\d{4})(?!\w)"
    r"|(?:\b(?:tel|phone|call|mobile|whats ?app|fone|fax|telefono|telefone)|\bтел|電話|电话)\w*"
    r"[^\w+]{0,5}\+?\d(?:[ ()./-]{0,2}\d){6,13}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Chunks of a file in their order, and how many rows the whole file has, blank lines among them."""

    chunks: list[Chunk]
    rows: int
    whole: bool  # all chunks are in the sample
    layout: Layout


@dataclass(slots=True)
class Verdict:
    """What clean would do with the rows."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    malformed: list[Row] = field(default_factory=list)  # the first three
    examples: list[Row] = field(default_factory=list)
    blank: int = 0  # rows without both texts, as spreadsheets write below their tables
    personal: Counter[str] = field(default_factory=Counter)  # rows to keep with e-mail addresses, phone numbers

    @property
    def is_little(self) -> bool:
        """Whether so few rows are kept that the columns are the wrong ones; rows without a title may be variants."""
        good = self.kept + sum(self.dropped[reason] for reason in duplicates.REASONS)
        total = self.kept + self.dropped.total() - self.blank
        return not self.kept or good < 0.01 * total or good < 0.1 * (total + self.blank - self.dropped["no title"])


def draw(file: Path, given: Mapping[str, Any]) -> Sample:
    """All chunks of a file, or if it is large as many as the sample takes, each equally likely, the same every time."""
    chance = random.Random(0)
    kept: list[tuple[int, Chunk]] = []
    rows = number = 0
    layout = tables.guess(file, given)
    for number, chunk in enumerate(tables.file_chunks(file, given, layout=layout), 1):
        rows += len(chunk.parsed) or chunk.lines.count(b"\n") + (not chunk.lines.endswith(b"\n"))
        if len(kept) < _room(chunk):
            kept.append((number, chunk))
        elif (place := chance.randrange(number)) < len(kept):
            kept[place] = number, chunk
    chunks = [chunk for _, chunk in sorted(kept, key=lambda pair: pair[0])]
    return Sample(chunks, rows, number == len(kept), layout)


def _room(chunk: Chunk) -> int:
    if chunk.parsed:
        return SAMPLE_ROWS // tables.ROWS_PER_CHUNK
    return SAMPLE_BYTES // max(len(chunk.lines), json_rows.BLOCK_BYTES)


def columns(sample: Sample, named: Sequence[str] = ()) -> tuple[int, dict[str, Column]]:
    """How many rows the sample has, and every column of theirs, those of objects in them by their paths.

    Columns that are `named` by other paths, such as `description.0`, are added; empty columns stay in.
    """
    found: dict[str, Column] = {}
    rows = 0
    for chunk in sample.chunks:
        for record in tables.records(chunk):
            rows += 1
            if record.fields is None:
                continue
            for name in dict.fromkeys((*paths(record.fields), *named)):
                column = found.get(name) or found.setdefault(name, Column())
                held = value(record.fields, name)
                text: str | None = None
                if isinstance(held, str):
                    text = held
                elif held is not None:
                    try:
                        text = "\n".join(items_of(held)) if isinstance(held, list) else text_of(held)
                    except TypeError:
                        column.others += not isinstance(held, dict)
                if text and not text.isspace():
                    column.add(text)
    return rows, found


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
                verdict.blank += not row.malformed and not clean.title and not clean.description
            else:
                kept.append(row)
                text = f"{clean.title}\n{clean.description}"
                verdict.personal["e-mail addresses"] += "@" in text and bool(EMAIL.search(text))
                verdict.personal["phone numbers"] += bool(DIGITS.search(text) and PHONE.search(text))
    verdict.kept = len(kept)
    count = min(examples, len(kept))
    verdict.examples = [kept[number * len(kept) // count] for number in range(count)]
    return verdict
