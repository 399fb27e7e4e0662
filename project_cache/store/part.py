"""Parts: unfinished objects, under a name of their own, with a journal of what they hold.

A part belongs to one process. When that process dies, another may *claim* the part by renaming it (one
wins, without any lock) and go on where the journal says that bytes are safely on the disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from project_cache.errors import ConfigurationError
from project_cache.files import atomic_write, hidden, new_hasher, room_for, translated

__all__ = ["Journal", "Part", "orphans", "owners", "sweep"]

CHECKPOINT_BYTES = 128 << 20
HEARTBEAT_S = 30.0
#: a part of another machine that has been silent for so long is taken to be abandoned
ABANDONED_S = 600.0


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
    durable : int
        How many, from the first on, are known to be on the disk.
    host, pid : str, int
        The process that fills it.
    """

    origin: str = ""
    validator: str | None = None
    size: int | None = None
    durable: int = 0
    host: str = dataclasses.field(default_factory=socket.gethostname)
    pid: int = dataclasses.field(default_factory=os.getpid)

    @classmethod
    def read(cls, path: Path) -> Journal | None:
        """Return the journal at ``path``, or None where there is none that makes sense."""
        try:
            data = json.loads(path.read_text("utf-8"))
            return cls(
                origin=str(data["origin"]),
                validator=None if data["validator"] is None else str(data["validator"]),
                size=None if data["size"] is None else int(data["size"]),
                durable=int(data["durable"]),
                host=str(data["host"]),
                pid=int(data["pid"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Put it at ``path``, whole."""
        with atomic_write(path, durable=False) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self)), "utf-8")

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


class Part:
    """An unfinished object that a source fills.

    A source either streams (:meth:`restart`, then :meth:`write` until done; after a drop it goes on at
    :attr:`position`), or has some library write to :attr:`path` and then calls :meth:`written`.

    Parameters
    ----------
    final : pathlib.Path
        Where the object is to be; the part lies beside it under a hidden name of its own.
    algorithm : str
        The digest that is computed as bytes arrive.

    Attributes
    ----------
    path : pathlib.Path
        The part's own name.
    position : int
        How many bytes it holds.
    journal : Journal
        Origin, validator and size of those bytes.
    """

    def __init__(self, final: Path, *, algorithm: str = "blake3") -> None:
        self.final = final
        self.algorithm = algorithm
        self.token = uuid.uuid4().hex[:12]
        self.path = hidden(final, f"{self.token}.part")
        self.journal = Journal()
        self.position = 0
        self._journal_path = hidden(final, f"{self.token}.journal")
        self._hasher = new_hasher(algorithm)
        self._file: BinaryIO | None = None
        self._since_checkpoint = 0
        self._last_sign = 0.0

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @classmethod
    def claim(cls, final: Path, *, algorithm: str = "blake3") -> Part:
        """Return a part for ``final``: an abandoned one that can be resumed, or else a new one."""
        part = cls(final, algorithm=algorithm)
        found: list[tuple[int, Path, Path, Journal]] = []
        for path, journal_path, journal in orphans(final):
            if journal is not None and journal.validator and journal.durable:
                found.append((journal.durable, path, journal_path, journal))
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
        with translated(self.path):
            file = self.path.open("r+b")
            file.seek(0, os.SEEK_END)
            durable = min(self.journal.durable, file.tell())
            file.truncate(durable)
            file.seek(0)
            while block := file.read(8 << 20):
                self._hasher.update(block)
        self._file = file
        self.position = durable
        self.journal = dataclasses.replace(self.journal, durable=durable)
        self._last_sign = time.monotonic()

    def restart(self, *, origin: str, validator: str | None = None, size: int | None = None) -> None:
        """Let go of all bytes and begin anew, in a new file.

        A new file, never the old one emptied: should another process have claimed the old one by mistake,
        it keeps what it has.
        """
        self.close()
        if size is not None:
            room_for(self.path.parent, size)
        self.position = 0
        self._hasher = new_hasher(self.algorithm)
        self.journal = Journal(origin=origin, validator=validator, size=size)
        self.journal.write(self._journal_path)
        with translated(self.path):
            self.path.unlink(missing_ok=True)
            self._file = self.path.open("xb")
        self._since_checkpoint = 0
        self._last_sign = time.monotonic()

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes at :attr:`position`."""
        if self._file is None:
            raise ConfigurationError(f"{self.path} is not open: restart() comes first.")
        with translated(self.path):
            self._file.write(data)
        self._hasher.update(data)
        self.position += len(data)
        self._since_checkpoint += len(data)
        if self._since_checkpoint >= CHECKPOINT_BYTES or time.monotonic() - self._last_sign > HEARTBEAT_S:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Bring what was written to the disk, and say so in the journal."""
        if self._file is None:
            return
        with translated(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
        self.journal = dataclasses.replace(self.journal, durable=self.position)
        self.journal.write(self._journal_path)
        self._since_checkpoint = 0
        self._last_sign = time.monotonic()

    def written(self, *, origin: str = "", validator: str | None = None) -> None:
        """Take stock of what a library has written to :attr:`path`."""
        self.close()
        self._hasher = new_hasher(self.algorithm)
        self.position = 0
        with self.path.open("rb") as file:
            while block := file.read(8 << 20):
                self._hasher.update(block)
                self.position += len(block)
        self.journal = dataclasses.replace(
            self.journal, origin=origin or self.journal.origin, validator=validator
        )

    @property
    def digest(self) -> str:
        """The digest of the bytes so far, as ``"blake3:…"``."""
        return f"{self.algorithm}:{self._hasher.hexdigest()}"

    def close(self) -> None:
        """Close the file; what it holds stays."""
        if self._file is not None:
            file, self._file = self._file, None
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


def orphans(final: Path, *, now: float | None = None) -> list[tuple[Path, Path, Journal | None]]:
    """Return the abandoned parts of an object: part, journal's path, journal (None where it is unreadable).

    Either file of the two may be missing.
    """
    now = time.time() if now is None else now
    found = []
    names = f".{_escape(final.name)}.*"
    stems = {
        p.with_suffix("") for ending in ("part", "journal") for p in final.parent.glob(f"{names}.{ending}")
    }
    for stem in sorted(stems):
        path, journal_path = (stem.with_name(f"{stem.name}.{ending}") for ending in ("part", "journal"))
        journal = Journal.read(journal_path)
        try:
            last_sign = (journal_path if journal else path).stat().st_mtime
        except OSError:
            last_sign = now if journal or path.exists() else 0.0
        if journal.abandoned(last_sign, now) if journal else now - last_sign > ABANDONED_S:
            found.append((path, journal_path, journal))
    return found


def sweep(final: Path) -> None:
    """Remove what dead processes have left of an object that is there by now."""
    leftovers = [path for pair in orphans(final) for path in pair[:2]]
    # a process can also die while it writes a journal or a receipt
    for path in final.parent.glob(f"*.{_escape(final.name)}.*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                leftovers.append(path)
    for path in leftovers:
        with contextlib.suppress(OSError):
            path.unlink()


def owners(final: Path) -> list[tuple[Journal, int]]:
    """Return who is filling an object at this moment: the journal, and how many bytes have arrived."""
    found = []
    for path in final.parent.glob(f".{_escape(final.name)}.*.part"):
        journal = Journal.read(path.with_suffix(".journal"))
        with contextlib.suppress(OSError):
            if journal is not None:
                found.append((journal, path.stat().st_size))
    return found


def _escape(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
