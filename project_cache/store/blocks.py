"""Blocks of remote objects that were read without being downloaded: kept on the disk, within a budget."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import blake3
import numpy as np

from project_cache.errors import StoreError
from project_cache.files import make_folder

__all__ = ["BlockCache", "ObjectBlocks"]

#: what is kept of all objects together, at most
BUDGET = 4 << 30
#: after so many new bytes it is looked whether the budget still holds
LOOK_AFTER = 64 << 20
#: of an object that says it is larger nothing is kept: nobody has such files, and checksums of its blocks take memory
LARGEST = 1 << 40


class BlockCache:
    """A folder of blocks, by what tells the version of the object that they are of: never by where it came from.

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

    def __repr__(self) -> str:
        return f"BlockCache({str(self.folder)!r}, {self.budget})"

    def of(self, identity: str, size: int, block: int) -> ObjectBlocks | None:
        """Return the blocks of an object; None where nothing can be kept.

        Parameters
        ----------
        identity : str
            Its digest (``"blake3:…"``), or something else that no other version has.
        size : int
            Its bytes.
        block : int
            Bytes of a block.
        """
        if size > LARGEST:
            return None
        name = blake3.blake3(f"{identity} {size} {block}".encode()).hexdigest()[:32]
        try:
            make_folder(self.folder)
            self.shrink(keep=name)
            return ObjectBlocks(self, name, size, block)
        except (OSError, StoreError):
            return None

    def shrink(self, keep: str = "") -> int:
        """Remove the objects that were used least recently, until the budget holds; return the bytes that are left.

        Parameters
        ----------
        keep : str
            The name of one that stays in any case.
        """
        held = []
        for path in self.folder.glob("*.blocks"):
            if re.fullmatch(r"[0-9a-f]{32}", path.stem):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    # of a sparse file only what was written takes room
                    taken = status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size
                    held.append((_time(path.with_suffix(".sums")), taken, path))
        total = sum(taken for _, taken, _ in held)
        for _, taken, path in sorted(held, key=lambda each: each[0]):
            if total <= self.budget:
                break
            if path.stem != keep:
                for each in (path.with_suffix(".sums"), path):
                    with contextlib.suppress(OSError):
                        each.unlink()
                total -= taken
        return total


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


class ObjectBlocks:
    """The blocks of one object that are on the disk: made by :meth:`BlockCache.of`."""

    def __init__(self, cache: BlockCache, name: str, size: int, block: int) -> None:
        self._cache, self._name, self._block = cache, name, block
        self._data = cache.folder / f"{name}.blocks"
        self._sums = cache.folder / f"{name}.sums"
        count = -(-size // block)
        for path, length in ((self._data, size), (self._sums, 8 * count)):
            with path.open("ab") as file:
                if file.tell() != length:
                    file.truncate(length)
        os.utime(self._sums)
        self._known = np.zeros(count, "<u8")
        found = np.fromfile(self._sums, "<u8", count)
        self._known[: len(found)] = found
        self._written, self._full = 0, False

    def read(self, block: int, length: int) -> bytes | None:
        """Return a block, or None where it is not there as it was written."""
        if not self._known[block]:
            return None
        try:
            with self._data.open("rb", buffering=0) as file:
                file.seek(block * self._block)
                data = file.read(length)
        except OSError:
            return None
        return data if len(data) == length and _sum(data) == self._known[block] else None

    def write(self, block: int, data: bytes) -> None:
        """Keep a block, where the disk and the budget let it."""
        if self._full:
            return
        try:
            # not made anew where another process has removed it: the checksums would be without their blocks
            with self._data.open("r+b", buffering=0) as file:
                file.seek(block * self._block)
                file.write(data)
            self._known[block] = _sum(data)
            with self._sums.open("r+b", buffering=0) as file:
                file.seek(8 * block)
                file.write(self._known[block].tobytes())
        except OSError:
            self._full = True
            return
        self._written += len(data)
        if self._written >= LOOK_AFTER:
            self._written = 0
            self._full = self._cache.shrink(keep=self._name) > self._cache.budget


def _sum(data: bytes) -> np.uint64:
    found = np.frombuffer(blake3.blake3(data).digest(8), "<u8")[0]
    return np.uint64(found or 1)  # 0 is for what is not there
