"""Files that are read in ranges, a few blocks of which are kept: what h5py needs to read from afar."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from project_cache.errors import CorruptObjectError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["RangedFile"]

_BLOCK = 2 << 20
_BLOCKS_KEPT = 24


class RangedFile(io.RawIOBase):
    """A file elsewhere that can be read from and sought in: the last blocks that were fetched are kept.

    Parameters
    ----------
    fetch : callable
        Given a start and a stop, returns these bytes of the file.
    size : int
        The file's bytes.
    name : str
        What the file is called in messages.
    block, kept : int
        Bytes in a block, and how many blocks are kept.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], bytes],
        size: int,
        name: str,
        *,
        block: int = _BLOCK,
        kept: int = _BLOCKS_KEPT,
    ) -> None:
        super().__init__()
        self._read_range = fetch
        self._name = name
        self._size = size
        self._block = block
        self._kept = kept
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill ``buffer`` from the position on, and return how many bytes there were."""
        view = memoryview(buffer).cast("B")
        start, stop = self._position, min(self._position + len(view), self._size)
        if stop <= start:
            return 0
        first, last = start // self._block, (stop - 1) // self._block
        if last - first >= self._kept:
            # more than is kept: straight through
            data = self._fetched(start, stop)
            view[: len(data)] = data
        else:
            self._fetch(first, last)
            for n in range(first, last + 1):
                at = n * self._block
                piece = self._blocks[n][max(start - at, 0) : stop - at]
                to = max(at - start, 0)
                view[to : to + len(piece)] = piece
        self._position = stop
        return stop - start

    def _fetch(self, first: int, last: int) -> None:
        """Get the blocks that are not here yet, those that touch in one request."""
        n = first
        while n <= last:
            if n in self._blocks:
                self._blocks.move_to_end(n)
                n += 1
                continue
            end = n
            while end < last and end + 1 not in self._blocks:
                end += 1
            data = self._fetched(n * self._block, min((end + 1) * self._block, self._size))
            for each in range(n, end + 1):
                at = (each - n) * self._block
                self._blocks[each] = data[at : at + self._block]
            n = end + 1
        while len(self._blocks) > self._kept:
            oldest = next(each for each in self._blocks if not first <= each <= last)
            del self._blocks[oldest]

    def _fetched(self, start: int, stop: int) -> bytes:
        data = self._read_range(start, stop)
        if len(data) != stop - start:
            raise CorruptObjectError(
                f"{self._name} has {self._size:,} bytes, but {len(data):,} instead of {stop - start:,} came from "
                f"byte {start:,}: it changed while it was read. Try again."
            )
        return data
