"""The bytes of a remote object, read by ranges: few requests, side by side, all of one version."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from project_cache.errors import ContentError, MissingObjectError, ServerError, TransferError
from project_cache.transfer.address import redacted
from project_cache.transfer.retry import Budget, Clock, Policy
from project_cache.transfer.transport import Answer, Dropped, Transport

__all__ = ["Blocks", "RemoteBytes", "RemoteFile", "coalesced"]

BLOCK = 64 << 10
#: two ranges that are no further apart are one request: on a usual line that is sooner than a second
GAP = 256 << 10
#: what one request brings at most
PIECE = 8 << 20
#: what is fetched around a place of which nothing is known, and up to how much that grows
AHEAD, AHEAD_MOST = 1 << 20, 8 << 20
#: blocks that are kept in memory
MEMORY = 128 << 20

Range = tuple[int, int]


class Blocks(Protocol):
    """Where blocks are kept beyond the life of the process."""

    def has(self, block: int) -> bool:
        """Return whether a block seems to be there."""

    def read(self, block: int, length: int) -> bytes | None:
        """Return a block, or None."""

    def write(self, block: int, data: bytes) -> None:
        """Keep a block."""


def coalesced(ranges: Iterable[Range], gap: int = GAP, piece: int = PIECE) -> list[Range]:
    """Return ranges joined where they are near one another, and cut where they are long.

    Examples
    --------
    >>> coalesced([(0, 10), (5, 20), (30, 40)], gap=10), coalesced([(0, 25)], piece=10)
    ([(0, 40)], [(0, 10), (10, 20), (20, 25)])
    """
    joined: list[list[int]] = []
    for start, stop in sorted(r for r in ranges if r[1] > r[0]):
        if joined and start - joined[-1][1] <= gap:
            joined[-1][1] = max(joined[-1][1], stop)
        else:
            joined.append([start, stop])
    return [(at, min(at + piece, stop)) for start, stop in joined for at in range(start, stop, piece)]


class RemoteBytes:
    """A remote object, of which ranges are read.

    All ranges are of one version: the first answer's validator goes with every further request, and an object that
    changes on the way raises.

    Parameters
    ----------
    url : str
        Where it is.
    transport : Transport
        Makes the requests.
    keep : callable, optional
        Called with the size and the validator, once they are known: returns where blocks are kept, or None.
    policy, clock : Policy, Clock
        Patience and time.

    Attributes
    ----------
    size : int
        Bytes.
    validator : str or None
        The version's ETag.
    requests, received : int
        How many requests were made, and how many bytes they brought.
    """

    def __init__(
        self,
        url: str,
        transport: Transport,
        *,
        keep: Callable[[int, str | None], Blocks | None] | None = None,
        size: int | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.url = url
        self._transport, self._keep_at = transport, keep
        self._policy, self._clock = policy or Policy(), clock or Clock()
        self.requests = self.received = 0
        self.validator: str | None = None
        self.size = size if size is not None else -1
        self._set_up()

    def _set_up(self) -> None:
        self._guard = threading.Lock()
        self._memory: OrderedDict[int, bytes] = OrderedDict()
        self._disk: Blocks | None = None
        self._asked_disk = False
        self._ahead = AHEAD
        #: whether what surrounds a place is fetched along with it; not where it is known what will be read
        self.readahead = True

    def __repr__(self) -> str:
        return f"RemoteBytes({redacted(self.url)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {
            "url": self.url, "_transport": self._transport, "_keep_at": self._keep_at, "_policy": self._policy,
            "_clock": self._clock, "validator": self.validator, "size": self.size,
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.requests = self.received = 0
        self._set_up()

    def begin(self) -> None:
        """Find out how large the object is, and of what version; its first bytes come along."""
        if self.size < 0 or self.validator is None:
            self._store(0, self._get(0, AHEAD if self.readahead else BLOCK))

    def _blocks(self) -> Blocks | None:
        if not self._asked_disk and self.size >= 0 and self._keep_at is not None:
            self._disk = self._keep_at(self.size, self.validator)
            self._asked_disk = True
        return self._disk

    def read_at(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`, or to the end."""
        if self.size < 0:
            self.begin()
        stop = min(stop, self.size)
        if stop <= start:
            return b""
        first, last = start // BLOCK, (stop - 1) // BLOCK
        missing = [n for n in range(first, last + 1) if self._block(n) is None]
        if missing:
            self._fetch_around(missing)
        found = [self._block(n) for n in range(first, last + 1)]
        if any(block is None for block in found):
            # more than the memory holds
            return self._get(start, stop)
        whole = b"".join(block for block in found if block is not None)
        return whole[start - first * BLOCK : stop - first * BLOCK]

    def _fetch_around(self, missing: Sequence[int]) -> None:
        start, stop = missing[0] * BLOCK, (missing[-1] + 1) * BLOCK
        if self.readahead:
            stop = max(stop, start + self._ahead)
            self._ahead = min(2 * self._ahead, AHEAD_MOST)
        self.fetch([(start, stop)])

    def fetch(self, ranges: Iterable[Range]) -> None:
        """Get what is not here yet of some ranges: neighbours together, the rest side by side."""
        if self.size < 0:
            self.begin()
        wanted: list[Range] = []
        for start, stop in ranges:
            stop = min(stop, self.size)
            wanted += [
                (n * BLOCK, min((n + 1) * BLOCK, self.size))
                for n in range(start // BLOCK, -(-stop // BLOCK))
                if self._block(n) is None
            ]
        pieces = coalesced(wanted)
        if len(pieces) <= 1:
            for piece in pieces:
                self._store(piece[0], self._get(*piece))
            return
        with ThreadPoolExecutor(min(len(pieces), self._policy.connections)) as pool:
            for piece, data in zip(pieces, pool.map(lambda p: self._get(*p), pieces), strict=True):
                self._store(piece[0], data)

    def _block(self, n: int) -> bytes | None:
        with self._guard:
            data = self._memory.get(n)
            if data is not None:
                self._memory.move_to_end(n)
                return data
        disk = self._blocks()
        if disk is not None and disk.has(n):
            data = disk.read(n, min(BLOCK, self.size - n * BLOCK))
            if data is not None:
                self._remember(n, data)
        return data

    def _remember(self, n: int, data: bytes) -> None:
        with self._guard:
            self._memory[n] = data
            while len(self._memory) * BLOCK > MEMORY:
                self._memory.popitem(last=False)

    def _store(self, start: int, data: bytes) -> None:
        disk = self._blocks()
        for at in range(0, len(data), BLOCK):
            block = data[at : at + BLOCK]
            n = (start + at) // BLOCK
            if len(block) == min(BLOCK, self.size - n * BLOCK):
                self._remember(n, block)
                if disk is not None:
                    disk.write(n, block)

    # Requests ----------------------------------------------------------------------------------

    def _get(self, start: int, stop: int) -> bytes:
        """Return the bytes of a range by one request, or several where the line fails."""
        budget = Budget(self._policy, self._clock)
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        if self.validator is not None:
            headers[self._transport.condition] = self.validator
        while True:
            retry_after = None
            try:
                with self._guard:
                    self.requests += 1
                answer = self._transport.get(self.url, headers)
                try:
                    if answer.status not in (408, 429) and answer.status < 500:
                        return self._taken(answer, start, stop)
                    reason = f"the server answered {answer.status}"
                    retry_after = answer.headers.get("retry-after")
                finally:
                    answer.close()
            except Dropped as dropped:
                reason = str(dropped)
            if not budget.failed():
                raise TransferError(f"{redacted(self.url)} could not be read: {reason}.")
            budget.wait(retry_after)

    def _taken(self, answer: Answer, start: int, stop: int) -> bytes:
        self._check(answer, start)
        data = bytearray()
        for block in answer.blocks():
            data += block
            if len(data) > stop - start:
                raise ContentError(f"The server of {redacted(self.url)} sent more than was asked for.")
        with self._guard:
            self.received += len(data)
        if len(data) != min(stop, self.size) - start:
            raise Dropped("the answer was cut short")
        return bytes(data)

    def _check(self, answer: Answer, start: int) -> None:
        """Raise if an answer is not the range that was asked for, of the version that was begun with."""
        shown = redacted(self.url)
        if answer.status in (404, 410):
            raise MissingObjectError(f"There is no {shown}.")
        if answer.status == 412 or (answer.status == 200 and self.validator is not None):
            raise ContentError(f"{shown} was changed while it was read. Open the session again.")
        where, _, total = answer.headers.get("content-range", "").removeprefix("bytes ").partition("/")
        ranged = where.partition("-")[0] == str(start) and total.isdecimal()
        if answer.status == 200 and not ranged:
            raise ContentError(
                f"The server of {shown} does not send parts of files, so nothing can be streamed from it. Fetch the "
                f"file instead (stream=False)."
            )
        if answer.status not in (200, 206):
            raise ServerError(f"{shown} cannot be read: the server answered {answer.status}.", answer.status)
        if not ranged:
            raise ContentError(f"The server sent another part of {shown} than was asked for.")
        if self.size < 0:
            self.size = int(total)
        elif self.size != int(total):
            raise ContentError(f"{shown} was changed while it was read. Open the session again.")
        tag = answer.headers.get("etag")
        if self.validator is None and tag and not tag.startswith("W/"):
            self.validator = tag


class RemoteFile(io.RawIOBase):
    """Remote bytes as a file that HDF5 can read.

    Parameters
    ----------
    read_at : callable
        Returns the bytes of a range.
    size : int
        Of the whole.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._read_at, self._size, self._at = read_at, size, 0

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
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the position on."""
        view = memoryview(buffer).cast("B")
        data = self._read_at(self._at, min(self._at + len(view), self._size))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
