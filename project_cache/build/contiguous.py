"""Filling contiguous series of an HDF5 file, beside HDF5: as fast as the disk takes them.

HDF5 leaves room for such a series, one piece of the file, and says where. What lies in a file as it is to be
written is copied from there; what has to be computed is computed meanwhile.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np

from project_cache.build.lazy_array import LazyArray
from project_cache.errors import CorruptObjectError
from project_cache.files import translated

__all__ = ["Room", "fill_rooms", "room_for_series"]

#: what is read and written at once where the system does not copy by itself
PIECE = 4 << 20
#: after how many bytes the disk is told to begin
WINDOW = 64 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """Where an array is to be written.

    Attributes
    ----------
    name : str
        The data set.
    offset : int
        The byte of the file at which it begins.
    data : LazyArray
        What is to be there.
    """

    name: str
    offset: int
    data: LazyArray


def room_for_series(dataset: h5py.Dataset, data: LazyArray) -> Room | None:
    """Return where in the file a data set is, which has been written to by nobody; None if it is in chunks.

    What is written there later is written when the file has been closed.
    """
    if dataset.chunks is not None or dataset.dtype != data.dtype or not data.nbytes:
        return None
    # HDF5 gives a data set its place when something is written to it
    dataset[(0,) * dataset.ndim] = 0
    offset = dataset.id.get_offset()
    return None if offset is None else Room(str(dataset.name), int(offset), data)


def fill_rooms(path: Path, rooms: Sequence[Room]) -> dict[str, float]:
    """Write arrays to where they belong in a closed file; return the seconds that each took, by its name.

    Arrays that only have to be copied are copied in a thread of their own, while others are computed.

    Raises
    ------
    CorruptObjectError
        A file that was to be copied has become shorter.
    """
    stop = threading.Event()

    def filled(those: Sequence[Room], write: Callable[[_Target, Room], None]) -> dict[str, float]:
        found: dict[str, float] = {}
        with _Target(path, stop) as target:
            for room in those:
                began = time.perf_counter()
                target.to(room.offset)
                write(target, room)
                found[room.name] = time.perf_counter() - began
        return found

    copied = [room for room in rooms if room.data.file is not None]
    computed = [room for room in rooms if room.data.file is None]
    with ThreadPoolExecutor(1, thread_name_prefix="copy") as pool:
        copying = pool.submit(filled, copied, _copy)
        try:
            taken = filled(computed, _compute)
        except BaseException:
            # nobody waits for 100 GB that nobody wants any more
            stop.set()
            raise
        try:
            return taken | copying.result()
        except BaseException:
            stop.set()
            raise


class _Stopped(Exception):
    """Another thread has failed."""


class _Target:
    """A file that is written from some byte on, and goes to the disk as it is written.

    Left to itself, the system keeps what is written until memory is short, then has everybody wait; and memory that
    it has not used before is slow to get. So the disk is told to begin early, and what it has taken is let go of.
    """

    def __init__(self, path: Path, stop: threading.Event) -> None:
        self._path, self._stop = path, stop
        with translated(path):
            self._file = path.open("r+b", buffering=0)
        self._at = self._advised = self._gone = 0
        self._sends = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def to(self, offset: int) -> None:
        """Go on at this byte."""
        self._at = self._advised = self._gone = offset
        self._file.seek(offset)

    def write(self, data: memoryview) -> None:
        """Write all of these bytes."""
        if self._stop.is_set():
            raise _Stopped
        rest = data
        with translated(self._path):
            while len(rest):
                done = self._file.write(rest)
                rest = rest[done:]
        self._at += len(data)
        if self._at - self._advised >= WINDOW:
            self._advise()

    def send(self, source: FileIO, start: int, count: int) -> int | None:
        """Have the system copy bytes of another file, and return how many it did; None where it cannot."""
        if self._stop.is_set():
            raise _Stopped
        if not sys.platform.startswith("linux") or not self._sends:
            return None
        try:
            done = os.sendfile(self._file.fileno(), source.fileno(), start, count)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV):
                raise
            # some file systems cannot: byte by byte then
            self._sends = False
            source.seek(start)
            return None
        self._at += done
        if self._at - self._advised >= WINDOW:
            self._advise()
        return done

    def _advise(self) -> None:
        if not hasattr(os, "posix_fadvise"):
            return
        # of pages that are not on the disk yet this begins the writing; the others it forgets
        os.posix_fadvise(self._file.fileno(), self._gone, self._at - self._gone, os.POSIX_FADV_DONTNEED)
        self._gone, self._advised = max(self._advised - WINDOW, self._gone), self._at


def _copy(target: _Target, room: Room) -> None:
    """Copy the bytes of an array from the file in which they lie."""
    assert room.data.file is not None
    path, at = room.data.file
    done, size = 0, room.data.nbytes
    buffer = memoryview(bytearray(PIECE))
    with translated(path), path.open("rb", buffering=0) as source:
        source.seek(at)
        while done < size:
            # what comes next is read while this is written
            _expect(source, at + done, 2 * WINDOW)
            end = min(done + WINDOW, size)
            while done < end:
                count = target.send(source, at + done, end - done)
                if count is None:
                    count = source.readinto(buffer[: min(PIECE, end - done)])
                    target.write(buffer[:count])
                if not count:
                    raise CorruptObjectError(
                        f"{path} has become {size - done:,} bytes shorter since it was opened. Copy it again, and "
                        "build again."
                    )
                done += count


def _expect(source: FileIO, start: int, count: int) -> None:
    """Have the system read ahead."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(source.fileno(), start, count, os.POSIX_FADV_WILLNEED)


def _compute(target: _Target, room: Room) -> None:
    """Write an array, block by block."""
    for block in _blocks(room.data):
        target.write(block)


def _blocks(data: LazyArray) -> Iterator[memoryview]:
    for _, block in data.blocks():
        values = np.ascontiguousarray(block, dtype=data.dtype)
        yield values.reshape(-1).view(np.uint8).data
