"""Sources for tests of the store, which note every time they are asked."""

from __future__ import annotations

import os
import time
from pathlib import Path

import h5py
import numpy as np

from project_cache.errors import MissingObjectError, TransferError
from project_cache.manifest.keys import Key
from project_cache.sources.base import Filled, Progress, silent
from project_cache.store.part import Part


def hdf5_bytes(path: Path, size: int = 2_000_000) -> bytes:
    """A real HDF5 file of about that many bytes."""
    with h5py.File(path, "w") as file:
        file["x"] = np.frombuffer(os.urandom(size), np.uint8)
    return path.read_bytes()


class Origin:
    """A source that has one body of bytes for every key, and notes each fill in a file that processes share."""

    remote = True

    def __init__(
        self, body: Path, log: Path, *, pause: float = 0.0, block: int = 64 << 10, name: str = "origin"
    ) -> None:
        self.body, self.log, self.pause, self.block, self.name = body, log, pause, block, name
        self.validator: str | None = '"v1"'
        self.drop_at: int | None = None
        self.claim_size: int | None = None
        self.missing = False

    def has(self, key: Key) -> bool:
        return key.kind == "session_nwb"

    def fills(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        if self.missing:
            raise MissingObjectError(f"{self.name} has no {key}.")
        data = self.body.read_bytes()
        start = part.position if part.journal.validator == self.validator and self.validator else 0
        with self.log.open("a") as log:
            log.write(f"{os.getpid()} {key} {start}\n")
        if not start:
            part.restart(origin=self.name, validator=self.validator, size=len(data))
        for at in range(start, len(data), self.block):
            if self.drop_at is not None and at >= self.drop_at:
                raise TransferError(f"{self.name} dropped the connection.")
            part.write(data[at : at + self.block])
            part.checkpoint()
            progress(part.position, len(data))
            if self.pause:
                time.sleep(self.pause)
        return Filled(origin=self.name, size=self.claim_size or len(data), validator=self.validator)
