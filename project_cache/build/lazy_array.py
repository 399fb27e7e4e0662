"""Arrays that are too large for memory: read, or computed, in blocks when they are sliced."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hdmf.data_utils import AbstractDataChunkIterator, DataChunk
from numpy.typing import DTypeLike, NDArray

__all__ = ["CHUNK_ROWS", "LazyArray", "chunk_shape", "lazy", "let_go"]

#: a chunk: 16,384 samples (half a second of the AP band) of 64 channels, 2 MB
CHUNK_ROWS = 16384
CHUNK_COLUMNS = 64
#: what is read at once, in bytes
BLOCK = 32 << 20


class LazyArray(AbstractDataChunkIterator):  # type: ignore[misc]
    """An array that is read, or computed, when it is sliced, along its first axis.

    pynwb takes it for the data of a series or a column, and writes it block by block. Unlike other iterators
    of hdmf it can be sliced, and be gone through more than once.

    Parameters
    ----------
    shape : sequence of int
        Of the whole array; the first axis is time, or units.
    dtype : dtype-like
        Of what `read` returns.
    read : callable
        ``read(start, stop)`` returns these rows, in memory.
    block : int
        Rows that are read at once when it is gone through.
    chunk : tuple of int, optional
        The shape of the chunks that it should be stored in.
    file : tuple of (path, int), optional
        The file in which all values lie as they are in memory, one after another, and the byte of the first.

    Examples
    --------
    >>> squares = LazyArray((10,), "int64", lambda start, stop: np.arange(start, stop) ** 2, block=4)
    >>> squares[3], squares[-1], squares[2:5].tolist(), len(squares)
    (np.int64(9), np.int64(81), [4, 9, 16], 10)
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: DTypeLike,
        read: Callable[[int, int], NDArray[Any]],
        *,
        block: int,
        chunk: tuple[int, ...] | None = None,
        file: tuple[Path, int] | None = None,
    ) -> None:
        self.file = file
        self.shape = tuple(int(n) for n in shape)
        self._dtype = np.dtype(dtype)
        self._read = read
        self.block = max(int(block), 1)
        self._chunk = chunk or chunk_shape(self.shape)
        self._at = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self._dtype

    @property
    def maxshape(self) -> tuple[int, ...]:
        """The shape, by the name that hdmf asks for."""
        return self.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all values."""
        return int(np.prod(self.shape, dtype=np.int64)) * self._dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self._dtype})"

    def __getitem__(self, key: Any) -> Any:
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if rows is Ellipsis:
            rows, rest = slice(None), (Ellipsis, *rest)
        if isinstance(rows, slice):
            wanted = range(*rows.indices(len(self)))
            found = self._slice(wanted)
            return found[(slice(None), *rest)] if rest else found
        if np.ndim(rows) == 0 and not isinstance(rows, np.bool_ | bool):
            row = int(rows) + len(self) * (int(rows) < 0)
            if not 0 <= row < len(self):
                raise IndexError(f"row {rows} of {len(self)}")
            return self._read(row, row + 1)[0][rest] if rest else self._read(row, row + 1)[0]
        picked = np.asarray(rows)
        picked = (
            np.flatnonzero(picked)
            if picked.dtype == bool
            else np.where(picked < 0, picked + len(self), picked)
        )
        found = np.empty((len(picked), *self.shape[1:]), dtype=self._dtype)
        for n, row in enumerate(picked.tolist()):
            found[n] = self[row]
        return found[(slice(None), *rest)] if rest else found

    def _slice(self, wanted: range) -> NDArray[Any]:
        """Return the rows of a range, read block by block."""
        found = np.empty((len(wanted), *self.shape[1:]), dtype=self._dtype)
        if not len(wanted):
            return found
        first, last = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
        step = abs(wanted.step)
        at = 0
        for start in range(first, last + 1, self.block):
            stop = min(start + self.block, last + 1)
            taken = self._read(start, stop)[(first - start) % step :: step]
            found[at : at + len(taken)] = taken
            at += len(taken)
        return found if wanted.step > 0 else found[::-1]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        whole: NDArray[Any] = self[:]
        return whole if dtype is None else whole.astype(dtype)

    def blocks(self, rows: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield where each block begins, and the block.

        Parameters
        ----------
        rows : int, optional
            Rows of a block.
        """
        step = rows or self.block
        for start in range(0, len(self), step):
            yield start, self._read(start, min(start + step, len(self)))

    def __iter__(self) -> LazyArray:
        self._at = 0
        return self

    def __next__(self) -> Any:
        if self._at >= len(self):
            self._at = 0
            raise StopIteration
        start, self._at = self._at, min(self._at + self.block, len(self))
        selection = (slice(start, self._at), *(slice(0, n) for n in self.shape[1:]))
        return DataChunk(self._read(start, self._at), selection)

    def recommended_chunk_shape(self) -> tuple[int, ...]:
        """Return the shape of the chunks that it should be stored in."""
        return self._chunk

    def recommended_data_shape(self) -> tuple[int, ...]:
        """Return the shape of the array."""
        return self.shape


def chunk_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the chunks for traces of this shape: half a second of the AP band, 64 channels.

    Examples
    --------
    >>> chunk_shape((216_000_000, 384)), chunk_shape((100, 96))
    ((16384, 64), (100, 64))
    """
    inner = (min(CHUNK_COLUMNS, max(n, 1)) for n in shape[1:])
    return (min(CHUNK_ROWS, max(shape[0], 1)), *inner)


def let_go(data: Any) -> None:
    """Count the pages of a memory map that have been read as the process's own no longer.

    They stay in the system's memory as long as it has room. Of a map that is gone through, all pages would count
    until then. Other arrays are left alone.
    """
    pages = getattr(data, "base", None)
    if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def lazy(data: Any, columns: slice | None = None) -> LazyArray:
    """Return a memory map, or a zarr array, as a :class:`LazyArray`.

    Parameters
    ----------
    data : array-like, shape (samples, channels)
        Read only where it is sliced.
    columns : slice, optional
        Only these channels.
    """
    n_samples, n_channels = data.shape
    chosen = range(*(columns or slice(None)).indices(n_channels))
    taken = slice(chosen.start, chosen.stop, chosen.step)

    def read(start: int, stop: int) -> NDArray[Any]:
        let_go(data)
        # of a memory map this is no copy: its pages are read where they are needed
        return np.asarray(data[start:stop, taken])

    rows = BLOCK // max(n_channels * data.dtype.itemsize, 1)
    block = max(rows // CHUNK_ROWS, 1) * CHUNK_ROWS
    whole = isinstance(data, np.memmap) and data.flags.c_contiguous and len(chosen) == n_channels
    # a part of a map knows its parent's offset only
    whole = whole and not isinstance(data.base, np.ndarray) and data.filename is not None
    file = (Path(data.filename), int(data.offset)) if whole else None
    return LazyArray((n_samples, len(chosen)), data.dtype, read, block=block, file=file)
