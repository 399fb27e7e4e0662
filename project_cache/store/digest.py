"""The digest of bytes as they come, one after another, with marks on the way."""

from __future__ import annotations

from typing import Protocol, Self, cast

from project_cache.files import new_hasher

__all__ = ["Hasher", "RunningDigest", "copyable"]

#: a mark is made every so many bytes, or a thousand times in a large object
MARK_BYTES = 8 << 20


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

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        self._hasher.update(data)
        self._count += len(data)
        if self._count - (self.marks[-1][0] if self.marks else 0) >= self._spacing:
            self.marks.append((self._count, self._hasher.hexdigest()))

    def copy(self) -> Hasher:
        """Return a hasher that has had the same bytes."""
        return self._hasher.copy()

    def replace(self, hasher: Hasher, count: int, *, mark: bool = False) -> None:
        """Go on with another hasher, which has had ``count`` bytes."""
        self._hasher, self._count = hasher, count
        if mark or count - (self.marks[-1][0] if self.marks else 0) >= self._spacing:
            self.marks.append((count, hasher.hexdigest()))

    def marked(self) -> tuple[tuple[int, str], ...]:
        """Return the marks, and one for where it is now."""
        if self._count > (self.marks[-1][0] if self.marks else 0):
            return (*self.marks, (self._count, self._hasher.hexdigest()))
        return tuple(self.marks)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self._hasher.hexdigest()}"
