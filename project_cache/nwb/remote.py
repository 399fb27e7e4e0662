"""An NWB file that is read where it lies, on a server, without being downloaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from project_cache.errors import CorruptObjectError
from project_cache.nwb.file import NWBReader, _version, reading
from project_cache.transfer.address import redacted
from project_cache.transfer.remote import RemoteBytes, RemoteFile

if TYPE_CHECKING:
    from project_cache.nwb.skeleton import Skeleton

__all__ = ["Address", "RemoteNWBReader"]


class Address(str):
    """Where a remote file is, with the parts of a path that messages and displays ask for."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The file's name."""
        return self.partition("?")[0].rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return self.name.rpartition(".")[0] or self.name

    def is_dir(self) -> bool:
        """Return False: it is an object on a server."""
        return False


class RemoteNWBReader(NWBReader):
    """An NWB 2 file on a server, of which only what is asked for is fetched.

    Parameters
    ----------
    remote : RemoteBytes
        Its bytes.
    skeleton : Skeleton, optional
        What the file says of itself; then nothing but data is fetched.
    """

    __slots__ = ("remote", "skeleton")

    def __init__(self, remote: RemoteBytes, skeleton: Skeleton | None = None) -> None:
        self.remote = remote
        self.skeleton = skeleton
        self.path = Address(redacted(remote.url))  # type: ignore[assignment]
        self._closed = False
        if skeleton is None:
            remote.begin()
        else:
            remote.readahead = False
            remote.size = skeleton.size
        with self.open() as handle:
            self.version = _version(handle, self.path)

    @property
    def local(self) -> bool:
        """False: the bytes are on another machine."""
        return False

    def _read_at(self, start: int, stop: int) -> bytes:
        if self.skeleton is not None:
            found = self.skeleton.get(start, stop)
            if found is not None:
                return found
        return self.remote.read_at(start, stop)

    def handle(self) -> h5py.File:
        """Return the file, opened to read."""
        return h5py.File(RemoteFile(self._read_at, self.remote.size), "r")

    @contextlib.contextmanager
    def open(self) -> Iterator[h5py.File]:
        """Yield the open file; it is closed when the block ends."""
        self.require_open()
        with reading(self.path), self.handle() as handle:
            yield handle

    def read_into(self, offset: int, into: memoryview) -> None:
        """Fill memory with the bytes from an offset on."""
        self.require_open()
        data = self._read_at(offset, offset + len(into))
        if len(data) != len(into):
            raise CorruptObjectError(f"{self.path} ended while it was read.")
        into[:] = data

    def prefetch(self, dataset: h5py.Dataset, start: int, stop: int) -> None:
        """Fetch what rows of a data set are made of, side by side, before HDF5 asks for one piece after the other."""
        self.remote.fetch(_places(dataset, start, stop))


def _places(dataset: h5py.Dataset, start: int, stop: int) -> list[tuple[int, int]]:
    """Return where in the file the bytes of rows are."""
    shape, chunks = dataset.shape or (), dataset.chunks
    if not shape or stop <= start or dataset.dtype.hasobject:
        return []
    row = dataset.dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
    if chunks is None:
        offset = dataset.id.get_offset()
        return [] if offset is None else [(offset + start * row, offset + stop * row)]
    counts = [-(-length // chunk) for length, chunk in zip(shape[1:], chunks[1:], strict=True)]
    found = []
    plain = dataset.id.get_create_plist().get_nfilters() == 0 and len(shape) == 1
    for first in range(start // chunks[0], -(-stop // chunks[0])):
        for rest in np.ndindex(*counts):
            coordinates = (first * chunks[0], *(n * c for n, c in zip(rest, chunks[1:], strict=True)))
            info: Any = dataset.id.get_chunk_info_by_coord(coordinates)
            if info.byte_offset is None:
                continue
            at, end = info.byte_offset, info.byte_offset + info.size
            if plain:  # not packed: the rows lie in the chunk as they are
                begin = first * chunks[0]
                end = at + (min(stop, begin + chunks[0]) - begin) * row
                at += max(0, start - begin) * row
            found.append((at, end))
    return found
