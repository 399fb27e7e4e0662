"""Reading a data set whole or in part: sizes checked before memory is taken, strings as ``str``."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, NWBError, ProjectCacheError

__all__ = ["as_text", "check", "offset_of", "path_of", "read", "read_text", "texts"]

#: up to here, a shape is believed without looking
_SMALL = 1 << 26
#: … and beyond it, no filter makes more of a byte on disk than this
_RATIO = 4096


def path_of(node: h5py.Dataset | h5py.Group) -> str:
    """Return where a node is, for messages: ``session_1.nwb:/units/id``."""
    return f"{node.file.filename}:{node.name}"


def check(dataset: h5py.Dataset) -> None:
    """Refuse a data set whose bytes are in another file, or are more than the file could hold.

    Raises
    ------
    NWBError
        Its bytes lie in another file.
    CorruptObjectError
        It claims to be larger than it can be.
    """
    if dataset.external:
        raise NWBError(
            f"The bytes of {path_of(dataset)} lie in another file ({dataset.external[0][0]!r}). "
            f"Other files are not followed: copy them into one with `h5repack`."
        )
    if dataset.is_virtual:
        others = {source.file_name for source in dataset.virtual_sources()} - {"."}
        if others:
            raise NWBError(
                f"{path_of(dataset)} is put together from other files ({', '.join(sorted(others))}). "
                f"Other files are not followed: copy them into one with `h5repack`."
            )
    if dataset.shape is None:
        return
    claimed = int(np.prod(dataset.shape, dtype=object)) * dataset.id.get_type().get_size()
    offset = dataset.id.get_offset()
    held = dataset.file.id.get_filesize()
    # in chunks, within the header, or nowhere, which reads as so many times the fill value
    packed = max(_SMALL, dataset.id.get_storage_size() * _RATIO)
    possible = packed if offset is None else held - offset
    if claimed > possible:
        raise CorruptObjectError(
            f"{path_of(dataset)} claims to be {claimed:,} bytes, and the file has {held:,}. "
            f"The file is damaged: fetch it again."
        )


def offset_of(dataset: h5py.Dataset) -> int | None:
    """Return where in the file the data set's bytes lie as they are, or None where they are in pieces or packed."""
    dtype = dataset.dtype
    if dataset.chunks is not None or dtype.hasobject or dtype.kind not in "iuf" or not dtype.isnative:
        return None
    # HDF5's floats and integers can have odd sizes and paddings, which numpy's cannot
    if dataset.id.get_type().get_size() != dtype.itemsize:
        return None
    offset: int | None = dataset.id.get_offset()
    return offset


def read(dataset: h5py.Dataset, start: int | None = None, stop: int | None = None) -> NDArray[Any]:
    """Return the rows of a data set as an array in memory, native, writable, strings as ``str`` objects."""
    try:
        check(dataset)
        if dataset.shape is None:
            return np.empty(0)
        values = np.asarray(dataset[()] if start is None and stop is None else dataset[start:stop])
        is_text = values.dtype.kind == "S" or h5py.check_string_dtype(dataset.dtype) is not None
    except ProjectCacheError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        # h5py's words for a type or a shape that no writer makes
        raise CorruptObjectError(
            f"{path_of(dataset)} cannot be read ({error}). The file is damaged."
        ) from error
    if is_text:
        return texts(values)
    if not values.dtype.isnative:
        return values.astype(values.dtype.newbyteorder("="))
    return values


def texts(values: NDArray[Any]) -> NDArray[np.object_]:
    """Return strings of any HDF5 kind as an object array of ``str``, each different one made once.

    Examples
    --------
    >>> texts(np.array([b"VISp", b"CA1", b"VISp"]))
    array(['VISp', 'CA1', 'VISp'], dtype=object)
    """
    flat = values.ravel().tolist()
    known = {value: as_text(value) for value in set(flat)}
    out = np.empty(len(flat), dtype=object)
    out[:] = [known[value] for value in flat]
    return out.reshape(values.shape)


def as_text(value: Any) -> str | None:
    """Return what an attribute or a scalar says, as ``str``; None if it is not there.

    Writers disagree: ``str``, ``bytes``, ``numpy.bytes_`` and arrays of one all mean the same.

    Examples
    --------
    >>> as_text(b"2.0b"), as_text(np.array(["2.7.0"], dtype=object)), as_text(None)
    ('2.0b', '2.7.0', None)
    """
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else None
    if value is None or isinstance(value, h5py.Empty):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def read_text(node: h5py.Dataset | h5py.Group | None) -> str | None:
    """Return the text of a scalar data set (or of an array of one), or None if it is not there."""
    if not isinstance(node, h5py.Dataset):
        return None
    check(node)
    if node.shape is None:
        return None
    return as_text(node[()])
