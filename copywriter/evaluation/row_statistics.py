"""What each row adds to the scores, as whole numbers: any set of rows is scored from the sum of their statistics.

Whole numbers add up to the same sum in every order and on every machine, so an interval that resamples rows ten
thousand times has the same digits everywhere. Shares of a row are kept in billionths, nats in millionths.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from copywriter import errors, files
from copywriter.errors import UserError

SHARE = 10**9
NATS = 10**6
COLUMNS = (
    "rows",
    *(f"bleu_{name}" for name in ("words", "reference_words", *(f"match_{n}" for n in range(1, 5)))),
    *(f"bleu_runs_{n}" for n in range(1, 5)),
    *(f"chrf_{name}_{n}" for n in range(1, 7) for name in ("runs", "reference_runs", "match")),
    *("rouge1", "rouge2", "rougeL"),  # shares: F1 of the row
    *("nll", "nll_tokens"),
    *("asked", "stopped", "tokens"),  # asked: 1 where a model wrote the text
    *("repeated_4grams", "distinct_2"),  # shares of the row's runs
    *("title_runs", "title_match"),
    *("verbatim_runs", "verbatim_match"),
    *("invented", "with_invented", "unconfirmed"),
)

Statistics = NDArray[np.int64]  # rows x COLUMNS


def table(columns: Mapping[str, NDArray[np.int64]]) -> Statistics:
    """Statistics that hold these columns, and 0 in all others."""
    nothing = np.zeros(len(next(iter(columns.values()))), np.int64)
    return np.stack([columns.get(name, nothing) for name in COLUMNS], axis=1)


def write(path: Path, found: Statistics) -> None:
    """Writes statistics as Parquet, whole or not at all."""
    content = pa.table({name: found[:, at] for at, name in enumerate(COLUMNS)})
    with files.new_file(path) as aside:
        pq.write_table(content, aside, compression="zstd", compression_level=3)


def read(path: Path) -> Statistics:
    """Statistics that `write` wrote; UserError when an older version wrote others."""
    content = pq.read_table(errors.existing(path, "dvc repro"))
    if content.column_names != list(COLUMNS):
        raise UserError(f"{path} has other columns than this version writes; run 'dvc repro evaluate baseline'")
    return np.stack([column.to_numpy() for column in content.columns], axis=1)
