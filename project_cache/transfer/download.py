"""Fetching one object over HTTP: resumed, checked, and in the end whole or one clear error."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Protocol

from project_cache.errors import (
    ContentError,
    ServerError,
    StoreError,
    TransferError,
    TransferTimeoutError,
)
from project_cache.sources.base import Filled, Progress, silent
from project_cache.store.part import Journal
from project_cache.transfer.address import redacted
from project_cache.transfer.content import HEAD, Corrupt, Expect, complaint, decoded
from project_cache.transfer.plan import Again, Asked, Continue, Fail, judge, next_request
from project_cache.transfer.retry import Budget, Clock, Policy
from project_cache.transfer.transport import Dropped, Transport

__all__ = ["Sink", "download", "read"]

#: no answer that is kept in memory may be larger
MEMORY_LIMIT = 256 << 20


class Sink(Protocol):
    """What bytes are written to; :class:`project_cache.store.part.Part` is one."""

    journal: Journal
    position: int

    def restart(self, *, origin: str, validator: str | None = None, size: int | None = None) -> None:
        """Let go of all bytes and begin anew."""

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""

    def checkpoint(self) -> None:
        """Make sure of what is there."""


def download(
    url: str,
    part: Sink,
    *,
    transport: Transport,
    expect: Expect = "any",
    headers: Mapping[str, str] | None = None,
    progress: Progress = silent,
    policy: Policy | None = None,
    clock: Clock | None = None,
) -> Filled:
    """Return what was fetched into ``part``: all bytes of one version of the object at ``url``.

    A part that holds the beginning of that version already is continued. After a drop the rest is asked for
    with Range and If-Range, bound to a strong ETag; an object that has none, or another by now, begins anew.

    Parameters
    ----------
    url : str
        http or https.
    part : Part
        Where the bytes go.
    transport : Transport
        What makes the requests.
    expect : {"binary", "table", "json", "any"}
        What the object should look like; a web page in place of a file is refused, and not stored.
    headers : mapping, optional
        Sent to the host of ``url``, and to no other.
    progress : callable
        Told of every block.
    policy, clock : Policy, Clock
        Patience and time.

    Raises
    ------
    ServerError
        The server said no (``.status``), or said "later" for all the tries there were.
    TransferTimeoutError
        It stopped answering.
    ContentError
        It sent something else than was asked for.
    TransferError
        Anything else. What has arrived is in the part, safely, and the next call goes on there.
    """
    policy, clock = policy or Policy(), clock or Clock()
    origin = redacted(url)
    budget = Budget(policy, clock, next_request(part.journal, part.position, origin).start)
    fresh = False
    try:
        while True:
            asked = Asked() if fresh else next_request(part.journal, part.position, origin)
            if asked.nothing:
                return Filled(origin, size=part.journal.size, validator=part.journal.validator)
            budget.requests += 1
            before = part.journal
            transfer = _Request(url, origin, asked, expect, {**(headers or {}), **asked.headers})
            outcome = _one_request(transfer, part, transport, progress, budget)
            if isinstance(outcome, Filled):
                return outcome
            fresh = outcome.fresh or (fresh and part.journal is before)
            if not budget.failed():
                raise _given_up(outcome, origin, part, budget)
            if not outcome.fresh:
                budget.wait(outcome.retry_after)
    except BaseException:
        # Ctrl-C too. If the disk is the trouble, this fails as well, and the first error says more.
        with contextlib.suppress(StoreError, OSError):
            part.checkpoint()
        raise


def read(
    url: str,
    *,
    transport: Transport,
    expect: Expect = "any",
    policy: Policy | None = None,
    clock: Clock | None = None,
) -> bytes:
    """Return the bytes at ``url``, with the same patience and the same checks as :func:`download`."""
    memory = _Memory()
    download(url, memory, transport=transport, expect=expect, policy=policy, clock=clock)
    return bytes(memory.data)


class _Memory:
    """A sink for small answers."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.data = bytearray()
        self.position = 0

    def restart(self, *, origin: str, validator: str | None = None, size: int | None = None) -> None:
        self.journal = Journal(origin=origin, validator=validator, size=size)
        self.data = bytearray()
        self.position = 0

    def write(self, data: bytes | memoryview) -> None:
        if self.position + len(data) > MEMORY_LIMIT:
            raise ContentError(
                f"{self.journal.origin} sent more than {MEMORY_LIMIT >> 20} MiB where a short answer was expected."
            )
        self.data += data
        self.position += len(data)

    def checkpoint(self) -> None:
        """Nothing here outlives the process."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    url: str
    origin: str
    asked: Asked
    expect: Expect
    headers: Mapping[str, str]


def _one_request(
    request: _Request, part: Sink, transport: Transport, progress: Progress, budget: Budget
) -> Filled | Again:
    """Return what one request brought: the object, whole, or why to ask again."""
    size: int | None
    until: int | None
    try:
        with contextlib.closing(transport.get(request.url, request.headers)) as answer:
            verdict = judge(answer.status, answer.headers, request.asked)
            if isinstance(verdict, Fail):
                raise _refused(verdict, request.origin)
            if isinstance(verdict, Again):
                return verdict
            blocks = answer.blocks()
            if isinstance(verdict, Continue):
                size, until, given = verdict.size, verdict.until, request.asked.validator
            else:
                if verdict.encoding:
                    blocks = decoded(blocks, verdict.encoding)
                size = until = verdict.size
                given = verdict.given
                head = _head(blocks)
                _check_head(head, request)  # before anything that is here already is let go
                part.restart(origin=request.origin, validator=verdict.validator, size=size)
                blocks = _joined(head, blocks)
            progress(part.position, size)
            for block in blocks:
                if until is not None and part.position + len(block) > until:
                    raise ContentError(
                        f"{request.origin} sent more bytes than the {until} that it promised. Nothing was "
                        f"stored of it; tell those who run the server, or use another source."
                    )
                part.write(block)
                progress(part.position, size)
                budget.advanced(part.position)
                if budget.overdue:
                    return Again("it came too slowly", kind="timeout")
    except Dropped as drop:
        return Again(str(drop), kind="timeout" if drop.timeout else "dropped")
    except Corrupt as error:
        return Again(str(error), kind="content")
    if size is not None and part.position < size:
        return Again("the connection ended early")
    return Filled(request.origin, size=size, validator=given)


def _head(blocks: Iterator[bytes]) -> bytes:
    """Return the first bytes: enough to tell what they are."""
    head = b""
    for block in blocks:
        head += block
        if len(head) >= HEAD:
            break
    return head


def _joined(head: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from blocks


def _check_head(head: bytes, request: _Request) -> None:
    what = complaint(head[:HEAD], request.expect)
    if what is not None:
        raise ContentError(
            f"{request.origin} answered with {what} in place of the data, so nothing was stored. A proxy or a "
            f"login page may be in between: open that address in a browser, or try again later."
        )


def _refused(verdict: Fail, origin: str) -> TransferError:
    if not verdict.status:
        return ContentError(f"{origin}: {verdict.reason}; nothing was stored.")
    advice = {
        401: "It wants credentials.",
        403: "It does not allow this, or wants credentials.",
        404: "There is no such file.",
        407: "The proxy wants credentials: put them into HTTPS_PROXY.",
        410: "The file was removed.",
    }.get(verdict.status, "Asking again would not help.")
    return ServerError(f"{origin}: {verdict.reason}. {advice}", verdict.status)


def _given_up(last: Again, origin: str, part: Sink, budget: Budget) -> TransferError:
    held = part.position if part.journal.origin == origin else 0
    of = f" of {part.journal.size}" if held and part.journal.size is not None else ""
    kept = (
        "What arrived is kept: the next call goes on where this one stopped."
        if held and part.journal.validator and not last.fresh
        else "Try again later."
    )
    times = "1 request" if budget.requests == 1 else f"{budget.requests} requests"
    text = (
        f"{origin} did not arrive: {last.reason} (gave up after {times}; {held}{of} bytes are here). {kept}"
    )
    if last.kind == "status":
        return ServerError(text, last.status)
    if last.kind == "timeout" or budget.overdue:
        return TransferTimeoutError(text)
    if last.kind == "content":
        return ContentError(text)
    return TransferError(text)
