"""Remote bytes as a file that HDF5 can read."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

__all__ = ["RemoteFile"]


class RemoteFile(io.RawIOBase):
    """Remote bytes as a file that HDF5 can read.

    Parameters
    ----------
    read_at : callable
        Returns the bytes of a range.
    size : int
        Of the whole.
    name : str
        What h5py calls the file.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], size: int, name: str = "a remote file") -> None:
        super().__init__()
        self._read_at, self._size, self._at, self._name = read_at, size, 0, name

    def __repr__(self) -> str:
        return self._name

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start of the file")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the position on."""
        view = memoryview(buffer).cast("B")
        stop = min(self._at + len(view), self._size)
        if stop <= self._at:
            return 0
        data = self._read_at(self._at, stop)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
