"""The digest of bytes as they come, one after another, with marks on the way."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, Self, cast

from project_cache.files import new_hasher

__all__ = ["Hasher", "RunningDigest", "algorithm_of", "copyable"]

#: a mark is made every so many bytes, or a thousand times in a large object
MARK_BYTES = 8 << 20
#: what is hashed on another thread must be worth the trouble
_WORTH = 128 << 10


class Hasher(Protocol):
    """What hashlib's and blake3's objects have in common."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the digest of the bytes so far."""

    def copy(self) -> Self:
        """Return another that has had the same bytes."""


def algorithm_of(digest: str) -> str:
    """Return what a digest was made with.

    Examples
    --------
    >>> algorithm_of("sha256:e3b0c442")
    'sha256'
    """
    return digest.partition(":")[0]


def copyable(algorithm: str) -> Hasher:
    """Return an empty hasher."""
    return cast(Hasher, new_hasher(algorithm))


class RunningDigest:
    """The digest of the bytes so far.

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
        self._pool: ThreadPoolExecutor | None = None
        self._beside: Future[None] | None = None

    def update(self, data: bytes | memoryview, *, lasting: bool = False) -> None:
        """Add bytes.

        Parameters
        ----------
        data : bytes or memoryview
            The bytes.
        lasting : bool
            Whether they stay as they are for as long as they are held: they are then hashed on another thread.
        """
        self._settle()
        if lasting and len(data) >= _WORTH:
            self._pool = self._pool or ThreadPoolExecutor(1, "digest")
            self._beside = self._pool.submit(self._add, data)
        else:
            self._add(data)

    def _add(self, data: bytes | memoryview) -> None:
        self._hasher.update(data)
        self._count += len(data)
        if self._count - (self.marks[-1][0] if self.marks else 0) >= self._spacing:
            self.marks.append((self._count, self._hasher.hexdigest()))

    def _settle(self) -> None:
        if self._beside is not None:
            self._beside.result()
            self._beside = None

    def close(self) -> None:
        """Let go of the other thread; there may be more bytes all the same."""
        self._settle()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

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
