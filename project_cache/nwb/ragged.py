"""Ragged columns: one array a row, cut from one flat data set.

``spike_times`` of a recording is one data set of 50 million numbers and one of 2,000 ends. Here it is a
mapping from unit to array in which nothing is made before it is asked for: where the bytes lie in the
file as they are, they are mapped (copy on write: the arrays can be written to, the file cannot); where
they are packed in chunks, one unit unpacks its own chunks, and many unpack them all, once.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, MissingDataError, UnknownObjectError
from project_cache.nwb.arrays import check, offset_of, path_of, read
from project_cache.nwb.file import NWBReader
from project_cache.nwb.links import find_dataset, kind_of, need_dataset

__all__ = ["FlatRows", "Ragged", "Room", "read_bounds"]

#: packed data up to this size are read in one go at once
_AT_ONCE = 1 << 23
#: whoever has unpacked this part of a data set piece by piece is going to want the rest
_ENOUGH = 0.25

_reading_all = threading.Lock()


def _unlock() -> None:
    global _reading_all
    _reading_all = threading.Lock()


# The thread that held it does not exist in a forked child.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def read_bounds(group: h5py.Group, column: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row, and the row after the last, of each cell of a ragged column.

    Parameters
    ----------
    group : h5py.Group
        The table.
    column : str
        Its column, which has a VectorIndex ``<column>_index`` beside it.

    Returns
    -------
    starts, stops : numpy.ndarray of int64
        One of each for each row of the table, whatever unsigned width the file keeps them in.

    Raises
    ------
    CorruptObjectError
        They go backwards, or beyond the end of the data.
    """
    index = need_dataset(group, f"{column}_index")
    rows = (need_dataset(group, column).shape or (0,))[0]
    stops = read(index)
    if stops.ndim != 1 or (stops.size and stops.dtype.kind not in "iu"):
        raise CorruptObjectError(
            f"{path_of(index)} is not an index: it has {stops.dtype} of shape {stops.shape}."
        )
    # uint64 would go round at 2 ** 63, so it is compared before it is cast
    if stops.size and (stops.max() > rows or stops.min() < 0 or (stops[1:] < stops[:-1]).any()):
        raise CorruptObjectError(
            f"{path_of(index)} is not in order, or points beyond the {rows:,} rows that {column} has. "
            f"The file is damaged: fetch it again."
        )
    stops = stops.astype(np.int64)
    starts = np.zeros_like(stops)
    starts[1:] = stops[:-1]
    return starts, stops


class Room:
    """Memory for many arrays that live as long as each other, in few large blocks.

    The system gives large blocks in large pages. A thousand arrays of 200 kB, each from pages of 4 kB of its
    own, take longer to be made room for than to be read.
    """

    _BLOCK = 1 << 23

    def __init__(self) -> None:
        self._block = np.empty(0, np.uint8)
        self._used = 0

    def __reduce__(self) -> tuple[type[Room], tuple[()]]:
        return Room, ()

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array of which the contents are not set."""
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if size > self._BLOCK // 4:
            return np.empty(shape, dtype)
        with _reading_all:
            # numpy's own arrays begin at multiples of 16 at least
            at = -(-self._used // 16) * 16
            if at + size > len(self._block):
                self._block, at = np.empty(self._BLOCK, np.uint8), 0
            self._used = at + size
            block = self._block
        return block[at : at + size].view(dtype).reshape(shape)


class FlatRows:
    """The rows of one data set of numbers, got in slices, in the cheapest way that its layout allows.

    Mapped, where the bytes lie in the file as numpy wants them in memory; read in place, where they begin
    at an address that compiled code does not take (HDF5 puts data sets at any byte); unpacked, where they
    are in chunks: some slices one by one, more than some all at once.

    Parameters
    ----------
    reader : NWBReader
        The file.
    path : str
        The data set in it.
    """

    def __init__(self, reader: NWBReader, path: str) -> None:
        self._reader = reader
        self._path = path
        with reader.open() as handle:
            dataset = need_dataset(handle, path)
            check(dataset)
            self.shape: tuple[int, ...] = dataset.shape or (0,)
            self.dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")
            self._offset = offset_of(dataset)
            self._chunk_rows: int | None = dataset.chunks[0] if dataset.chunks else None
        self._row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        self._all: NDArray[Any] | None = None
        self._unpacked = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_all": None, "_unpacked": 0}

    @property
    def nbytes(self) -> int:
        """How many bytes all rows take."""
        return int(self.shape[0] * self._row_bytes)

    def slice(self, start: int, stop: int, room: Room | None = None) -> NDArray[Any]:
        """Return rows ``start`` to ``stop``: writable, good after the file is closed, in ``room`` if given."""
        if start >= stop:
            return np.empty((0, *self.shape[1:]), self.dtype)
        if self._all is not None:
            return self._all[start:stop]
        if self._offset is not None:
            # Windows would not let a mapped file be replaced or removed.
            if self._reader.local and self._offset % self.dtype.alignment == 0 and os.name != "nt":
                with _reading_all:
                    self._all = self._mapped() if self._all is None else self._all
                return self.slice(start, stop) if self._all is not None else self._in_place(start, stop, room)
            return self._in_place(start, stop, room)
        if self._wants_all(start, stop):
            self.gather()
            return self.slice(start, stop)
        with self._reader.open() as handle:
            return self._reader.rows(need_dataset(handle, self._path), start, stop)

    def _wants_all(self, start: int, stop: int) -> bool:
        """Whether to unpack the whole now: it is small, or most likely soon unpacked anyhow."""
        chunk = self._chunk_rows or 1
        self._unpacked += (-(-stop // chunk) - start // chunk) * chunk
        return self.nbytes <= _AT_ONCE or self._unpacked > _ENOUGH * self.shape[0]

    def gather(self) -> None:
        """Unpack all rows, if they are packed, or fetch them, if they are elsewhere: they are about to be asked for."""
        if (self._offset is not None and self._reader.local) or not self.nbytes:
            return
        with _reading_all:
            if self._all is None:
                if self._offset is not None:
                    self._all = self._in_place(0, self.shape[0], None)
                    return
                with self._reader.open() as handle:
                    self._all = self._reader.rows(need_dataset(handle, self._path), 0, self.shape[0])

    def _in_place(self, start: int, stop: int, room: Room | None) -> NDArray[Any]:
        """Return rows read from where they lie in the file, past HDF5."""
        shape = (stop - start, *self.shape[1:])
        rows = np.empty(shape, self.dtype) if room is None else room.array(shape, self.dtype)
        into = rows.reshape(-1).view(np.uint8).data
        self._reader.read_into((self._offset or 0) + start * self._row_bytes, into)
        return rows

    def _mapped(self) -> NDArray[Any] | None:
        """Return the rows mapped where they lie, or None on a file system that cannot."""
        self._reader.require_open()
        offset = self._offset or 0
        before = offset % mmap.ALLOCATIONGRANULARITY
        with contextlib.suppress(OSError, ValueError), self._reader.path.open("rb") as file:
            memory = mmap.mmap(
                file.fileno(), self.nbytes + before, access=mmap.ACCESS_COPY, offset=offset - before
            )
            return np.ndarray(self.shape, self.dtype, buffer=memory, offset=before)
        return None


class Ragged(Mapping[int, NDArray[Any]]):
    """A ragged column by id: ``spike_times[unit_id]`` is that unit's array, made when it is asked for.

    Parameters
    ----------
    reader : NWBReader
        The file.
    table, column : str
        The table in it (``/units``) and its ragged column (``spike_times``).
    ids : numpy.ndarray of int
        The ids of the rows to offer, in the order to offer them.
    rows : numpy.ndarray of int
        The row of the table of each.
    narrow : callable, optional
        Gives the ids that are offered after all. It is called when they are first listed or counted: to
        get one array by its id, what it takes to find out is not paid for.

    Notes
    -----
    Arrays are views of a copy-on-write mapping where the file allows it: writing to one changes it for
    as long as this object lives, as with a ``dict`` of arrays, and never the file.
    """

    def __init__(
        self,
        reader: NWBReader,
        table: str,
        column: str,
        ids: NDArray[np.int64],
        rows: NDArray[np.intp],
        narrow: Callable[[], NDArray[np.int64]] | None = None,
    ) -> None:
        with reader.open() as handle:
            group = need_dataset(handle, f"{table}/{column}").parent
            starts, stops = read_bounds(group, column)
            if not len(ids) == len(rows) or (len(rows) and rows.max() >= len(stops)):
                raise CorruptObjectError(
                    f"{path_of(group)} has {len(stops)} rows of {column}, and {len(ids)} ids."
                )
        self.column = column
        self._flat = FlatRows(reader, f"{table}/{column}")
        self._where = dict(
            zip(ids.tolist(), zip(starts[rows].tolist(), stops[rows].tolist(), strict=True), strict=True)
        )
        self._narrow = narrow
        self._made: dict[int, NDArray[Any]] = {}
        self._room = Room()

    def __getstate__(self) -> dict[str, Any]:
        self._keys()
        return self.__dict__ | {"_made": {}}

    def __getitem__(self, key: int) -> NDArray[Any]:
        made = self._made.get(key)
        return self._made.setdefault(int(key), self.cut(key, room=self._room)) if made is None else made

    def cut(self, key: int, room: Room | None = None) -> NDArray[Any]:
        """Return the array of an id without keeping it: for who is to make something else of it."""
        try:
            start, stop = self._where[key]
        except KeyError:
            raise UnknownObjectError(
                f"There is no {self.column} of {key}: no such id, or the filters leave it out."
            ) from None
        return self._flat.slice(start, stop, room)

    def _keys(self) -> dict[int, tuple[int, int]]:
        if self._narrow is not None:
            stay = set(self._narrow().tolist())
            self._where = {key: bounds for key, bounds in self._where.items() if key in stay}
            self._narrow = None
        return self._where

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def __contains__(self, key: object) -> bool:
        return key in self._keys()

    def gather(self) -> None:
        """Unpack all arrays at once, if they are packed: they are about to be asked for."""
        self._flat.gather()

    def items(self) -> ItemsView[int, NDArray[Any]]:
        """Return the pairs of id and array. Packed data are unpacked once for all of them."""
        self.gather()
        return super().items()

    def values(self) -> ValuesView[NDArray[Any]]:
        """Return the arrays. Packed data are unpacked once for all of them."""
        self.gather()
        return super().values()

    def __repr__(self) -> str:
        count = "" if self._narrow is not None else f"{len(self._where)} "
        return f"<{self.column} by id: {count}arrays of {self._flat.dtype}, each made when it is asked for>"


def is_ragged(group: h5py.Group, column: str) -> bool:
    """Whether a column has a VectorIndex beside it."""
    index = find_dataset(group, f"{column}_index")
    # "image_index" beside "image" may be a column in its own right
    return index is not None and kind_of(index) == "VectorIndex"


def need_ragged(group: h5py.Group, column: str) -> None:
    """Say so, if the recording has no such ragged column."""
    if find_dataset(group, column) is None or find_dataset(group, f"{column}_index") is None:
        raise MissingDataError(f"This recording has no {column} ({path_of(group)}).")
