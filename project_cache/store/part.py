"""Parts: unfinished objects, under a name of their own, with a journal of what they hold.

A part belongs to one process. When that process dies, another may *claim* the part by renaming it (one
wins, without any lock) and go on with what the journal lists. The journal has digests every few megabytes, so
nothing is taken on trust, and nothing has to wait for the disk: what a power cut has spoilt does not match, and
only that is fetched again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from project_cache.errors import ConfigurationError, ContentError
from project_cache.files import hidden, room_for, translated
from project_cache.store.digest import Hasher, RunningDigest, copyable
from project_cache.store.journal import Extent, Journal
from project_cache.store.owners import orphans

__all__ = ["Part"]

CHECKPOINT_BYTES = 128 << 20
CHECKPOINT_S = 1.0
_BLOCK = 1 << 20


class Part:
    """An unfinished object that a source fills.

    A source streams (:meth:`restart`, then :meth:`write` until done; after a drop it goes on at
    :attr:`position`); or it puts stretches wherever they belong (:meth:`put`, :meth:`add`), from several
    threads if it likes, and has them taken in from the front (:meth:`advance`); or it has some library write
    to :attr:`path` and then calls :meth:`written`.

    Parameters
    ----------
    final : pathlib.Path
        Where the object is to be; the part lies beside it under a hidden name of its own.
    algorithm : str
        The digest that is computed as bytes arrive.
    limit : int, optional
        How many bytes there are to be by the manifest; no more are taken.

    Attributes
    ----------
    path : pathlib.Path
        The part's own name.
    position : int
        How many bytes it holds, from the first on, that are in the digest already.
    journal : Journal
        Origin, validator and size of its bytes.
    """

    def __init__(self, final: Path, *, algorithm: str = "blake3", limit: int | None = None) -> None:
        self.final = final
        self.algorithm = algorithm
        self.limit = limit
        self.token = uuid.uuid4().hex[:12]
        self.path = hidden(final, f"{self.token}.part")
        self.journal = Journal()
        self.position = 0
        self._journal_path = hidden(final, f"{self.token}.journal")
        self._digest = RunningDigest(algorithm)
        self._file: io.FileIO | None = None
        #: what has arrived beyond the position, by its first byte
        self._extents: dict[int, Extent] = {}
        #: those of them that another process has put
        self._inherited: set[int] = set()
        #: between the threads that put bytes and the one that closes: a closed file's number may be another's
        self._guard = threading.Lock()
        self._since_checkpoint = 0
        self._last_sign = 0.0

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @classmethod
    def claim(cls, final: Path, *, algorithm: str = "blake3", limit: int | None = None) -> Part:
        """Return a part for ``final``: an abandoned one that can be resumed, or else a new one.

        Its bytes from the first on are read once, to go on with the digest, and are its own up to the last mark that
        is right; those after a gap are read when the gap is closed.
        """
        part = cls(final, algorithm=algorithm, limit=limit)
        found: list[tuple[int, Path, Path, Journal]] = []
        for path, journal_path, journal in orphans(final):
            if journal is None or not journal.validator or journal.algorithm != algorithm:
                continue
            if journal.held:
                found.append((journal.held, path, journal_path, journal))
        for _, path, journal_path, journal in sorted(found, key=lambda f: -f[0]):
            # Its own journal first: at no instant is there a part that nobody can be asked about.
            part.journal = dataclasses.replace(journal, host=socket.gethostname(), pid=os.getpid())
            part.journal.write(part._journal_path)
            try:
                path.rename(part.path)
            except OSError:
                part.discard()
                part.journal = Journal()
                continue  # another process was quicker
            part._take_over()
            with contextlib.suppress(OSError):
                journal_path.unlink()
            break
        return part

    def _take_over(self) -> None:
        journal = self.journal
        with translated(self.path):
            self._file = self.path.open("r+b", buffering=0)
            there = os.fstat(self._file.fileno()).st_size
            extents = [extent for extent in journal.extents if extent.end <= there]
            self._file.truncate(min(there, max([journal.front, *(extent.end for extent in extents)])))
        self._digest = RunningDigest(self.algorithm, journal.size)
        self._extents = {extent.start: extent for extent in extents}
        self._inherited = set(self._extents)
        for count, digest in journal.marks:
            whole = self._digest.copy()
            if not self._read_into([whole], self.position, count) or whole.hexdigest() != digest:
                break
            self._digest.replace(whole, count, mark=True)
            self.position = count
        while self.advance():
            pass
        if not self._extents:
            with translated(self.path):
                self._file.truncate(self.position)
        self.checkpoint()

    def _read_into(self, hashers: list[Hasher], start: int, end: int) -> bool:
        """Have bytes of the file hashed; return whether all of them are there."""
        while start < end:
            with self._guard, translated(self.path):
                if self._file is None:
                    return False
                self._file.seek(start)
                block = self._file.read(min(_BLOCK, end - start))
            if not block:
                return False
            for hasher in hashers:
                hasher.update(block)
            start += len(block)
        return True

    def restart(self, *, origin: str, validator: str | None = None, size: int | None = None) -> None:
        """Let go of all bytes and begin anew, in a new file.

        A new file, never the old one emptied: should another process have claimed the old one by mistake,
        it keeps what it has.
        """
        self.close()
        if size is not None:
            self._bound(size, origin)
            room_for(self.path.parent, size)
        self.position = 0
        self._digest = RunningDigest(self.algorithm, size)
        self._extents = {}
        self.journal = Journal(origin=origin, validator=validator, size=size, algorithm=self.algorithm)
        self.journal.write(self._journal_path)
        with translated(self.path):
            self.path.unlink(missing_ok=True)
            self._file = self.path.open("x+b", buffering=0)
        self._since_checkpoint = 0
        self._last_sign = time.monotonic()

    def _bound(self, size: int, origin: str) -> None:
        """Raise before there is more of an object than there can be."""
        if self.limit is not None and size > self.limit:
            # nothing of it is to be gone on with
            self.journal = dataclasses.replace(self.journal, validator=None)
            raise ContentError(
                f"{origin} has {size:,} bytes or more of {self.final.name}; the manifest says {self.limit:,}. Nothing "
                f"was stored."
            )

    # One after another -------------------------------------------------------------------------

    def write(self, data: bytes | memoryview, *, lasting: bool = False) -> None:
        """Add bytes at :attr:`position`.

        Parameters
        ----------
        data : bytes or memoryview
            The bytes.
        lasting : bool
            Whether they stay as they are for as long as they are held: their digest is then computed beside what the
            caller does next.
        """
        self.put(self.position, data)
        self._digest.update(data, lasting=lasting)
        self.position += len(data)
        self._since_checkpoint += len(data)
        if self._since_checkpoint >= CHECKPOINT_BYTES or time.monotonic() - self._last_sign > CHECKPOINT_S:
            self.checkpoint()

    # In any order ------------------------------------------------------------------------------

    def spread(self) -> None:
        """Give the file its full length, so that :meth:`put` may begin anywhere.

        The length and not the blocks: where a file system cannot reserve blocks, asking for them writes them all.
        """
        if self._file is None or self.journal.size is None:
            raise ConfigurationError(
                f"{self.path} is not open, or nobody knows its size: restart() comes first."
            )
        with translated(self.path):
            self._file.truncate(self.journal.size)

    def put(self, start: int, data: bytes | memoryview) -> None:
        """Write bytes where they belong; they count when :meth:`add` has named their digest."""
        rest = memoryview(data)
        self._bound(start + len(rest), self.journal.origin)
        with self._guard, translated(self.path):
            if self._file is None:
                raise ConfigurationError(f"{self.path} is not open: restart() comes first.")
            while len(rest):
                self._file.seek(start)
                # a raw file writes as much as it can, which may be less
                done = self._file.write(rest)
                start, rest = start + done, rest[done:]

    def add(self, extent: Extent) -> None:
        """Take note of bytes beyond the position that have been put."""
        with self._guard:
            self._extents[extent.start] = extent
            self._inherited.discard(extent.start)

    def advance(self) -> bool:
        """Take in the next stretch at the front, if it has arrived; return whether there may be more to take in.

        It is read back, mostly from the operating system's memory, to go on with the digest. What another process
        has put is compared with its own digest first; if it does not match, it is among the :meth:`gaps` again.
        """
        with self._guard:
            extent = self._extents.get(self.position)
        if extent is None or self._file is None:
            return False
        own, whole = copyable("blake3"), self._digest.copy()
        inherited = extent.start in self._inherited
        good = self._read_into([own, whole] if inherited else [whole], extent.start, extent.end)
        good = good and (not inherited or own.hexdigest() == extent.digest)
        with self._guard:
            del self._extents[extent.start]
        if good:
            self._digest.replace(whole, extent.end)
            self.position = extent.end
        return good

    def gaps(self) -> list[tuple[int, int]]:
        """Return what is still to come, as first byte and byte after the last; needs the size."""
        found, at = [], self.position
        for extent in self._listed():
            if extent.start > at:
                found.append((at, extent.start))
            at = extent.end
        if self.journal.size is not None and at < self.journal.size:
            found.append((at, self.journal.size))
        return found

    @property
    def held(self) -> int:
        """How many bytes have arrived in all."""
        return self.position + sum(extent.end - extent.start for extent in self._listed())

    def _listed(self) -> list[Extent]:
        with self._guard:
            return sorted(self._extents.values(), key=lambda extent: extent.start)

    # Keeping -----------------------------------------------------------------------------------

    def checkpoint(self, unfinished: Iterable[Extent] = ()) -> None:
        """Say in the journal what has arrived; and what of stretches that are still being put."""
        if self._file is None:
            return
        # what was unfinished a moment ago may be finished by now
        extents = {extent.start: extent for extent in (*unfinished, *self._listed())}
        self.journal = dataclasses.replace(
            self.journal,
            marks=self._digest.marked(),
            extents=tuple(extents[start] for start in sorted(extents)),
        )
        self.journal.write(self._journal_path)
        self._since_checkpoint = 0
        self._last_sign = time.monotonic()

    def written(self, *, origin: str = "", validator: str | None = None) -> None:
        """Take stock of what a library has written to :attr:`path`."""
        self.close()
        self._digest = RunningDigest(self.algorithm)
        self.position = 0
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                self._digest.update(block)
                self.position += len(block)
        self._extents = {}
        self.journal = dataclasses.replace(
            self.journal, origin=origin or self.journal.origin, validator=validator, marks=(), extents=()
        )

    @property
    def digest(self) -> str:
        """The digest of the bytes up to :attr:`position`, as ``"blake3:…"``."""
        return str(self._digest)

    def close(self) -> None:
        """Close the file; what it holds stays."""
        self._digest.close()
        with self._guard:
            file, self._file = self._file, None
        if file is not None:
            with translated(self.path):
                file.close()

    def release(self) -> None:
        """Leave part and journal for whoever comes next."""
        self.checkpoint()
        self.close()
        self.journal = dataclasses.replace(self.journal, pid=0)
        self.journal.write(self._journal_path)

    def forget(self) -> None:
        """Remove the journal of a part that has been published."""
        self.close()
        with contextlib.suppress(OSError):
            self._journal_path.unlink()

    def discard(self) -> None:
        """Remove part and journal."""
        with contextlib.suppress(OSError):
            self.close()
        for path in (self.path, self._journal_path):
            with contextlib.suppress(OSError):
                path.unlink()
