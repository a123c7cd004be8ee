"""Parquet files as rows."""

from collections.abc import Iterator
from pathlib import Path

from copywriter.errors import UserError
from copywriter.reading.fields import Fields, Record


def read_parquet(file: Path, fields: Fields) -> Iterator[Record]:
    """The rows of a Parquet file; where fields are needed, only their columns are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
            wanted = {name if name in names else name.partition(".")[0] for name in fields.needed}
            if not wanted <= set(names):
                fields.known(names)
            batches = parquet.iter_batches(1_000, columns=sorted(wanted) or None)
            for number, row in enumerate((row for batch in batches for row in batch.to_pylist()), 1):
                fields.look((row,))
                yield Record(number, fields.needed_of(row))
    except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError, OverflowError) as error:
        found = " ".join(str(error).split())
        raise UserError(f"{file} is damaged or no Parquet file ({found}); get it again, or write it anew") from None
