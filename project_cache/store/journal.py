"""Journals: what an unfinished object holds, stretch by stretch, and who fills it."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from pathlib import Path

from project_cache.files import atomic_write

__all__ = ["ABANDONED_S", "Extent", "Journal"]

#: a part of another machine that has been silent for so long is taken to be abandoned
ABANDONED_S = 600.0
#: no journal is longer: 100,000 stretches
_JOURNAL_BYTES = 16 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Extent:
    """Bytes that have arrived out of turn: from ``start`` up to ``end``, and their blake3 digest."""

    start: int
    end: int
    digest: str


@dataclasses.dataclass(frozen=True, slots=True)
class Journal:
    """What a part holds and who fills it; the JSON file beside it.

    Attributes
    ----------
    origin : str
        Where the bytes come from.
    validator : str or None
        The ETag or version that all of them belong to. Without one nothing can be resumed.
    size : int or None
        How many there are to be.
    algorithm : str
        The digest of the marks.
    marks : tuple of (int, str)
        Numbers of bytes, growing, and the digest of all bytes from the first on up to there.
    extents : tuple of Extent
        What has arrived beyond the last mark; in order, none twice.
    host, pid : str, int
        The process that fills it.
    """

    origin: str = ""
    validator: str | None = None
    size: int | None = None
    algorithm: str = "blake3"
    marks: tuple[tuple[int, str], ...] = ()
    extents: tuple[Extent, ...] = ()
    host: str = dataclasses.field(default_factory=socket.gethostname)
    pid: int = dataclasses.field(default_factory=os.getpid)

    @property
    def front(self) -> int:
        """How many bytes, from the first on, have arrived in turn."""
        return self.marks[-1][0] if self.marks else 0

    @property
    def held(self) -> int:
        """How many bytes have arrived in all."""
        return self.front + sum(extent.end - extent.start for extent in self.extents)

    @classmethod
    def read(cls, path: Path) -> Journal | None:
        """Return the journal at ``path``, or None where there is none that makes sense."""
        try:
            if path.stat().st_size > _JOURNAL_BYTES:
                return None
            data = json.loads(path.read_text("utf-8"))
            journal = cls(
                origin=str(data["origin"]),
                validator=None if data["validator"] is None else str(data["validator"]),
                size=None if data["size"] is None else int(data["size"]),
                algorithm=str(data["algorithm"]),
                marks=tuple((int(n), str(digest)) for n, digest in data["marks"]),
                extents=tuple(Extent(int(a), int(b), str(digest)) for a, b, digest in data["extents"]),
                host=str(data["host"]),
                pid=int(data["pid"]),
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return journal if journal._in_order() else None

    def _in_order(self) -> bool:
        end = 0
        for count, _ in self.marks:
            if count <= end:
                return False
            end = count
        for extent in self.extents:
            if not end <= extent.start < extent.end:
                return False
            end = extent.end
        return self.size is None or end <= self.size

    def write(self, path: Path) -> None:
        """Put it at ``path``, whole."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["extents"] = [(extent.start, extent.end, extent.digest) for extent in self.extents]
        with atomic_write(path, durable=False) as temporary:
            temporary.write_text(json.dumps(fields), "utf-8")

    def abandoned(self, last_sign: float, now: float) -> bool:
        """Return whether the process that filled it is gone, as far as can be told."""
        if not self.pid:
            return True  # let go of on purpose
        if now - last_sign > ABANDONED_S:
            return True
        return self.host == socket.gethostname() and not _alive(self.pid)


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return True
    if os.name != "posix":
        return True  # asking would end it on Windows; its silence will tell
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
