"""Blocks of remote objects that were read without being downloaded: kept on the disk, within a budget."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path

import blake3
import numpy as np

from project_cache.errors import StoreError
from project_cache.files import make_folder

__all__ = ["BLOCK", "BlockCache", "ObjectBlocks"]

#: bytes of a block
BLOCK = 64 << 10
#: what is kept of all objects together, at most
BUDGET = 4 << 30


class BlockCache:
    """A folder of blocks, by the digest of the object that they are of: never by where it came from.

    Each object has a sparse file of its blocks, and one of their checksums: a block of which the checksum does not
    fit is not there. So any process may write at any time, and one that dies leaves nothing that is believed.

    Parameters
    ----------
    folder : pathlib.Path
        Where.
    budget : int
        Bytes; the objects that were used least recently go when there are more.
    """

    def __init__(self, folder: Path, budget: int = BUDGET) -> None:
        self.folder = folder
        self.budget = budget

    def of(self, identity: str, size: int) -> ObjectBlocks | None:
        """Return the blocks of an object; None where nothing can be kept.

        Parameters
        ----------
        identity : str
            Its digest (``"blake3:…"``), or a validator that tells versions apart.
        size : int
            Its bytes.
        """
        name = blake3.blake3(f"{identity}:{size}".encode()).hexdigest()[:32]
        try:
            make_folder(self.folder)
            self.shrink(keep=name)
            return ObjectBlocks(self.folder / name, size)
        except (OSError, StoreError):
            return None

    def shrink(self, keep: str = "") -> int:
        """Remove the objects that were used least recently, until the budget is kept; return the bytes that are left."""
        held = []
        for path in self.folder.glob("*.blocks"):
            if re.fullmatch(r"[0-9a-f]{32}", path.stem):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    # of a sparse file only what was written takes room
                    taken = getattr(status, "st_blocks", 0) * 512 or status.st_size
                    held.append((path.with_suffix(".sums").stat().st_mtime, taken, path))
        total = sum(taken for _, taken, _ in held)
        for _, taken, path in sorted(held):
            if total <= self.budget:
                break
            if path.stem != keep:
                for each in (path.with_suffix(".sums"), path):
                    with contextlib.suppress(OSError):
                        each.unlink()
                total -= taken
        return total


class ObjectBlocks:
    """The blocks of one object that are on the disk."""

    def __init__(self, place: Path, size: int) -> None:
        self._count = -(-size // BLOCK)
        self._data = place.with_suffix(".blocks")
        self._sums = place.with_suffix(".sums")
        self._guard = threading.Lock()
        for path, length in ((self._data, size), (self._sums, 8 * self._count)):
            with path.open("ab") as file:
                if file.tell() != length:
                    file.truncate(length)
        os.utime(self._sums)
        self._known = np.fromfile(self._sums, "<u8", self._count)

    def has(self, block: int) -> bool:
        """Return whether a block seems to be there; :meth:`read` tells for sure."""
        return bool(self._known[block])

    def read(self, block: int, length: int) -> bytes | None:
        """Return a block, or None where it is not there as it was written."""
        if not self._known[block]:
            return None
        try:
            with self._data.open("rb", buffering=0) as file:
                file.seek(block * BLOCK)
                data = file.read(length)
        except OSError:
            return None
        return data if len(data) == length and _sum(data) == self._known[block] else None

    def write(self, block: int, data: bytes) -> None:
        """Keep a block, where the disk lets it."""
        try:
            with self._guard:
                with self._data.open("r+b", buffering=0) as file:
                    file.seek(block * BLOCK)
                    file.write(data)
                self._known[block] = _sum(data)
                with self._sums.open("r+b", buffering=0) as file:
                    file.seek(8 * block)
                    file.write(self._known[block].tobytes())
        except OSError:
            self._known[block] = 0


def _sum(data: bytes) -> np.uint64:
    found = np.frombuffer(blake3.blake3(data).digest(8), "<u8")[0]
    return np.uint64(found or 1)  # 0 is for what is not there
