"""One CSV file as columns: parsed once in a process and, where its folder can be written to, once in its life."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.errors import (
    CorruptObjectError,
    MissingObjectError,
    ProjectCacheError,
    UnreadableObjectError,
)
from project_cache.files import atomic_write, digest_of, hidden

__all__ = ["Array", "TableFile", "frame", "table_file"]

Array = npt.NDArray[Any]

#: Words that stand for no value. Later versions of pandas count "None" among them; AllenSDK's did not.
NO_VALUE = (
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"]
    + ["<NA>", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"]
)  # fmt: skip
#: bytes of CSV below which parsing is as fast as opening a copy
SMALLEST = 1 << 20
#: raised when the same CSV would give other columns, or the copy's form changes
FORMAT = "project_cache table 1"


class TableFile:
    """The columns of a table; those of a copy are read when they are asked for.

    Parameters
    ----------
    path : pathlib.Path
        The file, for what errors say.
    id_name : str or tuple of str
        The column of ids: the first of these that there is.
    names : sequence of str
        Of all its columns.
    load : callable
        Returns the values of some of them, by their names.
    """

    def __init__(self, path: Path, id_name: str | tuple[str, ...], names: Sequence[str], load: Any) -> None:
        wanted = (id_name,) if isinstance(id_name, str) else id_name
        if not set(wanted) & set(names):
            raise corrupt(path, f"has no column {wanted[0]!r}: it is not the table that was meant")
        self.path = path
        self.id_name = next(name for name in wanted if name in names)
        self.names = [name for name in names if name != self.id_name]
        self._load = load
        self._columns: dict[str, Array] = {}

    def load(self, names: Sequence[str]) -> None:
        """Read columns in one go."""
        for name in names:
            if name != self.id_name and name not in self.names:
                raise corrupt(self.path, f"has no column {name!r}, which is needed here")
        missing = [name for name in names if name not in self._columns]
        if missing:
            self._columns |= self._load(missing)

    def values(self, name: str) -> Array:
        """Return the values of a column; not to be changed."""
        self.load([name])
        return self._columns[name]

    @functools.cached_property
    def ids(self) -> pd.Index[Any]:
        """The ids; each is there once."""
        index = pd.Index(self.values(self.id_name), name=self.id_name)
        if not index.is_unique:
            raise corrupt(self.path, f"has the id {index[index.duplicated()][0]} more than once")
        return index

    def frame(self) -> pd.DataFrame:
        """Return all columns as a frame by id."""
        return self.some(self.names)

    def some(self, names: Sequence[str]) -> pd.DataFrame:
        """Return some columns as a frame by id, with values of its own."""
        self.load([self.id_name, *names])
        return frame({name: self._columns[name].copy() for name in names}, self.ids)


def frame(columns: Mapping[str, Array], ids: pd.Index[Any]) -> pd.DataFrame:
    """Return a frame of these arrays, which keep their types: text is "object" in every version of pandas."""
    series = {name: pd.Series(v, index=ids, dtype=v.dtype, copy=False) for name, v in columns.items()}
    return pd.DataFrame(series, index=ids)


def corrupt(path: Path, what: str) -> CorruptObjectError:
    """Return the error for a table that cannot be used."""
    return CorruptObjectError(
        f"{path} {what}. Remove it and ask again: it is fetched anew. Without a source, copy it from where it came from."
    )


def table_file(path: Path, id_name: str | tuple[str, ...], *, keep: bool) -> TableFile:
    """Return a table (CSV, or parquet). A file that did not change is parsed once in a process.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    id_name : str or tuple of str
        Its column of ids: the first of these that it has.
    keep : bool
        Whether a parsed copy may be written beside it.

    Raises
    ------
    CorruptObjectError
        It is no such table.
    UnreadableObjectError
        It is there, and cannot be read.
    """
    try:
        status = path.stat()
        return _table_file(path, id_name, status.st_size, status.st_mtime_ns, keep)
    except ProjectCacheError:
        raise
    except FileNotFoundError as error:
        raise MissingObjectError(f"There is no table {path}. Fetch it, or put it there.") from error
    except OSError as error:
        raise UnreadableObjectError(
            f"{path} is there and cannot be read ({error.strerror or error}). Check its permissions and the drive."
        ) from error


@functools.lru_cache(maxsize=64)
def _table_file(
    path: Path, id_name: str | tuple[str, ...], size: int, mtime_ns: int, keep: bool
) -> TableFile:
    if path.suffix == ".parquet":
        return _parquet(path, id_name, path)
    state = {"format": FORMAT, "size": size, "mtime_ns": mtime_ns}
    if size >= SMALLEST:
        opened = _copy(path, id_name, state)
        if opened is not None:
            return opened
    columns = _parsed(path)
    if size >= SMALLEST and keep and _writable(path.parent):
        _write_copy(path, columns, state)
    return TableFile(path, id_name, list(columns), lambda names: {name: columns[name] for name in names})


def _parsed(path: Path) -> dict[str, Array]:
    """Return the columns of a CSV file as AllenSDK's pandas took them."""
    _check_end(path)
    try:
        with path.open("rb") as file:
            table = pd.read_csv(file, keep_default_na=False, na_values=NO_VALUE)
    except pd.errors.EmptyDataError as error:
        raise corrupt(path, "is empty") from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise corrupt(path, f"is damaged or cut off ({str(error).strip()})") from error
    return {str(name): _plain(table[name]) for name in table.columns}


def _plain(column: pd.Series[Any]) -> Array:
    """Return a column as numpy has it; text as objects, of which a missing one is nan."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        return column.to_numpy()
    values: Array = column.to_numpy(dtype=object)
    return values


def _check_end(path: Path) -> None:
    """Raise for a web page, and for a file whose last row is cut: pandas would fill that with missing values."""
    with path.open("rb") as file:
        header = file.readline(1 << 20)
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        tail = file.read()
    if header.lstrip().startswith(b"<"):
        raise corrupt(path, "is a web page, not a table")
    last = tail.rpartition(b"\n")[2]
    if last and b'"' not in last and last.count(b",") < header.count(b","):
        raise corrupt(path, "is cut off: its last row is not whole")


def _writable(folder: Path) -> bool:
    # by its bits as well: root may write everywhere, and a folder that nobody is meant to write to is left alone
    return bool(folder.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)) and os.access(
        folder, os.W_OK
    )


def _write_copy(path: Path, columns: Mapping[str, Array], state: Mapping[str, Any]) -> None:
    """Keep columns beside their CSV; where that cannot be, all works as well, only later."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {}
    for name, values in columns.items():
        if values.dtype == object:
            try:
                text = pa.array(values, type=pa.string(), from_pandas=True)
            except (pa.ArrowTypeError, pa.ArrowInvalid):
                return  # numbers and text in one column: a copy could not give them back as they are
            arrays[name] = text.dictionary_encode()
        else:
            arrays[name] = pa.array(values)
    with contextlib.suppress(OSError), atomic_write(hidden(path, "parquet"), durable=False) as temporary:
        pq.write_table(pa.table(arrays), temporary, compression="lz4")
        note = json.dumps({**state, "digest": digest_of(temporary)})
        with atomic_write(hidden(path, "parquet.json"), durable=False) as said:
            said.write_text(note)


def _copy(path: Path, id_name: str | tuple[str, ...], state: Mapping[str, Any]) -> TableFile | None:
    """Return the copy of a CSV in this state, or None: a copy that is missing or damaged is as good as none."""
    copy = hidden(path, "parquet")
    try:
        note = json.loads(hidden(path, "parquet.json").read_text("utf-8"))
        # Its digest, and not only its form: a byte that flipped would be another number, in silence.
        if note != {**state, "digest": digest_of(copy)}:
            return None
        return _parquet(copy, id_name, path)
    except (OSError, ValueError, TypeError):
        return None


def _parquet(file: Path, id_name: str | tuple[str, ...], path: Path) -> TableFile:
    """Return the table in a parquet file; its columns are read when they are asked for."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def load(names: Sequence[str]) -> dict[str, Array]:
        try:
            with pq.ParquetFile(file) as opened:
                table = opened.read(columns=list(names))
        except (OSError, pa.ArrowException) as error:
            if file == path:
                raise corrupt(path, f"is damaged ({str(error).strip()})") from error
            columns = _parsed(path)  # the copy has gone; what it is a copy of is there
            return {name: columns[name] for name in names}
        return {name: _from_arrow(table.column(name)) for name in names}

    try:
        names = pq.read_schema(file).names
    except pa.ArrowException as error:
        raise corrupt(file, f"is not a whole parquet file ({str(error).strip()})") from error
    return TableFile(path, id_name, names, load)


def _from_arrow(column: Any) -> Array:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        whole = column.combine_chunks()
        words = np.append(
            np.array(whole.dictionary.to_pylist(), dtype=object), np.array([np.nan], dtype=object)
        )
        codes = whole.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
        taken: Array = words[codes]
        return taken
    values = column.to_pandas()
    return _plain(values if values.dtype != object else values.where(values.notna(), np.nan))
