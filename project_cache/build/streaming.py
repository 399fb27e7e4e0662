"""Arrays that are too large for memory: read in blocks when asked for, and written in blocks, on all cores.

The raw traces of one probe for two hours are 166 GB. They are described by a :class:`LazyArray`, which pynwb
takes for data; :func:`write` writes a file of such series in bounded memory. HDF5 compresses on one core: here
chunks are compressed beside one another and handed to it ready made.
"""

from __future__ import annotations

import os
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np
from hdmf.data_utils import AbstractDataChunkIterator, DataChunk
from numpy.typing import DTypeLike, NDArray

from project_cache.errors import BuildError

if TYPE_CHECKING:
    import pynwb

__all__ = ["Compression", "LazyArray", "Written", "fill", "lazy", "streamed", "write"]

Compression = Literal["gzip"] | None

#: a chunk: 16,384 samples (half a second of the AP band) of 64 channels, 2 MB
CHUNK_ROWS = 16384
CHUNK_COLUMNS = 64
#: what is read and written at once where nothing is compressed, in bytes
BLOCK = 32 << 20
#: series of more than this many bytes are written by this module, smaller ones by pynwb
LARGE = 64 << 20


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
    ) -> None:
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
        return np.ascontiguousarray(data[start:stop, taken])

    rows = BLOCK // max(n_channels * data.dtype.itemsize, 1)
    block = max(rows // CHUNK_ROWS, 1) * CHUNK_ROWS
    return LazyArray((n_samples, len(chosen)), data.dtype, read, block=block)


def _large(file: pynwb.NWBFile) -> list[tuple[Any, LazyArray]]:
    """Return the series of a file whose data are too large to be held, with their data."""
    from pynwb import TimeSeries

    found = []
    for each in file.all_children():
        data = each.fields.get("data") if isinstance(each, TimeSeries) else None
        if isinstance(data, LazyArray) or (isinstance(data, np.memmap) and data.ndim == 2):
            found.append((each, data if isinstance(data, LazyArray) else lazy(data)))
    return found


def streamed(file: pynwb.NWBFile, compression: Compression = "gzip") -> pynwb.NWBFile:
    """Return the file, its large series set to be written by pynwb in chunks, block by block.

    Parameters
    ----------
    file : pynwb.NWBFile
        Is changed: the data of these series are wrapped.
    compression : {'gzip', None}
        How chunks are compressed.
    """
    from pynwb import H5DataIO

    for series, data in _large(file):
        series.fields["data"] = H5DataIO(data, **_storage(data, compression))
    return file


def _storage(data: LazyArray, compression: Compression) -> dict[str, Any]:
    """Return how HDF5 is to store an array."""
    if compression is None:
        return {"chunks": data.recommended_chunk_shape()}
    return {
        "chunks": data.recommended_chunk_shape(),
        "compression": "gzip",
        "compression_opts": 1,
        # high bytes of small numbers are all alike: together they nearly vanish
        "shuffle": True,
    }


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of one series.

    Attributes
    ----------
    name : str
        The data set in the file.
    nbytes, stored : int
        The bytes of its values, and what they take in the file.
    seconds : float
        How long it took.
    """

    name: str
    nbytes: int
    stored: int
    seconds: float

    @property
    def rate(self) -> float:
        """Megabytes of values a second."""
        return self.nbytes / 1e6 / max(self.seconds, 1e-9)


def write(
    file: pynwb.NWBFile, path: Path, compression: Compression = "gzip", threads: int | None = None
) -> list[Written]:
    """Write an NWB file, and return what its large series took.

    pynwb writes everything but the values of the large series, for which it leaves room; these are then filled
    in by :func:`fill`.

    Parameters
    ----------
    file : pynwb.NWBFile
        Is changed: its large series no longer hold their data.
    path : pathlib.Path
        Where; what is there is replaced.
    compression : {'gzip', None}
        How the chunks of large series are compressed: deflate, preceded by shuffle, which all of HDF5 reads.
    threads : int, optional
        How many chunks are compressed at once; as many as there are cores.

    Raises
    ------
    BuildError
        A series was not written where it was expected.
    """
    from pynwb import NWBHDF5IO, H5DataIO

    large = _large(file)
    for series, data in large:
        room = _storage(data, compression)
        if compression is None:
            # nothing is filtered, so nothing needs chunks: one piece, as fast as the disk
            room.pop("chunks")
        series.fields["data"] = H5DataIO(shape=data.shape, dtype=data.dtype, **room)
    with NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    if not large:
        return []
    with h5py.File(path, "r+") as opened:
        places: dict[str, str] = {}

        def note(name: str, member: Any) -> None:
            if isinstance(member, h5py.Group) and "object_id" in member.attrs and "data" in member:
                places[str(member.attrs["object_id"])] = f"{name}/data"

        opened.visititems(note)
        written = []
        for series, data in large:
            if series.object_id not in places:
                raise BuildError(f"{path}: series {series.name!r} is not in the file that was written.")
            written.append(fill(opened[places[series.object_id]], data, threads=threads))
    return written


def fill(dataset: h5py.Dataset, data: LazyArray, threads: int | None = None) -> Written:
    """Write an array into a data set that has its shape, and return what that took.

    Parameters
    ----------
    dataset : h5py.Dataset
        Chunked and compressed with shuffle and deflate, or not compressed.
    data : LazyArray
        Read once, from front to back.
    threads : int, optional
        How many chunks are compressed at once; as many as there are cores.

    Notes
    -----
    Noise does not repeat, so looking for what repeats is time lost: runs alone are looked for (``Z_RLE``), which
    is several times as fast as the usual deflate, and any reader reads it.
    """
    began = time.perf_counter()
    if dataset.chunks is None or dataset.compression != "gzip" or not dataset.shuffle:
        for start, block in data.blocks():
            dataset[start : start + len(block)] = block
    else:
        _fill_compressed(dataset, data, threads or os.cpu_count() or 1)
    dataset.file.flush()
    stored = dataset.id.get_storage_size()
    return Written(str(dataset.name), data.nbytes, stored, time.perf_counter() - began)


def _fill_compressed(dataset: h5py.Dataset, data: LazyArray, threads: int) -> None:
    """Write the chunks of a data set, compressed beside one another, in their order."""
    chunk = dataset.chunks
    rows = max(data.block // chunk[0], 1) * chunk[0]
    waiting: deque[tuple[tuple[int, ...], Future[bytes]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for start, block in data.blocks(rows):
            for offset in np.ndindex(*(-(-n // c) for n, c in zip(block.shape, chunk, strict=True))):
                first = tuple(n * c for n, c in zip(offset, chunk, strict=True))
                part = block[tuple(slice(f, f + c) for f, c in zip(first, chunk, strict=True))]
                waiting.append(((start + first[0], *first[1:]), pool.submit(_compressed, part, chunk)))
            # what is under way stays below two blocks
            while len(waiting) > 2 * threads:
                at, done = waiting.popleft()
                dataset.id.write_direct_chunk(at, done.result())
        for at, done in waiting:
            dataset.id.write_direct_chunk(at, done.result())


def _compressed(part: NDArray[Any], chunk: tuple[int, ...]) -> bytes:
    """Return a chunk as HDF5's shuffle and deflate make it; what is beyond the array's end is 0."""
    if part.shape != chunk:
        whole = np.zeros(chunk, dtype=part.dtype)
        whole[tuple(slice(n) for n in part.shape)] = part
        part = whole
    width = part.dtype.itemsize
    planes = np.ascontiguousarray(part).view(np.uint8).reshape(-1, width).T
    squeeze = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return squeeze.compress(planes.tobytes()) + squeeze.flush()
