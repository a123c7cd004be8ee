"""Row statistics: whole numbers of each row whose sums over any set of rows give the scores of that set.

Whole numbers add up to the same sum in every order and on every machine, so the intervals of ten thousand resamples
have the same digits everywhere.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from copywriter import errors, files
from copywriter.errors import UserError
from copywriter.evaluation.registry import METRICS

COLUMNS = ("rows", *(column for metric in METRICS for column in metric.columns))

Statistics = NDArray[np.int64]  # rows x COLUMNS


def from_columns(columns: Mapping[str, NDArray[np.int64]]) -> Statistics:
    """Statistics with these columns, and 0 in all others."""
    zeros = np.zeros(len(next(iter(columns.values()))), np.int64)
    return np.stack([columns.get(name, zeros) for name in COLUMNS], axis=1)


def write(path: Path, statistics: Statistics) -> None:
    """Writes statistics as Parquet, all or nothing."""
    content = pa.table({name: statistics[:, at] for at, name in enumerate(COLUMNS)})
    with files.new_file(path) as new:
        pq.write_table(content, new, compression="zstd", compression_level=3)


def read(path: Path) -> Statistics:
    """Statistics that `write` wrote; UserError when the file is of a version with other metrics."""
    content = pq.read_table(errors.existing(path, "dvc repro"))
    if content.column_names != list(COLUMNS):
        raise UserError(f"{path} has other columns than this version writes; run 'dvc repro evaluate baseline'")
    return np.stack([column.to_numpy() for column in content.columns], axis=1)
