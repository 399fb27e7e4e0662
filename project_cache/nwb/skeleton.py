"""The skeleton of an HDF5 file: the bytes that say what is in it and where, kept apart from the data.

To open a file over a network, HDF5 reads hundreds of small pieces from all over it. A skeleton is these pieces in one
small file, made once by walking through the whole: groups, attributes, types, the place of each chunk, and small data
sets; and the times of long series, where they lie on a grid. With it a remote file opens without a single request, and what is read then is data, and nothing else. It has the
checksum of each block of the file as well, so that what is read of a server is known to be of the file that was meant.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import blake3
import h5py

from project_cache.errors import ContentError, CorruptObjectError
from project_cache.files import new_hasher
from project_cache.nwb.file import open_unlocked, reading
from project_cache.nwb.grid import Grid, grid_of
from project_cache.transfer.remote import BLOCK
from project_cache.transfer.remote_file import RemoteFile

__all__ = ["Skeleton", "address_of", "skeleton_of"]

MAGIC = b"project_cache skeleton 2\n"
#: bytes of a block's checksum
SUM = 16
#: places are kept with what surrounds them: HDF5 reads ahead a little, and not always the same
GRAIN = 512
#: a data set that takes no more than this belongs to the skeleton
SMALL = 48 << 10
#: a skeleton is not larger than this once unpacked, whatever its head claims
LARGEST = 1 << 30
#: the data sets that are looked at for a grid
TIMES = "timestamps"

Range = tuple[int, int]


class Skeleton:
    """Pieces of a file, by where they were in it, and the checksums of all of it.

    Parameters
    ----------
    size : int
        Bytes of the whole file.
    digest : str
        Of the whole file (``"blake3:…"``).
    ranges : list of (int, int)
        Where each piece begins and ends, in order, not overlapping.
    data : bytes
        The pieces, one after the other.
    sums : bytes
        The checksum of each block of the file, one after the other.
    grids : mapping, optional
        What data sets hold that need not be read, by where in the file HDF5 describes them.
    """

    def __init__(
        self,
        size: int,
        digest: str,
        ranges: list[Range],
        data: bytes,
        sums: bytes,
        grids: Mapping[int, Grid] | None = None,
    ) -> None:
        self.size = size
        self.digest = digest
        self.grids = dict(grids or {})
        self._ranges = ranges
        self._starts = [start for start, _ in ranges]
        self._places = [0]
        for start, stop in ranges:
            self._places.append(self._places[-1] + stop - start)
        self._data = data
        self._sums = sums

    def __repr__(self) -> str:
        return f"<Skeleton of {self.digest[:19]}…: {len(self._data):,} of {self.size:,} bytes>"

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
        return self._data[at : at + stop - start]

    def check(self, block: int, data: bytes) -> None:
        """Raise if the bytes of a block are not the file's.

        Raises
        ------
        ContentError
            They are not.
        """
        if _sum(data) != self._sums[block * SUM : (block + 1) * SUM]:
            raise ContentError(
                f"The server sent other bytes than those of the file that was meant ({self.digest}). It has another "
                f"version, or a damaged one: update the project, or tell who keeps it."
            )

    def to_bytes(self) -> bytes:
        """Return it as a file's contents."""
        flat = [place for each in self._ranges for place in each]
        steps = [b - a for a, b in zip([0, *flat], flat, strict=False)]
        about: dict[str, Any] = {"size": self.size, "digest": self.digest, "block": BLOCK, "steps": steps}
        if self.grids:
            about["grids"] = [[place, *grid.to_json()] for place, grid in self.grids.items()]
        head = json.dumps(about, separators=(",", ":")).encode()
        return MAGIC + zlib.compress(len(head).to_bytes(8, "little") + head + self._sums + self._data, 6)

    @classmethod
    def from_bytes(cls, contents: bytes, origin: str = "the skeleton") -> Skeleton:
        """Return what :meth:`to_bytes` wrote.

        Raises
        ------
        ContentError
            It is not a skeleton, or a damaged one.
        """
        if not contents.startswith(MAGIC):
            raise ContentError(
                f"{origin} is not the skeleton of a file, or one of another kind than is read here."
            )
        try:
            unpacker = zlib.decompressobj()
            body = unpacker.decompress(contents[len(MAGIC) :], LARGEST)
            if unpacker.unconsumed_tail or not unpacker.eof:
                raise ValueError("it is cut short, or larger than any skeleton")
            start = 8 + int.from_bytes(body[:8], "little")
            about = json.loads(body[8:start])
            size, digest = int(about["size"]), str(about["digest"])
            if about["block"] != BLOCK:
                raise ValueError("its blocks are of another size")
            data_at = start + -(-size // BLOCK) * SUM
            sums, data = body[start:data_at], body[data_at:]
            flat, at = [], 0
            for step in about["steps"]:
                at += int(step)
                flat.append(at)
            ranges = list(zip(flat[::2], flat[1::2], strict=True))
            ordered = all(int(step) >= 0 for step in about["steps"]) and all(a < b for a, b in ranges)
            if not ordered or at > size or data_at > len(body) or sum(b - a for a, b in ranges) != len(data):
                raise ValueError("its parts do not fit together")
            grids = {int(place): Grid.from_json(grid) for place, *grid in about.get("grids", ())}
        except (zlib.error, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise ContentError(f"{origin} is damaged ({error}). Delete it; it is fetched anew.") from error
        return cls(size, digest, ranges, data, sums, grids)

    def __reduce__(self) -> tuple[Any, ...]:
        return Skeleton.from_bytes, (self.to_bytes(),)


def _sum(data: bytes) -> bytes:
    return blake3.blake3(data).digest(SUM)


def skeleton_of(path: Path, digest: str | None = None) -> Skeleton:
    """Return the skeleton of a local HDF5 file. The whole file is read once.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    digest : str, optional
        What its digest should be; the skeleton names the file by that. By default by its blake3 digest.

    Raises
    ------
    CorruptObjectError
        It is damaged, or not the file of that digest.
    NotNWBError
        It is not HDF5.
    """
    algorithm = digest.partition(":")[0] if digest else "blake3"
    hasher, sums = new_hasher(algorithm), bytearray()
    with reading(path), path.open("rb", buffering=0) as file:
        size = 0
        while block := file.read(BLOCK):
            size += len(block)
            hasher.update(block)
            sums += _sum(block)
        found = f"{algorithm}:{hasher.hexdigest()}"
        if digest not in (None, found):
            raise CorruptObjectError(f"{path} is not what it should be: its digest is {found}, not {digest}.")

        def read_at(start: int, stop: int) -> bytes:
            file.seek(start)
            return file.read(stop - start)

        recorder = _Recorder(read_at, size)
        with h5py.File(recorder, "r") as handle:
            _walk(handle)
        ranges = _grained(recorder.ranges, size)
        data = b"".join(read_at(*each) for each in ranges)
    return Skeleton(size, found, ranges, data, bytes(sums), _grids(path))


class _Recorder(RemoteFile):
    """A file that notes what is read of it."""

    def __init__(self, read_at: Callable[[int, int], bytes], size: int) -> None:
        super().__init__(read_at, size)
        self.ranges: list[Range] = []

    def readinto(self, buffer: Any) -> int:
        start = self.tell()
        count = super().readinto(buffer)
        self.ranges.append((start, start + count))
        return count


def _grained(ranges: list[Range], size: int) -> list[Range]:
    """Return ranges widened to whole grains and joined."""
    joined: list[list[int]] = []
    wide = ((start // GRAIN * GRAIN, min(-(-stop // GRAIN) * GRAIN, size)) for start, stop in ranges)
    for start, stop in sorted(each for each in wide if each[1] > each[0]):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stop)
        else:
            joined.append([start, stop])
    return [(start, stop) for start, stop in joined]


def address_of(node: h5py.Group | h5py.Dataset) -> int:
    """Return where in the file HDF5 describes a node: the same by whatever name it was come to."""
    return int(h5py.h5o.get_info(node.id).addr)


def _grids(path: Path) -> dict[int, Grid]:
    """Return the grids on which the times of long series lie."""
    found: dict[int, Grid] = {}

    def look(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(node, h5py.Dataset) or name.rpartition("/")[2] != TIMES:
            return
        if not (node.external or node.is_virtual) and node.id.get_storage_size() > SMALL:
            # what cannot be read says so to who wants it
            with contextlib.suppress(CorruptObjectError, OSError, RuntimeError):
                grid = grid_of(node)
                if grid is not None:
                    found[address_of(node)] = grid

    with reading(path), open_unlocked(path) as handle:
        handle.visititems(look)
    return found


# An object or an attribute that h5py cannot make sense of is nothing that anyone reads.
_senseless = contextlib.suppress(OSError, TypeError, ValueError, KeyError, RuntimeError)


def _walk(handle: h5py.File) -> None:
    """Touch all that says what is where."""

    def look(name: str, node: h5py.Group | h5py.Dataset) -> None:
        for attribute in node.attrs:
            with _senseless:
                node.attrs[attribute]
        if isinstance(node, h5py.Dataset):
            with _senseless:
                _look_at(node)

    look("/", handle["/"])
    # links are not followed by this, and each object is come to once
    handle.visititems(look)
    _links(handle["/"], set())


def _links(group: h5py.Group, seen: set[int]) -> None:
    """Look up all names in all groups, as those do who follow links."""
    for name in group:
        info = group.id.links.get_info(name.encode())
        if info.type != h5py.h5l.TYPE_HARD:
            group.id.links.get_val(name.encode())
            continue
        with _senseless:
            node = group[name]
            address = address_of(node)
            if isinstance(node, h5py.Group) and address not in seen:
                seen.add(address)
                _links(node, seen)


def _look_at(dataset: h5py.Dataset) -> None:
    if dataset.external or dataset.is_virtual or dataset.shape is None:
        return
    if dataset.chunks is not None:
        if hasattr(dataset.id, "chunk_iter"):
            dataset.id.chunk_iter(lambda _: None)
        else:  # each goes through the index up to it, so the last goes through all
            for n in {0, dataset.id.get_num_chunks() - 1} - {-1}:
                dataset.id.get_chunk_info(n)
    if dataset.id.get_storage_size() <= SMALL:
        dataset[()]
    elif dataset.dtype.hasobject and dataset.size:
        # pynwb looks at the first to know what kind of thing they are
        dataset[(0,) * dataset.ndim]
