"""Bytes elsewhere that are read in ranges, the last blocks of which are kept: what h5py needs to read from afar."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from project_cache.errors import CorruptObjectError

__all__ = ["Ranges"]

_BLOCK = 2 << 20
_BLOCKS_KEPT = 24


class Ranges:
    """The bytes of a file elsewhere: the last blocks that were fetched are kept.

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
        self._read_range = fetch
        self._size = size
        self._name = name
        self._block = block
        self._kept = kept
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read_at(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop``, neither beyond the end."""
        first, last = start // self._block, (stop - 1) // self._block
        if last - first >= self._kept:
            # more than is kept: straight through
            return self._fetched(start, stop)
        self._fetch(first, last)
        return b"".join(
            self._blocks[n][max(start - n * self._block, 0) : stop - n * self._block]
            for n in range(first, last + 1)
        )

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
