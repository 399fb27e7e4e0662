"""Listings: what lies in folders, each looked at once, however many sessions are looked for in it."""

from __future__ import annotations

import bisect
import glob
import os
import sys
from pathlib import Path

from project_cache.raw.layouts import members_of
from project_cache.raw.names import extract_subject
from project_cache.raw.places import AnyPath, translated

__all__ = ["Listings"]

#: where a name may be a file's that is written in other letters, small for large
_ANY_CASE = os.name == "nt" or sys.platform == "darwin"


class _Listing:
    """What lay in a folder, without hidden files: the paths by name, and which of them are folders."""

    __slots__ = ("_by_subject", "folders", "names", "paths")

    def __init__(self, folder: AnyPath) -> None:
        found: dict[str, AnyPath] = {}
        folders = set()
        with translated(folder):
            if isinstance(folder, Path):
                # the system says of most members what they are along with their names
                with os.scandir(folder) as entries:
                    for entry in entries:
                        found[entry.name] = folder / entry.name
                        if _is_dir(entry):
                            folders.add(entry.name)
            else:
                for path in folder.iterdir():
                    found[path.name] = path
                    if path.is_dir():
                        folders.add(path.name)
        self.names = sorted(name for name in found if not name.startswith("."))
        self.paths = [found[name] for name in self.names]
        self.folders = frozenset(folders)
        self._by_subject: dict[int | None, list[AnyPath]] | None = None

    def of_subject(self, subject: int) -> list[AnyPath]:
        """Return the members whose names are of a subject, and those that are of none."""
        if self._by_subject is None:
            by_subject: dict[int | None, list[AnyPath]] = {}
            for path in self.paths:
                by_subject.setdefault(extract_subject(path.stem), []).append(path)
            self._by_subject = by_subject
        either = [*self._by_subject.get(None, ()), *self._by_subject.get(int(subject), ())]
        return sorted(either, key=lambda path: path.name)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


class Listings:
    """Folders as they were when they were first listed; any thread may ask.

    What comes into a folder later is not seen: whoever wants to see it makes another of these.
    """

    def __init__(self) -> None:
        self._found: dict[AnyPath, _Listing] = {}

    def __repr__(self) -> str:
        return f"<Listings of {len(self._found)} folders>"

    def _listing(self, folder: AnyPath) -> _Listing:
        found = self._found.get(folder)
        # of two threads that list the same folder at once, both have it
        return self._found.setdefault(folder, _Listing(folder)) if found is None else found

    def members(self, folder: AnyPath) -> list[AnyPath]:
        """Return what lies in a folder, by name, without hidden files.

        Raises
        ------
        MissingObjectError
            There is no such folder.
        """
        return self._listing(folder).paths

    def of_subject(self, folder: AnyPath, subject: int) -> list[AnyPath]:
        """Return the members of a folder whose names are of a subject, or of none."""
        return self._listing(folder).of_subject(subject)

    def starting_with(self, folder: AnyPath, prefix: str) -> list[AnyPath]:
        """Return the members of a folder whose names begin so; it is not listed as a whole for that."""
        found = self._found.get(folder)
        if found is None:
            return members_of(folder, f"{glob.escape(prefix)}*")
        first = bisect.bisect_left(found.names, prefix)
        last = first
        while last < len(found.names) and found.names[last].startswith(prefix):
            last += 1
        return found.paths[first:last]

    def is_dir(self, path: AnyPath) -> bool:
        """Return whether a path is a folder, by the listing of the folder that it lies in if there is one."""
        if path in self._found:
            return True
        beside = self._found.get(path.parent)
        name = path.name
        if beside is None or not name or name.startswith(".") or (_ANY_CASE and name not in beside.folders):
            return path.is_dir()
        return name in beside.folders
