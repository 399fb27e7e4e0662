"""Verdicts: whether the objects that are there are, byte for byte, what they should be."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from project_cache.errors import CorruptObjectError
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.sources.base import Progress, silent
from project_cache.store.check import check_format
from project_cache.store.digest import algorithm_of
from project_cache.store.layers import Layers
from project_cache.store.receipts import Receipt

__all__ = ["Verdict", "verify"]

#: how often, at most, a file is looked at that others replace while it is verified
_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What :func:`verify` says of one object.

    Attributes
    ----------
    key : Key
        The object.
    path : pathlib.Path
        Its file.
    state : str
        ``good`` (the digest is the one it should be), ``seen`` (whole as far as its format tells; no digest was
        known, it is from now on), ``corrupt``, ``unreadable`` or ``missing``.
    detail : str
        Why.
    """

    key: Key
    path: Path
    state: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the object can be used."""
        return self.state in ("good", "seen")


def verify(
    layers: Layers,
    keys: Iterable[Key] | None = None,
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> list[Verdict]:
    """Return what every byte of the objects that are there says, in the order of the keys.

    Parameters
    ----------
    layers : Layers
        Where they are.
    keys : iterable of Key, optional
        Which; by default all that are there and all that the manifest names one by one.
    workers : int, optional
        Threads; by default one for each core.
    progress : callable
        Called as objects are done, with how many are.
    """
    there = layers.present()
    named = (entry.key for entry in layers.own.objects)
    wanted = list(keys) if keys is not None else list(dict.fromkeys([*there, *named]))
    verdicts = []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        found = pool.map(lambda key: _verdict(layers.own, key, there.get(key)), wanted)
        for n, verdict in enumerate(found, 1):
            progress(n, len(wanted))
            verdicts.append(verdict)
    return verdicts


def _verdict(manifest: Manifest, key: Key, path: Path | None) -> Verdict:
    path = path or manifest.locate(key)
    before, verdict = None, Verdict(key, path, "missing", "it is not there")
    # what another process has replaced in the meantime is looked at again
    for _ in range(_LOOKS):
        stamp = _stamp(path)
        if stamp == before:
            break
        before, verdict = stamp, _looked_at(manifest, key, path)
    return verdict


def _looked_at(manifest: Manifest, key: Key, path: Path) -> Verdict:
    entry, receipt = manifest.entry(key), Receipt.read(path)
    try:
        status = path.stat()
        check_format(key, path, status.st_size)
        if entry.size is not None and entry.size != status.st_size:
            return Verdict(
                key, path, "corrupt", f"{status.st_size:,} bytes; the manifest says {entry.size:,}"
            )
        expected = entry.digest or (receipt.digest if receipt else None)
        found = digest_of(path, algorithm_of(expected) if expected else "blake3")
    except CorruptObjectError as error:
        return Verdict(key, path, "corrupt", str(error))
    except FileNotFoundError:
        return Verdict(key, path, "missing", "it is not there")
    except OSError as error:
        return Verdict(key, path, "unreadable", str(error))
    if expected is not None and found != expected:
        return Verdict(key, path, "corrupt", f"its digest is {found}, not {expected}")
    if path == manifest.locate(key) and (
        receipt is None or not receipt.fits(status.st_size, status.st_mtime_ns)
    ):
        old = receipt or Receipt(str(key), 0, 0, "")
        with contextlib.suppress(FileNotFoundError):  # it was pruned just now, and is looked at again
            note = Receipt.of(path, key, found, old.validator, old.origin, old.recipe)
            if _stamp(path) == (status.st_ino, note.size, note.mtime_ns) == _stamp_of(status):
                note.write(path)
    return Verdict(
        key, path, "good" if expected else "seen", "" if expected else "no digest was known until now"
    )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what tells a file from one that has taken its place; None where there is none."""
    try:
        return _stamp_of(path.stat())
    except OSError:
        return None


def _stamp_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
