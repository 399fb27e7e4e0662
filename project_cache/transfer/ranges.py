"""Ranges of a remote object: each by a request of its own, all of one version."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from project_cache.errors import ContentError, MissingObjectError, ServerError
from project_cache.transfer.address import redacted
from project_cache.transfer.request import ask
from project_cache.transfer.retry import Budget, Clock, Policy
from project_cache.transfer.transport import Answer, Dropped, Transport

__all__ = ["GAP", "Address", "Range", "Ranges", "coalesced"]

#: two ranges that are no further apart are one request: on a usual line that is sooner than a second one
GAP = 256 << 10
#: what one of several requests brings at most
PIECE = 8 << 20

#: the first byte, and the byte after the last
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an object can be read by ranges, and how.

    Attributes
    ----------
    url : str
        With whatever secrets it has, which are not shown.
    transport : Transport
        Makes the requests.
    headers : mapping
        Sent with every request to that host.
    policy, clock : Policy, Clock
        Patience and time.
    """

    url: str
    transport: Transport
    headers: Mapping[str, str]
    policy: Policy
    clock: Clock

    def __repr__(self) -> str:
        return f"Address({redacted(self.url)!r})"


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


class Ranges:
    """A remote object, of which ranges are got.

    The first answer's ETag goes with every further request and is compared with every further answer's, and an object
    that changes on the way raises.

    Parameters
    ----------
    address : Address
        Where it is.
    size : int, optional
        Its bytes, where they are known before the first answer; another size then raises.
    validator : str, optional
        The ETag of the version that is meant, where it is known.

    Attributes
    ----------
    size : int
        Bytes; -1 while that is not known.
    validator : str or None
        The version's ETag.
    requests, received : int
        How many requests were made, and how many bytes they brought.

    Notes
    -----
    Several threads may get ranges at once. No lock is held at any time: why, says
    :class:`~project_cache.transfer.remote.RemoteBytes`.
    """

    def __init__(self, address: Address, *, size: int | None = None, validator: str | None = None) -> None:
        self.address = address
        self.size = -1 if size is None else size
        self.validator = validator
        self.requests = self.received = 0
        self._date: str | None = None
        self._transport, self._pid = address.transport, os.getpid()

    @property
    def shown(self) -> str:
        """The address, without its secrets."""
        return redacted(self.address.url)

    @property
    def met(self) -> bool:
        """Whether the server has answered."""
        return self.received > 0

    def _line(self) -> Transport:
        # a forked child must not talk over its parent's connections
        if self._pid != os.getpid():
            self._transport, self._pid = copy.copy(self.address.transport), os.getpid()
        return self._transport

    def get(self, start: int, stop: int) -> bytes:
        """Return the bytes of a range by one request, or several where the line fails.

        Raises
        ------
        MissingObjectError
            The server does not have the object.
        ContentError
            It sends something else than that part of it, or of another version.
        TransferError
            It could not be read (:class:`~project_cache.errors.ServerError`: the server says so).
        """
        if self.size >= 0:
            stop = min(stop, self.size)
        transport = self._line()
        budget = Budget(self.address.policy, self.address.clock)

        def send() -> Answer:
            headers = {
                **self.address.headers,
                "Range": f"bytes={start}-{stop - 1}",
                "Accept-Encoding": "identity",
            }
            if self.validator is not None:
                headers[transport.condition] = self.validator
            self.requests += 1
            return transport.get(self.address.url, headers)

        return ask(send, lambda answer: self._taken(answer, start, stop), shown=self.shown, budget=budget)

    def _taken(self, answer: Answer, start: int, stop: int) -> bytes:
        self._accept(answer, start)
        stop = min(stop, self.size)
        data = bytearray()
        for block in answer.blocks():
            data += block
            if len(data) > stop - start:
                raise ContentError(f"The server of {self.shown} sent more than was asked for.")
        self.received += len(data)
        if len(data) != stop - start:
            raise Dropped("the answer was cut short")
        return bytes(data)

    def _accept(self, answer: Answer, start: int) -> None:
        """Raise if an answer is not the range that was asked for, of the version that was begun with."""
        if answer.status in (404, 410):
            raise MissingObjectError(f"There is no {self.shown}.")
        if answer.status == 412 or (answer.status == 200 and self.validator is not None):
            raise self._changed()
        where, _, total = answer.headers.get("content-range", "").removeprefix("bytes ").partition("/")
        first, _, last = where.partition("-")
        ranged = first == str(start) and all(
            n.isascii() and n.isdigit() and len(n) < 19 for n in (last, total)
        )
        if answer.status == 416:
            raise self._changed() if self.size >= 0 else ContentError(f"{self.shown} is empty.")
        if answer.status == 200:
            raise ContentError(
                f"The server of {self.shown} does not send parts of files, so nothing can be streamed from it. Fetch "
                f"the file instead (stream=False)."
            )
        if answer.status != 206:
            raise ServerError(
                f"{self.shown} cannot be read: the server answered {answer.status}.", answer.status
            )
        encoding = answer.headers.get("content-encoding", "").strip().lower()
        # "aws-chunked" is left by some uploads to S3, and says nothing of the bytes
        if not ranged or encoding not in ("", "identity", "aws-chunked"):
            raise ContentError(
                f"The server sent something else than the part of {self.shown} that was asked for."
            )
        if self.size not in (-1, int(total)):
            raise self._changed()
        tag, date = answer.headers.get("etag", ""), answer.headers.get("last-modified")
        if tag.startswith('"'):
            # servers that do not know the condition send the part of whatever they have
            if self.validator not in (None, tag):
                raise self._changed()
            self.validator = tag
        elif self._date not in (None, date):
            raise self._changed()
        self._date = date
        self.size = int(total)

    def _changed(self) -> ContentError:
        if self.met:
            return ContentError(f"{self.shown} was changed while it was read. Open the session again.")
        return ContentError(
            f"{self.shown} is another version than the one that was meant. Update the project, or open the session again."
        )
