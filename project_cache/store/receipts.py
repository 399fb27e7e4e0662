"""Receipts: what an object was verified with, in a note beside it."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from project_cache.errors import StoreError
from project_cache.files import atomic_write, hidden

__all__ = ["Receipt"]

_log = logging.getLogger("project_cache")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was known of a file when it was verified.

    A file whose size and modification time are still those of its receipt is taken to be the one that was
    verified: one ``stat``, and no byte of it is read.

    Attributes
    ----------
    key : str
        The object.
    size : int
        Bytes.
    mtime_ns : int
        Modification time in nanoseconds.
    digest : str
        ``"blake3:…"`` or ``"sha256:…"`` of the bytes that were published.
    validator : str or None
        The origin's ETag or version.
    origin : str
        Where they came from.
    verified : str
        When, ISO 8601.
    recipe : str or None
        Of something that was built: what went into it, as JSON.
    noted : float
        When the note itself was last touched (seconds since 1970), which is when the file was last used; not written.
    """

    key: str
    size: int
    mtime_ns: int
    digest: str
    validator: str | None = None
    origin: str = ""
    verified: str = ""
    recipe: str | None = None
    noted: float = dataclasses.field(default=0.0, compare=False)

    @staticmethod
    def path_for(path: Path) -> Path:
        """Return where the receipt of a file lies."""
        return hidden(path, "receipt")

    @classmethod
    def read(cls, path: Path) -> Receipt | None:
        """Return the receipt of a file, or None where there is none that makes sense."""
        try:
            text, noted = _read(str(cls.path_for(path)))
            data = json.loads(text)
            return cls(
                key=str(data["key"]),
                size=int(data["size"]),
                mtime_ns=int(data["mtime_ns"]),
                digest=str(data["digest"]),
                validator=data.get("validator"),
                origin=str(data.get("origin", "")),
                verified=str(data.get("verified", "")),
                recipe=data.get("recipe"),
                noted=noted,
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    @classmethod
    def of(
        cls,
        path: Path,
        key: object,
        digest: str,
        validator: str | None = None,
        origin: str = "",
        recipe: str | None = None,
    ) -> Receipt:
        """Return a receipt for a file as it is now."""
        status = path.stat()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(str(key), status.st_size, status.st_mtime_ns, digest, validator, origin, now, recipe)

    def write(self, path: Path) -> None:
        """Put it beside a file; a folder that cannot be written to goes without."""
        try:
            with atomic_write(self.path_for(path), durable=False) as temporary:
                data = {name: value for name, value in dataclasses.asdict(self).items() if name != "noted"}
                temporary.write_text(json.dumps(data, indent=1), "utf-8")
        except StoreError as error:
            _log.debug("no receipt for %s: %s", path, error)

    def fits(self, size: int, mtime_ns: int) -> bool:
        """Return whether a file of that size and time is the one that was verified."""
        # FAT and some network drives keep times to two seconds, and copies cut the nanoseconds off.
        same_time = self.mtime_ns == mtime_ns or (
            mtime_ns % 1_000_000_000 == 0 and abs(self.mtime_ns - mtime_ns) < 2_000_000_000
        )
        return self.size == size and same_time


def _read(path: str) -> tuple[bytes, float]:
    """Return a small file's bytes and its time, in as few calls as it takes: thousands are read in a row."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        return os.read(descriptor, status.st_size + 1), status.st_mtime
    finally:
        os.close(descriptor)
