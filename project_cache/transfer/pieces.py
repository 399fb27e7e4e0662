"""Pieces: how an object is divided among connections, and how many of these there should be.

Nothing here waits, sends or writes: it is told the time and what happened, and says what to do.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable

__all__ = ["Connections", "Piece", "Pieces", "Pulse", "cut", "piece_bytes"]

MIB = 1 << 20
#: no piece that is planned is larger, so that its digest vouches for little
MOST = 64 * MIB
#: how many pieces a large object is cut into, about
COUNT = 1024
#: what is left of a piece is halved between two connections if both halves are at least this
LEAST_HALF = 2 * MIB


def piece_bytes(size: int, least: int = 8 * MIB) -> int:
    """Return how large the pieces of an object should be: a multiple of 1 MiB, or ``least``.

    Examples
    --------
    >>> [piece_bytes(n << 30) >> 20 for n in (1, 20, 500)]
    [8, 20, 64]
    """
    return max(least, min(MOST, -(-size // COUNT // MIB) * MIB))


def cut(gaps: Iterable[tuple[int, int]], step: int) -> list[tuple[int, int]]:
    """Return the gaps, cut at the multiples of ``step``.

    Examples
    --------
    >>> cut([(3, 11), (15, 16)], 4)
    [(3, 4), (4, 8), (8, 11), (15, 16)]
    """
    found = []
    for start, end in gaps:
        while start < end:
            stop = min(end, (start // step + 1) * step)
            found.append((start, stop))
            start = stop
    return found


@dataclasses.dataclass(slots=True, eq=False)
class Piece:
    """What one connection is at work on: bytes from ``start`` up to ``end``, which are there up to ``position``.

    ``heard`` is when the last of them came.
    """

    start: int
    end: int
    position: int
    heard: float

    @property
    def left(self) -> int:
        """How many bytes are still to come."""
        return self.end - self.position


class Pieces:
    """The pieces of an object: those that nobody has begun, and those that are in the air.

    Parameters
    ----------
    gaps : iterable of (int, int)
        First bytes and bytes after the last.
    step : int
        Where to cut: its multiples.
    stalled_s : float
        Seconds of silence after which a piece may be taken from its connection.

    Attributes
    ----------
    flying : list of Piece
        Those that a connection is at work on.
    left_behind : list of Piece
        Those that were taken from connections which had come to a stop; whoever reads it empties it.

    Examples
    --------
    >>> pieces = Pieces([(0, 16 * MIB)], 8 * MIB)
    >>> first, second, half = (pieces.take(0.0) for _ in range(3))
    >>> (first.end // MIB, second.start // MIB, half.start // MIB, half.end // MIB)
    (4, 8, 4, 8)
    """

    def __init__(self, gaps: Iterable[tuple[int, int]], step: int, stalled_s: float = 5.0) -> None:
        self._free = deque(cut(gaps, step))
        self._stalled_s = stalled_s
        self.flying: list[Piece] = []
        self.left_behind: list[Piece] = []

    @property
    def all_there(self) -> bool:
        """Whether nothing is left to fetch."""
        return not self._free and not self.flying

    def take(self, now: float) -> Piece | None:
        """Return a piece for a connection that has nothing to do, or None.

        One that nobody has begun; or what is left of one that has come to a stop; or half of the largest rest.
        """
        if self._free:
            start, end = self._free.popleft()
        elif (slow := self._slow(now)) is not None:
            start, end = slow.position, slow.end
            slow.end = slow.position
            self.flying.remove(slow)
            self.left_behind.append(slow)
        elif (large := self._large()) is not None:
            start, end = large.position + large.left // 2, large.end
            large.end = start
        else:
            return None
        return self._begun(start, end, now)

    def take_at(self, start: int, now: float) -> Piece | None:
        """Return the piece that begins at ``start``, if nobody has begun it."""
        for n, (first, end) in enumerate(self._free):
            if first == start:
                del self._free[n]
                return self._begun(start, end, now)
        return None

    def ended(self, piece: Piece) -> None:
        """Take a piece back: what has not come of it is free again."""
        if piece in self.flying:
            self.flying.remove(piece)
            if piece.left:
                self._free.appendleft((piece.position, piece.end))
                piece.end = piece.position

    def _begun(self, start: int, end: int, now: float) -> Piece:
        piece = Piece(start, end, start, now)
        self.flying.append(piece)
        return piece

    def _slow(self, now: float) -> Piece | None:
        found = (p for p in self.flying if p.left and now - p.heard > self._stalled_s)
        return next(found, None)

    def _large(self) -> Piece | None:
        piece = max(self.flying, key=lambda p: p.left, default=None)
        return piece if piece is not None and piece.left >= 2 * LEAST_HALF else None


class Pulse:
    """How a single connection does, and so whether more of them would do better.

    They would where it is the line that is waited for. Where it is this machine, or the server's, that has its
    hands full (as between two programs on one computer), a single stream is the fastest there is.
    """

    #: seconds of a look
    LOOK_S = 0.125
    #: how many looks in a row must say the same: of a slow line, and of one that is not so slow, where there is less to
    #: gain, and which may be a server that has yet to find its bytes
    LOOKS, MORE_LOOKS = 2, 4
    #: a single connection that is as fast as this fills most lines, in bytes a second
    FAST = 100e6
    #: the share of the time that must be waiting
    WAITING = 0.7

    def __init__(self, now: float) -> None:
        self._since = now
        self._count = 0
        self._waited = 0.0
        self._looks = 0

    def beat(self, count: int, waited: float) -> None:
        """Take note of bytes, and of the seconds that they were waited for."""
        self._count += count
        self._waited += waited

    def says_split(self, now: float, left: int, most: float | None = None) -> bool:
        """Return whether the rest should come over several connections.

        Parameters
        ----------
        now : float
            The time in seconds.
        left : int
            How many bytes are still to come.
        most : float, optional
            The bytes a second that there may be at all.

        Examples
        --------
        >>> pulse = Pulse(now=0.0)
        >>> for second in (1.0, 2.0):
        ...     pulse.beat(10_000_000, waited=0.99)
        ...     pulse.says_split(second, left=1 << 30)
        False
        True
        """
        seconds = now - self._since
        if seconds < self.LOOK_S:
            return False
        rate, waiting = self._count / seconds, self._waited / seconds
        self._since, self._count, self._waited = now, 0, 0.0
        limit = self.FAST if most is None else min(self.FAST, 0.8 * most)
        # what is here in half a second needs no help
        helps = rate < limit and waiting > self.WAITING and left > max(2 * LEAST_HALF, rate * 0.5)
        self._looks = self._looks + 1 if helps else 0
        return self._looks >= (self.LOOKS if rate < self.FAST / 4 else self.MORE_LOOKS)


class Connections:
    """How many connections there should be: more while that brings more, fewer where the server objects.

    Parameters
    ----------
    most : int
        The most there may be.
    now : float
        The time in seconds.
    """

    FIRST = 8
    STEP = 4
    LOOK_S = 1.0
    #: seconds of peace after a connection has failed
    PEACE_S = 2.0

    def __init__(self, most: int, now: float) -> None:
        self.most = max(1, most)
        self.wanted = min(self.FIRST, self.most)
        self._before: tuple[int, float] | None = None
        self._settled = False
        self._since, self._arrived = now, 0
        self._peace = now

    def look(self, now: float, arrived: int) -> int:
        """Return how many there should be, now that so many bytes have arrived in all.

        Examples
        --------
        >>> line = Connections(16, now=0.0)
        >>> [line.look(t, n) for t, n in ((1.1, 80), (2.2, 200), (3.3, 360))]
        [12, 16, 16]
        """
        if now < self._peace:
            self._since, self._arrived = now, arrived
        seconds = now - self._since
        if seconds < self.LOOK_S:
            return self.wanted
        rate = (arrived - self._arrived) / seconds
        self._since, self._arrived = now, arrived
        if self._before is not None and rate < 1.05 * self._before[1]:
            # the last ones brought nothing
            self.wanted, self._before, self._settled = self._before[0], None, True
        elif not self._settled and self.wanted < self.most:
            self._before = (self.wanted, rate)
            step = self.STEP if self.wanted >= self.FIRST else 1
            self.wanted = min(self.most, self.wanted + step)
        return self.wanted

    def failed(self, now: float, others: int) -> None:
        """Take note that a connection failed while so many others did not."""
        self.wanted = max(1, min(self.wanted, others))
        self._before, self._settled = None, False
        self._peace = now + self.PEACE_S
