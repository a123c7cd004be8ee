"""A cache of slow results under runs/, row by row: a killed evaluation resumes, and scoring again needs no model."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from copywriter import files, paths

_MAX_FILES = 8  # of a kind, the last used ones: base and tuned of four experiments

Result = Mapping[str, Any]


def cached_rows(
    kind: str, key: object, count: int, compute: Callable[[Sequence[int]], Iterator[tuple[int, Result]]]
) -> list[dict[str, Any]]:
    """One result a row, in row order: from the cache file runs/KIND/DIGEST.jsonl, or else from `compute`.

    `key` is JSON of everything that determines the results; its digest names the file. `compute` takes the missing row
    numbers and yields (row, result) in any order; each result is written to disk at once. A torn line, or one that is
    no result of one of the rows, counts as missing. Two processes may share a file: they write equal lines.
    """
    file = paths.RUNS / kind / f"{files.digest(key)[:16]}.jsonl"
    found = _read(file, count)
    missing = [row for row in range(count) if row not in found]
    if found:
        print(f"{kind}: reusing {len(found):,} of {count:,} rows from {file}", file=sys.stderr)
    if missing:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as stream:
            stream.write(b"\n")  # ends a torn line; empty lines are skipped
            for row, result in compute(missing):
                found[row] = dict(result)
                stream.write(json.dumps({"row": row, **result}, ensure_ascii=False).encode() + b"\n")
                stream.flush()
    _delete_oldest(file)
    return [found[row] for row in range(count)]


def _read(file: Path, count: int) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    if file.exists():
        os.utime(file)
        for line in file.read_bytes().splitlines():
            try:
                result = json.loads(line)
                row = result.pop("row")
            except (ValueError, AttributeError, KeyError, TypeError):
                continue
            if isinstance(row, int) and 0 <= row < count:
                found[row] = result
    return found


def _delete_oldest(file: Path) -> None:
    for old in sorted(file.parent.glob("*.jsonl"), key=lambda one: one.stat().st_mtime, reverse=True)[_MAX_FILES:]:
        old.unlink(missing_ok=True)
