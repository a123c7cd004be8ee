"""Parquet files and Excel workbooks as rows."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from copywriter.errors import UserError
from copywriter.reading.csv_rows import header
from copywriter.reading.fields import Fields, Record

MAX_WORKBOOK_BYTES = 1_000_000_000  # unpacked: a workbook is read as a whole


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
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        found = " ".join(str(error).split())
        raise UserError(f"{file} is damaged or no Parquet file ({found}); get it again, or write it anew") from None


def read_workbook(file: Path, fields: Fields) -> Iterator[Record]:
    """The rows of an .xlsx file's first sheet under its first row; texts alone are texts, a number is none."""
    import python_calamine

    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_WORKBOOK_BYTES:
            raise UserError(f"{file} unpacks to {unpacked:,} bytes, too many to read as a whole; save it as CSV")
        with python_calamine.CalamineWorkbook.from_path(file) as workbook:
            sheet = workbook.get_sheet_by_index(0)
            rows = enumerate(sheet.iter_rows(), 1)
            names = header([str(cell) for cell in next(rows, (1, []))[1]])
            fields.known(names)
            for number, cells in rows:
                yield Record(number, fields.needed_of(dict(zip(names, cells, strict=True))))
    except (zipfile.BadZipFile, python_calamine.CalamineError) as error:
        raise UserError(f"{file} is no whole .xlsx workbook ({error}); save it again, or as CSV") from None
