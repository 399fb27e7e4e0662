"""A folder as a source: objects are copied from it."""

from __future__ import annotations

from pathlib import Path

from project_cache.errors import MissingObjectError, TransferError
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.sources.base import Filled, Progress, silent
from project_cache.store.part import Part

__all__ = ["DirectorySource"]

_BLOCK = 8 << 20


class DirectorySource:
    """The same project in another folder (a colleague's cache, a slow network share), copied when asked for.

    Parameters
    ----------
    manifest : Manifest
        The project as it lies there.
    name : str, optional
        What messages call it.
    """

    remote = False

    def __init__(self, manifest: Manifest, name: str | None = None) -> None:
        self.manifest = manifest
        self.name = name or f"folder {manifest.folder}"

    def has(self, key: Key) -> bool:
        """Return whether the folder has a place for the object."""
        return key.kind in self.manifest.layout.kinds()

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        """Copy the object into the part."""
        origin: Path = self.manifest.locate(key)
        try:
            with origin.open("rb") as file:
                size = origin.stat().st_size
                part.restart(origin=str(origin), size=size)
                while block := file.read(_BLOCK):
                    part.write(block)
                    progress(part.position, size)
        except FileNotFoundError as error:
            raise MissingObjectError(f"{self.name} has no {key}: there is no file {origin}.") from error
        except OSError as error:
            if error.__class__.__module__ == "project_cache.errors":
                raise
            raise TransferError(
                f"{origin} could not be read ({error.strerror or error}). Check the drive."
            ) from error
        return Filled(origin=str(origin), size=size)
