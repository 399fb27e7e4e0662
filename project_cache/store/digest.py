"""The digest of bytes as they come, one after another, with marks on the way."""

from __future__ import annotations

import queue
import threading
from typing import Protocol, Self, cast

from project_cache.files import new_hasher

__all__ = ["Hasher", "RunningDigest", "copyable"]

#: a mark is made every so many bytes, or a thousand times in a large object
MARK_BYTES = 8 << 20
#: what is longer than this has a thread of its own for its digest
_LONG = 32 << 20
#: how many blocks may wait for it
_WAITING = 16


class Hasher(Protocol):
    """What hashlib's and blake3's objects have in common."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the digest of the bytes so far."""

    def copy(self) -> Self:
        """Return another that has had the same bytes."""


def copyable(algorithm: str) -> Hasher:
    """Return an empty hasher."""
    return cast(Hasher, new_hasher(algorithm))


class RunningDigest:
    """The digest of the bytes so far.

    After the first megabytes it is computed in a thread beside the one that brings the bytes: hashing lets go of
    the interpreter, as receiving and writing do.

    Parameters
    ----------
    algorithm : str
        ``"blake3"`` or ``"sha256"``.
    size : int or None
        How many bytes there are to be, where that is known.

    Attributes
    ----------
    marks : list of (int, str)
        Numbers of bytes, growing, and the digest of all bytes up to there.
    """

    def __init__(self, algorithm: str, size: int | None = None) -> None:
        self.algorithm = algorithm
        self.marks: list[tuple[int, str]] = []
        self._spacing = max(MARK_BYTES, (size or 0) >> 10)
        self._hasher = copyable(algorithm)
        self._count = 0
        self._queue: queue.Queue[bytes | None] | None = None
        self._thread: threading.Thread | None = None

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        if self._count < _LONG or not isinstance(data, bytes):
            self._settle()  # a view's bytes may be others in a moment
            self._take(data)
            return
        if self._queue is None:
            self._queue = queue.Queue(_WAITING)
            self._thread = threading.Thread(
                target=self._work, args=(self._queue,), daemon=True, name="digest"
            )
            self._thread.start()
        self._queue.put(data)

    def _work(self, blocks: queue.Queue[bytes | None]) -> None:
        while (block := blocks.get()) is not None:
            self._take(block)
            blocks.task_done()

    def _take(self, data: bytes | memoryview) -> None:
        self._hasher.update(data)
        self._count += len(data)
        if self._count - (self.marks[-1][0] if self.marks else 0) >= self._spacing:
            self.marks.append((self._count, self._hasher.hexdigest()))

    def _settle(self) -> None:
        if self._queue is not None:
            self._queue.join()

    def close(self) -> None:
        """Let the thread go; the digest stays."""
        if self._queue is not None and self._thread is not None:
            self._queue.join()
            self._queue.put(None)
            self._thread.join()
            self._queue = self._thread = None

    def copy(self) -> Hasher:
        """Return a hasher that has had the same bytes."""
        self._settle()
        return self._hasher.copy()

    def replace(self, hasher: Hasher, count: int, *, mark: bool = False) -> None:
        """Go on with another hasher, which has had ``count`` bytes."""
        self._settle()
        self._hasher, self._count = hasher, count
        if mark or count - (self.marks[-1][0] if self.marks else 0) >= self._spacing:
            self.marks.append((count, hasher.hexdigest()))

    def marked(self) -> tuple[tuple[int, str], ...]:
        """Return the marks, and one for where it is now."""
        self._settle()
        if self._count > (self.marks[-1][0] if self.marks else 0):
            return (*self.marks, (self._count, self._hasher.hexdigest()))
        return tuple(self.marks)

    def __str__(self) -> str:
        self._settle()
        return f"{self.algorithm}:{self._hasher.hexdigest()}"
