"""A table as parquet: the same values and types as its CSV, smaller, and read by columns."""

from __future__ import annotations

import csv
from pathlib import Path

from project_cache.files import translated
from project_cache.tables.csvfile import table_file

__all__ = ["parquet_of"]


def parquet_of(table: Path, file: Path) -> bool:
    """Write a CSV table as parquet; return False where that could not give it back as it is.

    A column of numbers and words has no type in parquet.

    Raises
    ------
    CorruptObjectError
        It is no table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with table.open(encoding="utf-8", errors="replace", newline="") as text:
        first = next(csv.reader(text), [""])[0]
    # all columns are plain ones here, and the first as good as any: whoever reads the table says which has the ids
    read = table_file(table, first, keep=False)
    names = [first, *read.names]
    read.load(names)
    arrays = {}
    for name in names:
        values = read.values(name)
        if values.dtype == object:
            try:
                arrays[name] = pa.array(values, type=pa.string(), from_pandas=True).dictionary_encode()
            except (pa.ArrowTypeError, pa.ArrowInvalid):
                return False
        else:
            arrays[name] = pa.array(values)
    with translated(file):
        pq.write_table(pa.table(arrays), file, compression="zstd")
    return True
