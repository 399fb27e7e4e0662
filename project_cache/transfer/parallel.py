"""Several connections at work on the gaps of one part."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Mapping

import blake3

from project_cache.errors import StoreError
from project_cache.sources.base import Progress
from project_cache.store.journal import Extent
from project_cache.store.part import Part
from project_cache.transfer.pieces import Connections, Piece, Pieces, piece_bytes
from project_cache.transfer.plan import Again, Asked, Continue, Fail, Restart, judge
from project_cache.transfer.retry import Budget, Limiter
from project_cache.transfer.transport import Answer, Dropped, Transport

__all__ = ["Crew", "Stream"]

#: how often the crew is looked after
_TICK_S = 0.05
#: how often the journal says what is there: in seconds, and at every n-th of the object
_CHECKPOINT_S = 0.25
_CHECKPOINTS = 64
#: how many pieces are taken in before it is looked after again
_AT_ONCE = 8
#: how often bytes that were written and are not what was written are fetched again
_ROUNDS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body goes on at the part's position, and the rest of its blocks."""

    answer: Answer
    blocks: Iterator[bytes | memoryview]


class Crew:
    """Connections that fill the gaps of a part together.

    The thread that calls :meth:`run` writes the journal, takes in what has arrived at the front, tells the
    progress and waits after failures; each connection has a thread that does nothing but receive and write. A
    connection that fails gives its piece back and is gone, while there are others: a server that does not like so
    many keeps as many as it likes. The failures of the last one count, and are waited after.

    Parameters
    ----------
    url : str
        Of the object.
    part : Part
        With the size and the validator of what it is to hold in its journal.
    transport : Transport
        Makes all requests.
    headers : mapping
        Sent with every request.
    progress : callable
        Told by the calling thread.
    budget, limiter : Budget, Limiter
        Patience, and how fast it may be.
    """

    def __init__(
        self,
        url: str,
        part: Part,
        *,
        transport: Transport,
        headers: Mapping[str, str],
        progress: Progress,
        budget: Budget,
        limiter: Limiter,
    ) -> None:
        assert part.journal.size is not None
        self._url, self._part, self._transport, self._headers = url, part, transport, dict(headers)
        self._progress, self._budget, self._limiter = progress, budget, limiter
        self._size = part.journal.size
        self._now = budget.clock.now
        self._connections = Connections(budget.policy.connections, self._now())
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._pieces = Pieces((), 1)
        self._hashers: dict[Piece, blake3.blake3] = {}
        self._threads: list[threading.Thread] = []
        self._arrived = 0
        self._failed: Again | None = None
        self._verdict: Again | Fail | BaseException | None = None
        self._whole_only = False
        self._ranges_work = False

    def run(self, stream: Stream | None = None) -> Again | Fail | None:
        """Return None when all bytes are there, or why they are not.

        Parameters
        ----------
        stream : Stream, optional
            A connection that is there already.
        """
        self._part.spread()
        step = piece_bytes(self._size, self._budget.policy.part_bytes)
        try:
            for _ in range(_ROUNDS):
                self._pieces = Pieces(self._part.gaps(), step, self._budget.policy.stalled_s)
                if stream is not None:
                    self._start(self._pieces.take_at(self._part.position, self._now()), stream)
                    stream = None
                outcome = self._look_after()
                if outcome is not None:
                    return outcome
                while self._part.advance():
                    self._progress(self._part.held, self._size)
                if self._part.position == self._size:
                    return None
            raise StoreError(
                f"{self._part.path} does not hold what is written to it, again and again: check the drive. "
                f"Nothing was stored."
            )
        finally:
            self._disband()

    def _look_after(self) -> Again | Fail | None:
        """Return None when all pieces have arrived, or why that will not be."""
        held, checkpoint = self._part.held, self._now()
        began = noted = self._arrived
        while True:
            self._wake.wait(_TICK_S)
            self._wake.clear()
            now = self._now()
            with self._lock:
                verdict, failed, self._failed = self._verdict, self._failed, None
                flying, done, arrived = len(self._pieces.flying), self._pieces.all_there, self._arrived
            if isinstance(verdict, BaseException):
                raise verdict
            if verdict is not None:
                return verdict
            self._progress(held + arrived - began, self._size)
            self._budget.advanced(held + arrived - began)
            if done:
                return None
            if self._budget.overdue:
                return Again("it came too slowly", kind="timeout")
            if failed is not None:
                self._connections.failed(now, flying)
                if not flying:
                    if self._whole_only:
                        return Again("the server does not send parts", fresh=True, kind="whole")
                    if not self._budget.failed():
                        return failed
                    self._budget.wait(failed.retry_after)
            self._hire(self._connections.look(now, arrived))
            for _ in range(_AT_ONCE):
                if not self._part.advance():
                    break
            if now - checkpoint > _CHECKPOINT_S or arrived - noted > self._size // _CHECKPOINTS:
                self._part.checkpoint(self._unfinished())
                checkpoint, noted = now, arrived

    def _hire(self, wanted: int) -> None:
        while True:
            with self._lock:
                full = len(self._pieces.flying) >= (1 if self._whole_only else wanted)
                piece = None if full else self._take()
            if piece is None:
                return
            self._start(piece, None)

    def _start(self, piece: Piece | None, stream: Stream | None) -> None:
        thread = threading.Thread(target=self._work, args=(piece, stream), daemon=True, name="transfer")
        self._threads.append(thread)
        thread.start()

    def _unfinished(self) -> list[Extent]:
        with self._lock:
            return [
                Extent(piece.start, piece.position, hasher.hexdigest())
                for piece, hasher in self._hashers.items()
                if piece.position > piece.start
            ]

    def _disband(self) -> None:
        """Let nobody write any more, and keep what has arrived."""
        with self._lock:
            flying = list(self._pieces.flying)
            self._verdict = self._verdict or Again("over")
        for piece in flying:
            self._give_back(piece)
        for thread in self._threads:
            # those that wait for a silent server end by themselves; nobody needs to wait for them
            thread.join(0.5 if not flying else 0.05)

    # In the threads of the connections ---------------------------------------------------------

    def _work(self, piece: Piece | None, stream: Stream | None) -> None:
        try:
            if stream is not None:
                with contextlib.closing(stream.answer):
                    self._receive(piece, stream.blocks, follow=True)
                piece = self._next()
            while piece is not None:
                failure = self._fetch(piece)
                if failure is not None:
                    with self._lock:
                        self._failed = failure
                    return
                piece = self._next()
        except Dropped as drop:
            with self._lock:
                self._failed = Again(str(drop), kind="timeout" if drop.timeout else "dropped")
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that called
            with self._lock:
                self._verdict = self._verdict or error
        finally:
            self._wake.set()

    def _next(self) -> Piece | None:
        with self._lock:
            enough = len(self._pieces.flying) >= self._connections.wanted
            if self._verdict is not None or self._whole_only or enough:
                return None
            return self._take()

    def _take(self) -> Piece | None:
        piece = self._pieces.take(self._now())
        while self._pieces.left_behind:
            self._count(self._pieces.left_behind.pop())
        return piece

    def _count(self, piece: Piece) -> None:
        hasher = self._hashers.pop(piece, None)
        if hasher is not None:
            self._part.add(Extent(piece.start, piece.position, hasher.hexdigest()))

    def _fetch(self, piece: Piece) -> Again | None:
        """Return None when a piece has come, or why it has not."""
        journal = self._part.journal
        asked = Asked(
            piece.start, journal.validator, self._size, piece.end, condition=self._transport.condition
        )
        with self._lock:
            self._budget.requests += 1
        try:
            with contextlib.closing(
                self._transport.get(self._url, {**self._headers, **asked.headers})
            ) as answer:
                verdict = judge(answer.status, answer.headers, asked)
                if isinstance(verdict, Continue):
                    self._ranges_work = True
                    self._receive(piece, answer.blocks(), follow=False)
                    return None if not piece.left else Again("the connection ended early")
        except Dropped as drop:
            return Again(str(drop), kind="timeout" if drop.timeout else "dropped")
        finally:
            self._give_back(piece)
        if isinstance(verdict, Restart) and verdict.validator == journal.validator:
            # Range means nothing to it, or to one of several servers behind one name. Who receives all of it goes on.
            self._whole_only = not self._ranges_work
            return Again("the server does not send parts", kind="whole")
        if isinstance(verdict, Restart):
            verdict = Again(
                "the object changed on the server during the transfer", fresh=True, kind="content"
            )
        if isinstance(verdict, Fail) or verdict.fresh:
            with self._lock:
                self._verdict = self._verdict or verdict
            return None
        return verdict

    def _receive(self, piece: Piece | None, blocks: Iterator[bytes | memoryview], *, follow: bool) -> None:
        """Write what comes where it belongs, up to the end of the piece; or of those that follow it."""
        try:
            for block in blocks:
                self._limiter.took(len(block))
                rest = memoryview(block)
                while piece is not None and len(rest):
                    rest = rest[self._keep(piece, rest) :]
                    if not piece.left:
                        self._give_back(piece)
                        piece = self._following(piece) if follow else None
                if piece is None:
                    return
        finally:
            if piece is not None:
                self._give_back(piece)

    def _following(self, piece: Piece) -> Piece | None:
        with self._lock:
            return self._pieces.take_at(piece.end, self._now()) if self._verdict is None else None

    def _keep(self, piece: Piece, data: memoryview) -> int:
        """Write bytes of a piece; return how many were its own."""
        with self._lock:
            own = data[: piece.left]
            if len(own):
                self._part.put(piece.position, own)
                self._hashers.setdefault(piece, blake3.blake3()).update(own)
                piece.position += len(own)
                piece.heard = self._now()
                self._arrived += len(own)
        return len(own)

    def _give_back(self, piece: Piece) -> None:
        """Have what has come of a piece counted, and the rest free for others."""
        with self._lock:
            self._pieces.ended(piece)
            self._count(piece)
