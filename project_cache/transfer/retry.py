"""Patience: how often, how long and how patiently a transfer is tried again."""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import random
import threading
import time
from collections.abc import Callable

__all__ = ["Budget", "Clock", "Limiter", "Policy", "retry_after_s"]


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """How a transfer behaves on a bad line.

    Attributes
    ----------
    tries : int
        How many requests in a row may fail without bringing anything new.
    connect_s, silence_s : float
        Seconds until a connection must stand, and without a single byte, before a request is given up.
    patience_s : float
        Seconds in which at least ``worth`` new bytes must arrive, over all requests and waits; a transfer that
        moves, however slowly, is never stopped.
    first_wait_s, longest_wait_s : float
        The wait before the n-th further try is drawn from 0 to ``first_wait_s * 2**n``, never more than
        ``longest_wait_s``.
    longest_retry_after_s : float
        What a server asks for in Retry-After is waited, up to this.
    worth : int
        How many new bytes count as progress, which makes all tries good again.
    redirects : int
        How many redirects are followed.
    connections : int
        How many connections may be at work on one object; 1: never more than one.
    part_bytes : int
        No planned part of an object that comes over several connections is smaller.
    stalled_s : float
        Seconds without a byte after which what is left of a part is asked for over another connection, once there
        is nothing else to do.
    bytes_per_second : float, optional
        Never faster than this, over all connections of one object.
    """

    tries: int = 6
    connect_s: float = 20.0
    silence_s: float = 60.0
    patience_s: float = 1200.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    longest_retry_after_s: float = 300.0
    worth: int = 256 << 10
    redirects: int = 10
    connections: int = 16
    part_bytes: int = 8 << 20
    stalled_s: float = 5.0
    bytes_per_second: float | None = None

    def backoff_s(self, failures: int, draw: float) -> float:
        """Return how long to wait after so many failures in a row; ``draw`` is from 0 to 1.

        Examples
        --------
        >>> [Policy().backoff_s(n, 1.0) for n in (1, 2, 3, 20)]
        [0.5, 1.0, 2.0, 60.0]
        >>> Policy().backoff_s(3, 0.5)
        1.0
        """
        return draw * min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 60))


@dataclasses.dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, so that tests need neither wait nor hope.

    Attributes
    ----------
    now, wall : callable
        Seconds that only go forward; seconds since 1970.
    sleep : callable
        Waits so many seconds.
    draw : callable
        A number from 0 to 1.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random


def retry_after_s(value: str | None, wall: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date), or None.

    Examples
    --------
    >>> retry_after_s("120", 0.0)
    120.0
    >>> retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", 45.0)
    15.0
    >>> retry_after_s("soon", 0.0) is None
    True
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max(0.0, date.timestamp() - wall)


class Budget:
    """What is left of the tries and the patience for one object.

    Progress is measured against the furthest byte that was ever reached: a server whose objects cannot be
    resumed, and which drops each of them half-way, does not keep anyone busy for ever.
    """

    def __init__(self, policy: Policy, clock: Clock, position: int = 0) -> None:
        self.policy = policy
        self.clock = clock
        self.requests = 0
        self._furthest = position
        self._failures = 0
        self._since = clock.now()

    def advanced(self, position: int) -> None:
        """Take note that the object is there up to ``position``."""
        if position >= self._furthest + self.policy.worth:
            self._furthest = position
            self._failures = 0
            self._since = self.clock.now()

    @property
    def overdue(self) -> bool:
        """Whether nothing new has come for longer than the policy's patience."""
        return self.clock.now() - self._since > self.policy.patience_s

    def failed(self) -> bool:
        """Count a request that failed; return whether another may be made."""
        self._failures += 1
        return self._failures < self.policy.tries and not self.overdue

    def wait(self, retry_after: str | None) -> None:
        """Wait before the next request: as long as the server asks for, or for a time drawn by chance."""
        asked = retry_after_s(retry_after, self.clock.wall())
        seconds = self.policy.backoff_s(self._failures, self.clock.draw())
        if asked is not None:
            # all who were sent away at once should not come back at once
            spread = self.policy.first_wait_s * self.clock.draw()
            seconds = min(asked, self.policy.longest_retry_after_s) + spread
        self.clock.sleep(seconds)


class Limiter:
    """What keeps a transfer from being faster than it may be; one for all its connections."""

    def __init__(self, bytes_per_second: float | None, clock: Clock) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._free_at = clock.now() if bytes_per_second else 0.0
        self._guard = threading.Lock()

    def took(self, count: int) -> None:
        """Wait as long as ``count`` bytes have to take."""
        if not self._rate:
            return
        with self._guard:
            now = self._clock.now()
            self._free_at = max(now, self._free_at) + count / self._rate
            wait = self._free_at - now
        if wait > 0.01:
            self._clock.sleep(wait)
