"""Results that take long, kept under runs/ row by row: a killed evaluation goes on, and a new score reuses them."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from copywriter import files, paths

_KEPT = 8  # files of a kind, the last used: base and tuned of four experiments

Result = Mapping[str, Any]


def rows(
    kind: str, made_by: object, count: int, make: Callable[[Sequence[int]], Iterator[tuple[int, Result]]]
) -> list[dict[str, Any]]:
    """One result a row, in the order of the rows: those in runs/KIND/KEY.jsonl, and the rest from `make`.

    `made_by` is all that decides the results, as JSON: KEY is its digest. `make` takes the missing rows and yields
    (row, result) in any order; each is on disk before the next is asked for. A line that is torn, or that is no result
    for one of the rows, counts as missing. Two processes on one file do no harm: they write the same lines.
    """
    file = paths.RUNS / kind / f"{files.digest(made_by)[:16]}.jsonl"
    found = _read(file, count)
    missing = [row for row in range(count) if row not in found]
    if found:
        print(f"{kind}: {len(found):,} of {count:,} rows are there already, in {file}", file=sys.stderr)
    if missing:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as stream:
            stream.write(b"\n")  # ends a torn line; an empty line is none
            for row, result in make(missing):
                found[row] = dict(result)
                stream.write(json.dumps({"row": row, **result}, ensure_ascii=False).encode() + b"\n")
                stream.flush()
    _forget_old(file)
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


def _forget_old(file: Path) -> None:
    for old in sorted(file.parent.glob("*.jsonl"), key=lambda one: one.stat().st_mtime, reverse=True)[_KEPT:]:
        old.unlink(missing_ok=True)
