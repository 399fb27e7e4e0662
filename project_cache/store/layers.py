"""Layers: the folders that hold a project's objects; which of them has one, and whether what lies there is whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from project_cache.errors import CorruptObjectError, StoreError, UnknownObjectError, UnreadableObjectError
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.store.check import check_format
from project_cache.store.digest import algorithm_of
from project_cache.store.keeping import used
from project_cache.store.receipts import Receipt

__all__ = ["Found", "Layers"]


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found to be an object, and still is while its size and time are these.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    size : int
        Bytes.
    mtime_ns : int
        Modification time in nanoseconds.
    """

    path: Path
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Found:
        """Return a file as it is now."""
        return cls(path, status.st_size, status.st_mtime_ns)

    def unchanged(self) -> bool:
        """Return whether the file is there and as it was: one ``stat``."""
        try:
            return Found.of(self.path, self.path.stat()) == self
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Layers:
    """The folders of a project.

    Attributes
    ----------
    own : Manifest
        What there is; its folder is the layer that is written to, and the last that is asked.
    others : tuple of Manifest
        The same project in other folders, asked first and never written to.
    """

    own: Manifest
    others: tuple[Manifest, ...] = ()

    def __iter__(self) -> Iterator[Manifest]:
        return iter((*self.others, self.own))

    def allow(self, key: Key) -> bool:
        """Return whether the manifest lets an object be used: a lock names all that may."""
        return self.own.frozen is None or self.own.objects.get(key) is not None

    def find(self, key: Key) -> tuple[Found | None, list[StoreError]]:
        """Return where an object lies whole, or None; and what is wrong with the files that lie in its place.

        Where it lies in the layer that is written to, it is noted that it was used.

        Raises
        ------
        UnreadableObjectError
            A file is there and cannot be looked at, which says nothing against it.
        """
        trouble: list[StoreError] = []
        for layer in self if self.allow(key) else ():
            if key.kind not in layer.layout.kinds():
                continue
            try:
                path = layer.locate(key)
                status = path.stat()
                receipt = _checked(self.own, key, path, status)
            except (FileNotFoundError, NotADirectoryError, UnknownObjectError):
                continue
            except CorruptObjectError as error:
                trouble.append(error)
                continue
            except UnreadableObjectError:
                raise
            except OSError as error:
                raise UnreadableObjectError(
                    f"{path} cannot be looked at ({error.strerror or error}). It was not fetched again: check the "
                    f"permissions of its folder, and the drive."
                ) from error
            if receipt is not None and layer is self.own:
                used(path, receipt.noted)
            return Found.of(path, status), trouble
        return None, trouble

    def present(self, kinds: Iterable[str] | None = None) -> dict[Key, Path]:
        """Return the objects that are in any layer, by key; all, or those of some kinds."""
        chosen = None if kinds is None else tuple(kinds)
        found: dict[Key, Path] = {}
        for layer in self:
            for kind in layer.layout.kinds() if chosen is None else chosen:
                for key, path in layer.scan(kind):
                    if self.allow(key):
                        found.setdefault(key, path)
        return found


def _checked(manifest: Manifest, key: Key, path: Path, status: os.stat_result) -> Receipt | None:
    """Raise if a file is not the object; a receipt that fits makes the look inside unnecessary, and is returned."""
    entry = manifest.entry(key)
    if entry.size is not None and entry.size != status.st_size:
        raise CorruptObjectError(f"{path} has {status.st_size:,} bytes; the manifest says {entry.size:,}.")
    receipt = Receipt.read(path)
    if receipt is not None and receipt.fits(status.st_size, status.st_mtime_ns):
        comparable = entry.digest is not None and algorithm_of(entry.digest) == algorithm_of(receipt.digest)
        if comparable and entry.digest != receipt.digest:
            raise CorruptObjectError(f"{path} is another version ({receipt.digest}) than the manifest's.")
        if manifest.frozen is None or not entry.digest or comparable:
            return receipt
    check_format(key, path, status.st_size)
    if manifest.frozen is not None and entry.digest:
        # a lock is about these very bytes, so nobody's word is taken for them
        found = digest_of(path, algorithm_of(entry.digest))
        if found != entry.digest:
            raise CorruptObjectError(
                f"{path} is not what was frozen: its digest is {found}, not {entry.digest}."
            )
        if path == manifest.locate(key):
            Receipt.of(path, key, found).write(path)
    return None
