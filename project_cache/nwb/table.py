"""DynamicTable and its kinds (Units, TimeIntervals, electrodes) as frames, column by column."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.nwb.arrays import check, path_of, read, texts
from project_cache.nwb.links import find_dataset, need_dataset
from project_cache.nwb.ragged import is_ragged, read_bounds

__all__ = ["column_names", "frame", "read_column", "read_ids", "read_table"]


def column_names(group: h5py.Group) -> list[str]:
    """Return the table's columns in its own order: those that it names and has."""
    named = group.attrs.get("colnames")
    if named is None or isinstance(named, h5py.Empty):
        raise MissingDataError(f"{path_of(group)} is not a table: it names no columns.")
    return [name for name in texts(np.atleast_1d(named)).tolist() if find_dataset(group, name) is not None]


def read_ids(group: h5py.Group) -> NDArray[np.int64]:
    """Return the id of each row, or its number where the table keeps none."""
    stored = find_dataset(group, "id")
    if stored is not None:
        return read(stored).astype(np.int64, copy=False)
    names = [name for name in column_names(group) if not is_ragged(group, name)]
    return np.arange(len(read_column(group, names[0])) if names else 0, dtype=np.int64)


def read_column(group: h5py.Group, name: str) -> NDArray[Any]:
    """Return one column, one element a row.

    Returns
    -------
    numpy.ndarray
        Numbers and truth values as they are; strings as ``str``; references as the path of what they
        refer to; records as tuples; ragged cells as arrays, or lists where they hold strings, paths or tuples.
    """
    values = _values(need_dataset(group, name))
    if is_ragged(group, name):
        index = name
        while is_ragged(group, index):
            starts, stops = read_bounds(group, index)
            listed = values.dtype == object
            cells = [values[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
            values = _objects([cell.tolist() for cell in cells] if listed else cells)
            index = f"{index}_index"
        return values
    return values if values.ndim == 1 else _objects(list(values))


def _objects(cells: list[Any]) -> NDArray[np.object_]:
    """Return a one-dimensional array of these objects, even if they are all of one length."""
    out = np.empty(len(cells), dtype=object)
    for n, cell in enumerate(cells):
        out[n] = cell
    return out


def _values(dataset: h5py.Dataset) -> NDArray[Any]:
    """Return a data set with its references and records as plain Python values."""
    if h5py.check_ref_dtype(dataset.dtype) is not None:
        check(dataset)
        return _paths(dataset, dataset[()])
    if dataset.dtype.names:
        check(dataset)
        records = dataset[()]
        fields = []
        for name in dataset.dtype.names:
            kind = dataset.dtype[name]
            field = records[name]
            if h5py.check_ref_dtype(kind) is not None:
                field = _paths(dataset, field)
            elif h5py.check_string_dtype(kind) is not None:
                field = texts(field)
            fields.append(field.tolist())
        return _objects(list(zip(*fields, strict=True)))
    return read(dataset)


def _paths(dataset: h5py.Dataset, references: NDArray[Any]) -> NDArray[np.object_]:
    """Return the path of what each reference refers to; None for those that refer to nothing."""
    flat: list[str | None] = []
    for reference in references.ravel():
        if not reference:
            flat.append(None)
            continue
        try:
            name = h5py.h5r.get_name(reference, dataset.file.id)
        except (ValueError, RuntimeError, KeyError) as error:
            raise CorruptObjectError(f"{path_of(dataset)} refers to what is not there ({error}).") from error
        flat.append(None if name is None else name.decode())
    return _objects(flat).reshape(references.shape)


def frame(
    columns: Mapping[str, NDArray[Any]], index: NDArray[np.int64] | None = None, name: str | None = None
) -> pd.DataFrame:
    """Return a frame of these columns, in which objects stay objects (pandas 3 would make text of them).

    Examples
    --------
    >>> frame({"area": np.array(["VISp"], dtype=object)}, np.array([7]), "id").dtypes["area"]
    dtype('O')
    """
    rows = None if index is None else pd.Index(index, name=name)
    made = {
        key: pd.Series(values, index=rows, dtype=values.dtype, name=key) if values.dtype == object else values
        for key, values in columns.items()
    }
    return pd.DataFrame(
        made, index=rows, columns=pd.Index(list(columns), dtype=object) if not columns else None
    )


def read_table(group: h5py.Group, *, skip: Collection[str] = ()) -> pd.DataFrame:
    """Return a table as a frame, its index called ``id``.

    Parameters
    ----------
    group : h5py.Group
        The table.
    skip : collection of str
        Columns that are not to be read.

    Raises
    ------
    MissingDataError
        It is not a table.
    CorruptObjectError
        Its columns are not of one length.
    """
    names = [name for name in column_names(group) if name not in skip]
    columns = {name: read_column(group, name) for name in names}
    ids = read_ids(group)
    uneven = {name: len(values) for name, values in columns.items() if len(values) != len(ids)}
    if uneven:
        raise CorruptObjectError(
            f"{path_of(group)} has {len(ids)} ids, but {uneven} values. The file is damaged."
        )
    return frame(columns, ids, "id")
