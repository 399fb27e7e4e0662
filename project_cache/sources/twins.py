"""The source of objects that are in the cache folder already, under another name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from project_cache.errors import MissingObjectError
from project_cache.files import translated
from project_cache.manifest.keys import Key
from project_cache.sources.base import Filled, Progress, silent
from project_cache.store.links import WAYS, kept_once
from project_cache.store.part import Part

__all__ = ["TwinSource"]


class TwinSource:
    """Files of the same bytes in the same folder: those of another version of a project, mostly.

    They are kept once, where the file system can do that (:mod:`project_cache.store.links`); links lead from one place
    in the folder to another, and so are right after it was moved.

    Parameters
    ----------
    name : str
        What messages call it.
    folder : pathlib.Path
        The cache folder.
    candidates : callable
        Returns the places where an object may be as well; that they exist is not said.
    ways : sequence of callable, optional
        How a file gets a second name.
    """

    remote: bool = False

    def __init__(
        self,
        name: str,
        folder: Path,
        candidates: Callable[[Key], Iterable[Path]],
        *,
        ways: Sequence[Callable[[Path, Path], None]] = WAYS,
    ) -> None:
        self.name = name
        self._folder = folder
        self._candidates = candidates
        self._ways = ways

    def __repr__(self) -> str:
        return f"TwinSource({self.name!r}, {str(self._folder)!r})"

    def find(self, key: Key) -> Path | None:
        """Return a file that should have the bytes of an object, or None."""
        for path in self._candidates(key):
            # links are followed: what they lead to stays when they go
            real = path.resolve()
            if real.is_file() and real.is_relative_to(self._folder.resolve()):
                return real
        return None

    def has(self, key: Key) -> bool:
        """Return whether there is a file that should have the bytes of an object."""
        return self.find(key) is not None

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        """Make the part another name of the file. All its bytes are read, so that the store can compare the digest.

        Raises
        ------
        MissingObjectError
            It has gone.
        """
        twin = self.find(key)
        if twin is None:
            raise MissingObjectError(f"{self.name} has no {key}.")
        part.restart(origin=str(twin))
        part.close()
        with translated(part.path):
            part.path.unlink()
            try:
                kept_once(twin, part.path, self._ways)
            except FileNotFoundError as error:
                raise MissingObjectError(f"{self.name} has no {key} any more: {twin} has gone.") from error
        part.written(origin=str(twin))
        progress(part.position, part.position)
        return Filled(str(twin), size=part.position)
