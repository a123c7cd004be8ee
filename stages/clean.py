"""Turns the raw catalogue into clean rows: a title and its description, none twice, every row left out counted.

Reads: data/raw (manifest.json and the JSON-lines files that it names, plain or gzipped).
Writes: data/clean.parquet, metrics/clean_counts.json.
Params: clean.max_malformed.
"""

import gzip
import itertools
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from copywriter import canonical, params, paths, records, stage, text
from copywriter.records import Product
from copywriter.stage import UserError

MAX_LINE_BYTES = 50_000_000
ROWS_TO_FIND_A_FIELD = 1_000
REASONS = ("malformed line", *text.REASONS, "duplicate pair", "duplicate title")

# Integers as floats: Python refuses to read an integer of more than 4,300 digits.
_DECODER = json.JSONDecoder(parse_int=float)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a raw file, without its end."""

    file: str
    number: int
    content: bytes


@dataclass(slots=True)
class Counts:
    """What became of the rows: `read` is `kept` and all of `dropped` together."""

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))

    def __str__(self) -> str:
        dropped = "".join(f"; {count:,} {reason}" for reason, count in self.dropped.items() if count)
        return f"{self.kept:,} of {self.read:,} rows kept{dropped}"


def clean_rows(
    lines: Iterable[Line], title: str, description: str, max_malformed: float, counts: Counts
) -> Iterator[Product]:
    """The rows to keep, in file order; `counts` grows on the way. UserError when the file is not what was expected.

    `title` and `description` name the fields. Of rows with one title (letter case aside) the first is kept.
    """
    malformed: list[str] = []
    fields: dict[str, None] = {}
    objects = 0
    titles: set[bytes] = set()
    pairs: set[bytes] = set()
    for line in lines:
        counts.read += 1
        row = parse(line.content)
        if row is not None and objects < ROWS_TO_FIND_A_FIELD:
            objects += 1
            fields |= dict.fromkeys(row)
            if objects == ROWS_TO_FIND_A_FIELD:
                require_fields((title, description), fields, line.file)
        product = make_product(row, title, description)
        if product is None:
            counts.dropped["malformed line"] += 1
            if len(malformed) < 3:
                malformed.append(describe(line))
        elif reason := text.reason(product.title, product.description) or duplicate(product, titles, pairs):
            counts.dropped[reason] += 1
        else:
            counts.kept += 1
            yield product
    if not counts.read:
        raise UserError("the catalogue is empty: its files have no line; check its entry in sources.yaml")
    if counts.dropped["malformed line"] > max_malformed * counts.read:
        raise UserError(
            f"{counts.dropped['malformed line']:,} of {counts.read:,} lines are not JSON objects with texts in their "
            f"fields {title!r} and {description!r}, more than clean.max_malformed {max_malformed} allows: "
            f"{'; '.join(malformed)}; check the file, or raise clean.max_malformed"
        )
    if fields:
        require_fields((title, description), fields, line.file)
    if not counts.kept:
        raise UserError(f"every row was dropped: {counts}; check the title and description fields in sources.yaml")


def parse(line: bytes) -> dict[str, object] | None:
    """The JSON object that a line holds, or None when it holds something else."""
    try:
        row = _DECODER.decode(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def make_product(row: dict[str, object] | None, title: str, description: str) -> Product | None:
    """The row's cleaned texts, empty where it has none, or None when it is no row or a field holds something else."""
    if row is None:
        return None
    values = row.get(title), row.get(description)
    texts = [text.clean(value or "") for value in values if value is None or isinstance(value, str)]
    return Product(*texts) if len(texts) == len(values) else None


def duplicate(product: Product, titles: set[bytes], pairs: set[bytes]) -> str | None:
    """The reason to drop a row that came before; a row that did not is added to `titles` and `pairs`."""
    pair = text.digest(product.title, product.description)
    if pair in pairs:
        return "duplicate pair"
    pairs.add(pair)
    title = text.digest(product.title.casefold())
    if title in titles:
        return "duplicate title"
    titles.add(title)
    return None


def require_fields(needed: Iterable[str], found: Iterable[str], file: str) -> None:
    """UserError when the rows looked at have a needed field in none of them."""
    missing = [name for name in needed if name not in found]
    if missing:
        there = ", ".join(map(repr, itertools.islice(found, 20))) or "none"
        raise UserError(
            f"{file} has no field {' and no field '.join(map(repr, missing))}; its fields are: {there}; "
            "name the right ones in sources.yaml"
        )


def describe(line: Line) -> str:
    """Where a line is and its first 80 characters, those that do not print escaped."""
    return f"{line.file} line {line.number}: {line.content[:320].decode('utf-8', 'replace')[:80]!r}"


def read_lines(file: Path) -> Iterator[Line]:
    """The lines of a file, plain or gzipped, that are not blank; of a line over MAX_LINE_BYTES only its first bytes."""
    with file.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(file) if zipped else file.open("rb") as stream:
            for number in itertools.count(1):
                content = stream.readline(MAX_LINE_BYTES)
                if not content:
                    return
                if len(content) == MAX_LINE_BYTES and not content.endswith(b"\n"):
                    content = content[:1_000]  # half a JSON object: malformed
                    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        pass
                if number == 1:
                    content = content.removeprefix(b"\xef\xbb\xbf")
                if content := content.strip():
                    yield Line(file.name, number, content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{file} is damaged ({error}); get it again with 'dvc repro --force fetch'") from None


def run(
    given: params.Params,
    raw: Path = paths.RAW,
    cleaned: Path = paths.CLEAN,
    counted: Path = paths.CLEAN_COUNTS,
) -> str:
    """Cleans the catalogue in the folder `raw`; the summary line."""
    stage.existing(raw, "dvc repro fetch")
    manifest = json.loads(stage.existing(raw / "manifest.json", "dvc repro --force fetch").read_text(encoding="utf-8"))
    files = [stage.existing(raw / name, "dvc repro --force fetch") for name in sorted(manifest["files"])]
    counts = Counts()
    lines = tqdm(itertools.chain.from_iterable(map(read_lines, files)), **stage.progress("rows"))
    rows = clean_rows(lines, manifest["title"], manifest["description"], given.clean.max_malformed, counts)
    records.write_products(cleaned, rows)
    canonical.write_json(counted, {"read": counts.read, "kept": counts.kept, "dropped": counts.dropped})
    return str(counts)


def main() -> None:
    stage.run("clean", lambda: run(params.load()))


if __name__ == "__main__":
    main()
