"""An NWB file that is read where it lies, on a server, without being downloaded."""

from __future__ import annotations

import atexit
import contextlib
import math
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from project_cache.errors import NotNWBError
from project_cache.nwb.arrays import check, read
from project_cache.nwb.file import SIGNATURE, NWBReader, _version, reading
from project_cache.nwb.links import find_group, members, require_whole
from project_cache.nwb.skeleton import Skeleton, address_of
from project_cache.transfer.remote import RemoteBytes
from project_cache.transfer.remote_file import RemoteFile

__all__ = ["Location", "RemoteNWBReader"]

#: rows are fetched and unpacked in steps of so many bytes of the file
STEP = 48 << 20
#: data sets of a group up to this size are fetched together; of those that cells are cut from, up to that
SMALL, SMALL_RAGGED = 8 << 20, 256 << 10

#: a text of variable length, as HDF5 writes it down: how long it is, and which heap it is in (and where in that)
_TEXT = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])
#: the most that a heap usually takes
_HEAP = 64 << 10

Range = tuple[int, int]


@atexit.register
def _close_all() -> None:
    """Close what is still open when Python ends: HDF5 would ask Python for more when there is no Python any longer."""
    for file in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        with contextlib.suppress(Exception):
            if file.get_access_plist().get_driver() == h5py.h5fd.fileobj_driver:
                h5py.File(file).close()


class Location(str):
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

    def with_name(self, name: str) -> Location:
        """Return the place of another file beside this one."""
        return Location(f"{self.partition('?')[0].rpartition('/')[0]}/{name}")

    def is_dir(self) -> bool:
        """Return False: it is an object on a server."""
        return False

    def is_file(self) -> bool:
        """Return False: it is an object on a server."""
        return False

    def read_text(self, encoding: str = "utf-8") -> str:
        """Refuse: what lies beside an object on a server is not looked for."""
        raise FileNotFoundError(f"{self} is not on this machine.")


class RemoteNWBReader(NWBReader):
    """An NWB 2 file on a server, of which only what is asked for is fetched.

    Parameters
    ----------
    remote : RemoteBytes
        Its bytes.
    skeleton : Skeleton, optional
        What the file says of itself; then nothing but data is fetched.
    origin : tuple of (callable, arguments), optional
        What makes it anew where it is unpickled.

    Raises
    ------
    NotNWBError, CorruptObjectError
        As :class:`~project_cache.nwb.file.NWBReader`.
    MissingObjectError, TransferError
        It is not there, or its bytes did not arrive.
    """

    __slots__ = ("origin", "remote", "skeleton")

    def __init__(
        self, remote: RemoteBytes, skeleton: Skeleton | None = None, origin: tuple[Any, ...] | None = None
    ) -> None:
        self.remote = remote
        self.skeleton = skeleton
        self.origin = origin
        self.path = Location(remote.shown)  # type: ignore[assignment]
        self._closed = False
        remote.readahead = skeleton is None
        head = self._read_at(0, 4096 if skeleton is None else len(SIGNATURE))
        if not any(head[at : at + len(SIGNATURE)] == SIGNATURE for at in (0, 512, 1024, 2048)):
            raise NotNWBError(
                f"{self.path} is not an HDF5 file (it begins with {head[:8]!r}), so it is not NWB 2."
            )
        with self.open() as handle:
            self.version = _version(handle, self.path)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.origin or (type(self), (self.remote, self.skeleton))

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

    def close(self) -> None:
        """Refuse all further reads, and let go of what was kept for them. Arrays that were read stay as they are."""
        super().close()
        self.remote.forget()

    def handle(self) -> h5py.File:
        """Return the file, opened to read, which is whole in itself: the caller closes it.

        Raises
        ------
        NWBError
            Something of it lies in another file. HDF5 would look for that on this machine.
        """
        file = self._opened()
        try:
            require_whole(file)
        except BaseException:
            file.close()
            raise
        return file

    def _opened(self) -> h5py.File:
        return h5py.File(RemoteFile(self._read_at, self.remote.size, str(self.path)), "r")

    @contextlib.contextmanager
    def open(self) -> Iterator[h5py.File]:
        """Yield the open file; it is closed when the block ends."""
        self.require_open()
        with reading(self.path), self._opened() as handle:
            yield handle

    def read_into(self, offset: int, into: memoryview) -> None:
        """Fill memory with the bytes from an offset on, past HDF5."""
        self.require_open()
        self.remote.read_into(offset, into)

    def rows(self, dataset: h5py.Dataset, start: int, stop: int) -> NDArray[Any]:
        """Return rows of a data set, whose bytes are fetched side by side."""
        check(dataset)
        most = _rows_of(dataset, STEP)
        steps = [(at, min(at + most, stop)) for at in range(start // most * most, stop, most)]
        parts = []
        for first, last in steps:
            self.prefetch(dataset, max(first, start), last)
            parts.append(read(dataset, max(first, start), last))
        return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else read(dataset, start, stop)

    def known(self, dataset: h5py.Dataset) -> NDArray[Any] | None:
        """Return what a data set holds if the skeleton knows it, each number as it is in the file."""
        if self.skeleton is None or not self.skeleton.grids:
            return None
        grid = self.skeleton.grids.get(address_of(dataset))
        if grid is None or dataset.shape != (grid.count,):
            return None
        check(dataset)
        return grid.values()

    def prefetch(
        self, dataset: h5py.Dataset, start: int, stop: int, columns: tuple[int, int] | None = None
    ) -> None:
        """Fetch what rows of a data set are made of, before HDF5 asks for one piece after the other."""
        self._fetch(_places(dataset, start, stop, columns))

    def expect(self, handle: h5py.File, *paths: str) -> None:
        """Fetch all that is in some groups and is not large: it is about to be read, thing by thing."""
        found: list[h5py.Dataset] = []
        for path in paths:
            group = find_group(handle, path.removesuffix("/*"))
            within = [] if group is None else [group]
            if group is not None and path.endswith("/*"):
                within = [node for _, node in members(group) if isinstance(node, h5py.Group)]
            found += [
                node
                for each in within
                for name, node in members(each)
                if isinstance(node, h5py.Dataset)
                and 0 < node.id.get_storage_size() <= (SMALL_RAGGED if f"{name}_index" in each else SMALL)
            ]
        self._fetch([place for each in found for place in _places(each, 0, (each.shape or (0,))[0])])
        # the texts themselves are elsewhere: what was just fetched says where
        self._fetch([place for each in found for place in self._texts(each)])

    def _texts(self, dataset: h5py.Dataset) -> list[Range]:
        """Return where in the file the texts of a data set are, as far as that is easily told."""
        string = h5py.check_string_dtype(dataset.dtype)
        if string is None or string.length is not None or dataset.chunks is not None:
            return []
        places = _places(dataset, 0, (dataset.shape or (0,))[0])
        if not places or dataset.id.get_storage_size() != _TEXT.itemsize * dataset.size:
            return []
        if self.skeleton is not None and self.skeleton.get(*places[0]) is not None:
            return []  # the skeleton has them as well
        said = np.frombuffer(self._read_at(*places[0]), _TEXT)
        heaps = np.unique(said["heap"][said["length"] > 0]).astype(np.int64)
        # a heap may be shared with others: of the last, no more is taken than it has at least
        ends = np.minimum(heaps + _HEAP, np.append(heaps[1:], heaps[-1:] + 4096))
        return list(zip(heaps.tolist(), ends.tolist(), strict=True))

    def _fetch(self, ranges: list[Range]) -> None:
        if self.skeleton is not None:
            ranges = [each for each in ranges if self.skeleton.get(*each) is None]
        self.remote.fetch(ranges)


def _rows_of(dataset: h5py.Dataset, most: int) -> int:
    """Return how many rows of a data set, in whole chunks, take so many bytes of the file."""
    shape = dataset.shape or (1,)
    taken = max(1, dataset.id.get_storage_size()) / max(1, shape[0])
    rows = max(1, math.floor(most / taken))
    chunk: int = dataset.chunks[0] if dataset.chunks else 1
    return int(max(1, rows // chunk) * chunk)


def _places(
    dataset: h5py.Dataset, start: int, stop: int, columns: tuple[int, int] | None = None
) -> list[Range]:
    """Return where in the file the bytes of rows are."""
    shape, chunks = dataset.shape or (), dataset.chunks
    if not shape or stop <= start or dataset.external or dataset.is_virtual:
        return []
    if chunks is None:
        offset = dataset.id.get_offset()
        # a text is not as long in the file as HDF5 says that its type is
        row = dataset.id.get_storage_size() // shape[0]
        return [] if offset is None else [(offset + start * row, offset + stop * row)]
    # the chunks of these rows; and of the second axis, of these columns
    axes = [range(start // chunks[0], -(-stop // chunks[0]))]
    for axis, (length, chunk) in enumerate(zip(shape[1:], chunks[1:], strict=True)):
        low, high = columns if axis == 0 and columns is not None else (0, length)
        axes.append(range(low // chunk, -(-high // chunk)))
    plain = len(shape) == 1 and dataset.id.get_create_plist().get_nfilters() == 0
    found = []
    for numbers in np.ndindex(*map(len, axes)):
        place = tuple(axis[n] * chunk for axis, n, chunk in zip(axes, numbers, chunks, strict=True))
        info: Any = dataset.id.get_chunk_info_by_coord(place)
        if info.byte_offset is None:
            continue
        at, end = info.byte_offset, info.byte_offset + info.size
        if plain:  # the rows lie in the chunk as they are
            row = info.size // chunks[0]
            end = at + (min(stop, place[0] + chunks[0]) - place[0]) * row
            at += max(0, start - place[0]) * row
        found.append((at, end))
    return found
