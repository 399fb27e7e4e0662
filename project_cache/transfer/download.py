"""Fetching one object: resumed, checked, over as many connections as help; in the end whole, or one clear error."""

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
from project_cache.store.journal import Journal
from project_cache.store.part import Part
from project_cache.transfer.address import redacted
from project_cache.transfer.content import HEAD, Corrupt, Expect, complaint, decoded
from project_cache.transfer.parallel import Crew, Stream
from project_cache.transfer.pieces import Pulse
from project_cache.transfer.plan import (
    Again,
    Asked,
    Continue,
    Fail,
    judge,
    next_request,
    resumable,
    strong_etag,
)
from project_cache.transfer.retry import Budget, Clock, Limiter, Policy
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

    def write(self, data: bytes | memoryview, *, lasting: bool = False) -> None:
        """Add bytes; ``lasting`` ones stay as they are for as long as they are held."""

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

    A part that holds bytes of that version already is continued. After a drop the rest is asked for with Range
    and If-Range (If-Match of S3), bound to a strong ETag; an object that has none, or another by now, begins
    anew. It begins as one stream; where the line is what is waited for, further connections fetch the rest in
    pieces (:mod:`project_cache.transfer.parallel`).

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
    begun = next_request(part.journal, part.position, origin).start
    budget = Budget(policy, clock, begun)
    request = _Request(
        url,
        origin,
        expect,
        headers or {},
        transport,
        progress,
        budget,
        Limiter(policy.bytes_per_second, clock),
    )
    fresh = False
    try:
        while True:
            asked = (
                Asked() if fresh else next_request(part.journal, part.position, origin, transport.condition)
            )
            if asked.nothing:
                return Filled(origin, size=part.journal.size, validator=part.journal.validator)
            before = part.journal
            if not fresh and isinstance(part, Part) and _has_holes(part, origin):
                outcome = _together(request, part)
            else:
                outcome = _one_stream(request, asked, part)
            if isinstance(outcome, Filled):
                return outcome
            request.alone = request.alone or outcome.kind == "whole"
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


def _has_holes(part: Part, origin: str) -> bool:
    """Return whether bytes are there that do not follow the others."""
    return part.held > part.position and part.journal.size is not None and resumable(part.journal, origin)


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

    def write(self, data: bytes | memoryview, *, lasting: bool = False) -> None:
        if self.position + len(data) > MEMORY_LIMIT:
            raise ContentError(
                f"{self.journal.origin} sent more than {MEMORY_LIMIT >> 20} MiB where a short answer was expected."
            )
        self.data += data
        self.position += len(data)

    def checkpoint(self) -> None:
        """Nothing here outlives the process."""


@dataclasses.dataclass(slots=True)
class _Request:
    url: str
    origin: str
    expect: Expect
    headers: Mapping[str, str]
    transport: Transport
    progress: Progress
    budget: Budget
    limiter: Limiter
    #: whether a single connection is all that there may be
    alone: bool = False


def _together(request: _Request, part: Part, stream: Stream | None = None) -> Filled | Again:
    """Return what several connections brought: the object, whole, or why to ask again."""
    crew = Crew(
        request.url,
        part,
        transport=request.transport,
        headers=request.headers,
        progress=request.progress,
        budget=request.budget,
        limiter=request.limiter,
    )
    outcome = crew.run(stream)
    if isinstance(outcome, Fail):
        raise _refused(outcome, request.origin)
    if outcome is not None:
        return outcome
    return Filled(request.origin, size=part.journal.size, validator=part.journal.validator)


def _one_stream(request: _Request, asked: Asked, part: Sink) -> Filled | Again:
    """Return what one request brought (others may have helped it): the object, whole, or why to ask again."""
    size: int | None
    until: int | None
    request.budget.requests += 1
    with contextlib.ExitStack() as open_answers:
        try:
            answer = request.transport.get(request.url, {**request.headers, **asked.headers})
            open_answers.callback(answer.close)
            verdict = judge(answer.status, answer.headers, asked)
            if isinstance(verdict, Fail):
                raise _refused(verdict, request.origin)
            if isinstance(verdict, Again):
                return verdict
            blocks = answer.blocks()
            if isinstance(verdict, Continue):
                size, until, given = verdict.size, verdict.until, asked.validator
            else:
                if verdict.encoding:
                    blocks = decoded(blocks, verdict.encoding)
                size = until = verdict.size
                given = verdict.given
                head = _head(blocks)
                _check_head(head, request)  # before anything that is here already is let go
                part.restart(origin=request.origin, validator=verdict.validator, size=size)
                blocks = _joined(head, blocks)
            request.progress(part.position, size)
            pulse = None
            if isinstance(part, Part) and until == size and _divisible(request, part, answer.headers):
                pulse = Pulse(request.budget.clock.now())
            again = _received(request, part, blocks, until, size, pulse)
            if again is not None and again.kind == "split" and isinstance(part, Part):
                open_answers.pop_all()  # the crew closes it
                return _together(request, part, Stream(answer, blocks))
            if again is not None:
                return again
        except Dropped as drop:
            return Again(str(drop), kind="timeout" if drop.timeout else "dropped")
        except Corrupt as error:
            return Again(str(error), kind="content")
    if size is not None and part.position < size:
        return Again("the connection ended early")
    return Filled(request.origin, size=size, validator=given)


def _divisible(request: _Request, part: Part, headers: Mapping[str, str]) -> bool:
    """Return whether several connections could share what is left of an object."""
    policy, size = request.budget.policy, part.journal.size
    return (
        not request.alone
        and policy.connections > 1
        and size is not None
        and size - part.position >= 2 * policy.part_bytes
        and strong_etag(part.journal.validator) is not None
        and headers.get("accept-ranges", "").strip().lower() != "none"
    )


def _received(
    request: _Request,
    part: Sink,
    blocks: Iterator[bytes | memoryview],
    until: int | None,
    size: int | None,
    pulse: Pulse | None,
) -> Again | None:
    """Write what comes; return None at its end, or why it is left before that."""
    now = request.budget.clock.now
    waiting = 0.0 if pulse is None else now()
    for block in blocks:
        if pulse is not None:
            pulse.beat(len(block), now() - waiting)
        if until is not None and part.position + len(block) > until:
            raise ContentError(
                f"{request.origin} sent more bytes than the {until} that it promised. Nothing was "
                f"stored of it; tell those who run the server, or use another source."
            )
        part.write(block, lasting=True)
        request.progress(part.position, size)
        request.budget.advanced(part.position)
        if request.budget.overdue:
            return Again("it came too slowly", kind="timeout")
        request.limiter.took(len(block))
        if pulse is not None and size is not None:
            waiting = now()
            if pulse.says_split(waiting, size - part.position, request.budget.policy.bytes_per_second):
                return Again("others could help", kind="split")
    return None


def _head(blocks: Iterator[bytes | memoryview]) -> bytes:
    """Return the first bytes: enough to tell what they are."""
    head = b""
    for block in blocks:
        head += block
        if len(head) >= HEAD:
            break
    return head


def _joined(head: bytes, blocks: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
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
    there = part.held if isinstance(part, Part) else part.position
    held = there if part.journal.origin == origin else 0
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
