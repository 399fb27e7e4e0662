"""The skeleton of an HDF5 file: the bytes that say what is in it and where, kept apart from the data.

To open a file over a network, HDF5 reads hundreds of small pieces from all over it. A skeleton is these pieces in one
small file, made once by walking through the whole: groups, attributes, types, the place of each chunk, and small data
sets. With it a remote file opens without a single request, and what is read then is data, and nothing else.
"""

from __future__ import annotations

import bisect
import contextlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py

from project_cache.errors import ContentError

__all__ = ["Skeleton", "skeleton_of"]

MAGIC = b"project_cache skeleton 1\n"
#: places are kept with what surrounds them: HDF5 reads ahead a little, and not always the same
GRAIN = 512
#: a data set that takes no more than this belongs to the skeleton
SMALL = 256 << 10
#: … and one that others are read by
SMALL_INDEX = 4 << 20
#: a skeleton is not larger than this once unpacked, whatever its head claims
LARGEST = 1 << 30

Range = tuple[int, int]


class Skeleton:
    """Pieces of a file, by where they were in it.

    Parameters
    ----------
    size : int
        Bytes of the whole file.
    ranges : list of (int, int)
        Where each piece begins and ends, in order, not overlapping.
    data : bytes
        The pieces, one after the other.
    """

    def __init__(self, size: int, ranges: list[Range], data: bytes) -> None:
        self.size = size
        self._ranges = ranges
        self._starts = [start for start, _ in ranges]
        self._places = [0]
        for start, stop in ranges:
            self._places.append(self._places[-1] + stop - start)
        self._data = memoryview(data)

    @property
    def nbytes(self) -> int:
        """How many bytes of the file it holds."""
        return len(self._data)

    def get(self, start: int, stop: int) -> bytes | None:
        """Return a range of the file if all of it is here, else None."""
        n = bisect.bisect_right(self._starts, start) - 1
        if n < 0 or stop > self._ranges[n][1]:
            return None
        at = self._places[n] + start - self._ranges[n][0]
        return bytes(self._data[at : at + stop - start])

    def to_bytes(self) -> bytes:
        """Return it as a file's contents."""
        head = json.dumps({"size": self.size, "ranges": self._ranges}).encode()
        packed = zlib.compress(len(head).to_bytes(8, "little") + head + bytes(self._data), 6)
        return MAGIC + packed

    @classmethod
    def from_bytes(cls, contents: bytes, origin: str = "the skeleton") -> Skeleton:
        """Return what :meth:`to_bytes` wrote.

        Raises
        ------
        ContentError
            It is not a skeleton, or a damaged one.
        """
        if not contents.startswith(MAGIC):
            raise ContentError(f"{origin} is not the skeleton of a file.")
        try:
            unpacker = zlib.decompressobj()
            body = unpacker.decompress(contents[len(MAGIC) :], LARGEST)
            if unpacker.unconsumed_tail or not unpacker.eof:
                raise ValueError("it is cut short, or larger than any skeleton")
            length = int.from_bytes(body[:8], "little")
            about = json.loads(body[8 : 8 + length])
            size, data = int(about["size"]), body[8 + length :]
            ranges = [(int(start), int(stop)) for start, stop in about["ranges"]]
            ends = [0, *(stop for _, stop in ranges)]
            ordered = all(end <= start < stop for end, (start, stop) in zip(ends, ranges, strict=False))
            if not ordered or ends[-1] > size or sum(b - a for a, b in ranges) != len(data):
                raise ValueError("its parts do not fit together")
        except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ContentError(f"{origin} is damaged ({error}). Delete it; it is made anew.") from error
        return cls(size, ranges, data)


class _Recorder(io.RawIOBase):
    """A file that notes what is read of it."""

    def __init__(self, read_at: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._read_at, self._size, self._at = read_at, size, 0
        self.ranges: list[Range] = []
        self.noting = True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, {0: 0, 1: self._at, 2: self._size}[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read_at(self._at, min(self._at + len(view), self._size))
        view[: len(data)] = data
        if self.noting:
            self.ranges.append((self._at, self._at + len(data)))
        self._at += len(data)
        return len(data)


def skeleton_of(path: Path) -> Skeleton:
    """Return the skeleton of a local HDF5 file."""
    size = path.stat().st_size
    with path.open("rb", buffering=0) as file:

        def read_at(start: int, stop: int) -> bytes:
            file.seek(start)
            return file.read(stop - start)

        recorder = _Recorder(read_at, size)
        with h5py.File(recorder, "r") as handle:
            _walk(handle)
        ranges = _grained(recorder.ranges, size)
        data = b"".join(read_at(*each) for each in ranges)
    return Skeleton(size, ranges, data)


def _grained(ranges: list[Range], size: int) -> list[Range]:
    """Return ranges widened to whole grains and joined."""
    joined: list[list[int]] = []
    wide = ((start // GRAIN * GRAIN, min(-(-stop // GRAIN) * GRAIN, size)) for start, stop in ranges)
    for start, stop in sorted(wide):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stop)
        else:
            joined.append([start, stop])
    return [(start, stop) for start, stop in joined]


def _walk(handle: h5py.File) -> None:
    """Touch all that says what is where."""

    def look(name: str, node: h5py.Group | h5py.Dataset) -> None:
        for attribute in node.attrs:
            # an attribute of a type that h5py cannot make sense of is nothing that anyone reads
            with contextlib.suppress(OSError, TypeError, ValueError):
                node.attrs[attribute]
        if isinstance(node, h5py.Dataset):
            _look_at(node, name)

    with contextlib.suppress(OSError, TypeError, ValueError):
        dict(handle.attrs)
    handle.visititems(look)
    # soft links are not visited, and are looked up by their names
    _links(handle, 0)


def _links(group: h5py.Group, depth: int) -> None:
    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.HardLink) and depth < 32 and group.get(name, getclass=True) is h5py.Group:
            _links(group[name], depth + 1)


def _look_at(dataset: h5py.Dataset, name: str) -> None:
    if dataset.external or dataset.is_virtual or dataset.shape is None:
        return
    if dataset.chunks is not None and hasattr(dataset.id, "get_num_chunks"):
        for n in _some(dataset.id.get_num_chunks()):
            dataset.id.get_chunk_info(n)
    stored = dataset.id.get_storage_size()
    is_text = dataset.dtype.hasobject
    limit = SMALL_INDEX if name.endswith("_index") or name.endswith("/id") or is_text else SMALL
    if stored <= limit:
        with contextlib.suppress(OSError, TypeError, ValueError):
            dataset[()]


def _some(count: int) -> Iterator[int]:
    """Yield numbers of chunks such that the whole index of them is gone through."""
    # asking for one chunk's place walks the index up to it: the last is asked for, and a few on the way
    if count:
        yield from sorted({0, count - 1, *range(0, count, 64)})
