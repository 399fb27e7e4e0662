"""Writing NWB files whose series are larger than memory: in blocks, and compressed on all cores.

The raw traces of one probe for two hours are 166 GB. HDF5 compresses on one core: here chunks are compressed
beside one another, and handed to it ready made.
"""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from project_cache.build.contiguous import Room, fill_rooms, room_for_series
from project_cache.build.lazy_array import LazyArray, lazy
from project_cache.errors import BuildError

if TYPE_CHECKING:
    import pynwb

__all__ = ["Compression", "Written", "fill", "write"]

Compression = Literal["gzip"] | None


def _large(file: pynwb.NWBFile) -> list[tuple[Any, LazyArray]]:
    """Return the series of a file whose data are too large to be held, with their data."""
    from pynwb import TimeSeries

    found = []
    for each in file.all_children():
        data = each.fields.get("data") if isinstance(each, TimeSeries) else None
        if isinstance(data, LazyArray) or (isinstance(data, np.memmap) and data.ndim == 2):
            found.append((each, data if isinstance(data, LazyArray) else lazy(data)))
    return found


def _storage(data: LazyArray, compression: Compression) -> dict[str, Any]:
    """Return how HDF5 is to store an array."""
    if compression is None:
        # nothing is filtered, so nothing needs chunks: one piece, as fast as the disk
        return {}
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
    in by :func:`fill` or, where nothing is compressed, beside HDF5.

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
        written: list[Written] = []
        rooms: list[Room] = []
        for series, data in large:
            if series.object_id not in places:
                raise BuildError(f"{path}: series {series.name!r} is not in the file that was written.")
            dataset = opened[places[series.object_id]]
            place = room_for_series(dataset, data) if compression is None else None
            if place is not None:
                rooms.append(place)
            else:
                written.append(fill(dataset, data, threads=threads))
    if rooms:
        taken = fill_rooms(path, rooms)
        written += [Written(r.name, r.data.nbytes, r.data.nbytes, taken[r.name]) for r in rooms]
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


class _Planes(threading.local):
    """A buffer for each thread: to make one anew for each chunk takes longer than to fill it."""

    buffer = np.empty(0, dtype=np.uint8)

    def of(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return a buffer of this shape, with whatever was left in it."""
        if self.buffer.shape != shape:
            self.buffer = np.zeros(shape, dtype=np.uint8)
        return self.buffer


_planes = _Planes()


def _compressed(part: NDArray[Any], chunk: tuple[int, ...]) -> bytes:
    """Return a chunk as HDF5's shuffle and deflate make it; what is beyond the array's end is 0."""
    if not part.flags.c_contiguous and part.strides[-1] != part.itemsize:
        part = np.ascontiguousarray(part)
    width = part.dtype.itemsize
    planes = _planes.of((width, *chunk))
    if part.shape != chunk:
        planes[...] = 0
    inner: Any = tuple(slice(n) for n in part.shape)
    octets = part.view(np.uint8).reshape(*part.shape, width)
    for plane in range(width):
        planes[plane][inner] = octets[..., plane]
    squeeze = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return squeeze.compress(planes.data) + squeeze.flush()
