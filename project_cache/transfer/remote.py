"""The bytes of a remote object, read by ranges: few requests, side by side, all of one version."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from project_cache.errors import ContentError
from project_cache.transfer.ranges import GAP, Address, Range, Ranges, coalesced

__all__ = ["BLOCK", "Blocks", "RemoteBytes"]

#: objects are fetched, checked and kept in blocks of so many bytes
BLOCK = 128 << 10
#: how much more than a place is fetched to either side where nothing is known of what will be read, and up to how
#: much that grows: twice as much after every second place
AROUND, AROUND_MOST = 512 << 10, 1 << 20
#: up to how much more is fetched of what is read in a row
AHEAD_MOST = 8 << 20
#: what begins no further behind the last is read in a row with it
NEAR = 1 << 20
#: blocks that are kept in memory
MEMORY = 128 << 20
#: so much is got at once before it is handed on, so that it is in memory for as long as it is needed
WINDOW = 64 << 20


class Blocks(Protocol):
    """Where blocks are kept beyond the life of the process."""

    def read(self, block: int, length: int) -> bytes | None:
        """Return a block, or None where it is not there."""

    def write(self, block: int, data: bytes) -> None:
        """Keep a block."""


class RemoteBytes:
    """A remote object, of which ranges are read.

    All ranges are of one version: the first answer's ETag goes with every further request and is compared with every
    further answer's, and an object that changes on the way raises.

    Parameters
    ----------
    address : Address
        Where it is.
    size : int, optional
        Its bytes, where they are known before the first answer; another size then raises.
    validator : str, optional
        The ETag of the version that is meant, where it is known.
    check : callable, optional
        Called with the number and the bytes of each block that arrives; raises if it is not what it should be.
    keep : callable, optional
        Called once size and validator are known: returns where blocks are kept, or None.

    Attributes
    ----------
    readahead : bool
        Whether more than what is read is fetched with it. Not where it is known what will be read.

    Notes
    -----
    No lock is held here at any time. HDF5 calls :meth:`read_at` while h5py holds its own; a lock that another thread
    could hold while it waits for that one (to throw away an HDF5 object, as the garbage collector may at any moment)
    would have both wait for ever. For the same reason :meth:`read_at` never waits for other threads:
    what is to come over several connections is asked for by :meth:`fetch` first.
    """

    def __init__(
        self,
        address: Address,
        *,
        size: int | None = None,
        validator: str | None = None,
        check: Callable[[int, bytes], None] | None = None,
        keep: Callable[[RemoteBytes], Blocks | None] | None = None,
    ) -> None:
        self.readahead = True
        self._ranges = Ranges(address, size=size, validator=validator)
        self._check, self._keep = check, keep
        self._memory: dict[int, bytes] = {}
        self._disk: Blocks | None = None
        self._looked = False
        self._jumps, self._ahead, self._end = 0, 0, -1
        self._run, self._run_end = 0, -NEAR - 1

    def __repr__(self) -> str:
        return f"<RemoteBytes {self.shown}: {self.requests} requests, {self.received:,} bytes>"

    @property
    def size(self) -> int:
        """Bytes; -1 while that is not known."""
        return self._ranges.size

    @property
    def validator(self) -> str | None:
        """The version's ETag."""
        return self._ranges.validator

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return self._ranges.requests

    @property
    def received(self) -> int:
        """How many bytes they brought."""
        return self._ranges.received

    @property
    def shown(self) -> str:
        """The address, without its secrets."""
        return self._ranges.shown

    @property
    def met(self) -> bool:
        """Whether the server has answered."""
        return self._ranges.met

    def begin(self, length: int = BLOCK) -> None:
        """Ask the server what it has, unless it was asked already; the first bytes come along."""
        if not self.met:
            self._store(0, self._get(0, length))

    # Reading -----------------------------------------------------------------------------------

    def read_at(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`, or to the end, by requests of this thread alone."""
        if self.size < 0:
            self.begin(AROUND)
        out = bytearray(max(0, min(stop, self.size) - start))
        self._fill(start, memoryview(out), self._fetch_around)
        return bytes(out)

    def read_into(self, start: int, into: memoryview) -> None:
        """Fill memory with the bytes from `start` on, over several connections where there are many.

        Raises
        ------
        ContentError
            The object ends before that.
        """
        if self.size < 0:
            self.begin()
        if start + len(into) > self.size:
            raise ContentError(f"{self.shown} has {self.size:,} bytes; more were to be read of it.")
        stop = start + len(into)
        if 0 <= start - self._run_end <= NEAR:
            self._run = min(max(2 * self._run, 2 * len(into)), AHEAD_MOST)
        else:
            self._run = 0
        self._run_end = stop
        more = self._run
        self._fill(start, into, lambda first, last: self.fetch([(first * BLOCK, (last + 1) * BLOCK + more)]))

    def _fill(self, start: int, into: memoryview, get: Callable[[int, int], None]) -> None:
        for at in range(start, start + len(into), WINDOW):
            end = min(at + WINDOW, start + len(into))
            first, last = at // BLOCK, (end - 1) // BLOCK
            missing = [n for n in range(first, last + 1) if self._block(n) is None]
            if missing:
                get(missing[0], missing[-1])
            for n in range(first, last + 1):
                block = self._block(n)
                if block is None:  # others have filled the memory in between
                    block = self._get(n * BLOCK, (n + 1) * BLOCK)
                low, high = max(at, n * BLOCK), min(end, (n + 1) * BLOCK)
                into[low - start : high - start] = block[low - n * BLOCK : high - n * BLOCK]

    def _fetch_around(self, first: int, last: int) -> None:
        """Get blocks by one request: more of what follows the longer it is read in a row, and of what is around."""
        start, stop = first * BLOCK, (last + 1) * BLOCK
        if 0 <= start - self._end <= GAP:
            self._ahead = min(2 * max(self._ahead, BLOCK), AHEAD_MOST)
            stop = max(stop, start + self._ahead)
        else:
            self._ahead = min(AROUND << self._jumps // 2, AROUND_MOST) if self.readahead else 0
            self._jumps += 1
            start, stop = max(0, start - self._ahead), stop + self._ahead
        self._end = stop = min(stop, self.size)
        # at either end, what is here already is not got again
        while start < first * BLOCK and self._block(start // BLOCK) is not None:
            start += BLOCK
        while stop > (last + 1) * BLOCK and self._block((stop - 1) // BLOCK) is not None:
            stop = (stop - 1) // BLOCK * BLOCK
        self._store(start, self._get(start, stop))

    def fetch(self, ranges: Iterable[Range]) -> None:
        """Get what is not here yet of some ranges: neighbours together, the rest side by side.

        What is more than the memory takes is left for later.
        """
        if self.size < 0:
            self.begin()
        wanted: list[Range] = []
        room = MEMORY // 2
        for start, stop in ranges:
            for n in range(start // BLOCK, -(-min(stop, self.size) // BLOCK)):
                if room > 0 and self._block(n) is None:
                    wanted.append((n * BLOCK, min((n + 1) * BLOCK, self.size)))
                    room -= BLOCK
        pieces = coalesced(wanted)
        if len(pieces) == 1:
            self._store(pieces[0][0], self._get(*pieces[0]))
        elif pieces:
            if not self.met and self.validator is None:
                # what version it is must be known before several are asked for
                first = pieces.pop(0)
                self._store(first[0], self._get(*first))
            with ThreadPoolExecutor(min(len(pieces), self._ranges.address.policy.connections)) as pool:
                for piece, data in zip(pieces, pool.map(lambda p: self._get(*p), pieces), strict=True):
                    self._store(piece[0], data)

    def forget(self) -> None:
        """Let go of the blocks that are in memory."""
        self._memory.clear()

    # Blocks ------------------------------------------------------------------------------------

    def _get(self, start: int, stop: int) -> bytes:
        """Return the bytes of a range of blocks, by a request; each of them is checked."""
        data = self._ranges.get(start, stop)
        if self._check is not None:
            for at in range(0, len(data), BLOCK):
                self._check((start + at) // BLOCK, data[at : at + BLOCK])
        return data

    def _block(self, n: int) -> bytes | None:
        data = self._memory.get(n)
        if data is None and (disk := self._blocks()) is not None:
            data = disk.read(n, min(BLOCK, self.size - n * BLOCK))
            if data is not None:
                self._remember(n, data)
        return data

    def _blocks(self) -> Blocks | None:
        if not self._looked and self.size >= 0 and self._keep is not None:
            self._disk = self._keep(self)
            # without a word on the version there is no telling yet whose blocks to take
            self._looked = self._disk is not None or self.met
        return self._disk

    def _remember(self, n: int, data: bytes) -> None:
        self._memory[n] = data
        while len(self._memory) * BLOCK > MEMORY:
            with contextlib.suppress(RuntimeError, StopIteration):  # another thread is at it
                self._memory.pop(next(iter(self._memory)), None)

    def _store(self, start: int, data: bytes) -> None:
        disk = self._blocks()
        for at in range(0, len(data), BLOCK):
            block = data[at : at + BLOCK]
            n = (start + at) // BLOCK
            if len(block) == min(BLOCK, self.size - n * BLOCK):
                self._remember(n, block)
                if disk is not None:
                    disk.write(n, block)
