"""A project of raw recordings: what its registry says of sessions, and in which folder each lies."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from project_cache.errors import MissingObjectError, UnknownObjectError
from project_cache.manifest.folders import cache_dir
from project_cache.manifest.model import Manifest
from project_cache.manifest.schema import shipped_manifest
from project_cache.raw.identity import SessionRecord
from project_cache.raw.places import AnyPath, place

if TYPE_CHECKING:
    from project_cache.raw.registry import SessionInfo

__all__ = ["RawProject", "roots_of"]

#: the manifest that says where recordings are, where nobody else does
PROJECT = "dynamic-routing"


def roots_of(root: Any = None) -> tuple[AnyPath, ...]:
    """Return the folders and S3 prefixes in which raw folders lie.

    Parameters
    ----------
    root : path-like, or sequence of them, optional
        By default what ``PROJECT_CACHE_RAW`` says (several are separated as in ``PATH``; addresses by spaces), or
        else what the manifest ``dynamic-routing`` does.
    """
    if root is None:
        said = os.environ.get("PROJECT_CACHE_RAW", "")
        # a colon is part of every address, so those stand apart
        root = said.split() if "://" in said else [each for each in said.split(os.pathsep) if each]
        root = root or _manifest().raw_roots
    if isinstance(root, str | os.PathLike) or not isinstance(root, Sequence):
        root = [root]
    return tuple(place(each) for each in root)


def _manifest() -> Manifest:
    """Return the project's manifest: the user's own in the cache folder, or the one that ships."""
    own = cache_dir() / PROJECT / "manifest.json"
    return Manifest.read(own if own.is_file() else shipped_manifest(PROJECT))


class RawProject:
    """Sessions of raw recordings, by id.

    Parameters
    ----------
    root : path-like, or sequence of them, optional
        Where raw folders lie (see :func:`roots_of`).
    registry : path-like, optional
        The registry of the project's sessions (YAML).
    """

    def __init__(self, root: Any = None, registry: Any = None) -> None:
        self.roots = roots_of(root)
        self._registry_path = registry

    @cached_property
    def registry(self) -> dict[str, SessionInfo]:
        """What is known of sessions, by id."""
        path = self._registry_path if self._registry_path is not None else _manifest().registry
        if path is None:
            return {}
        from project_cache.raw.registry import read_registry

        return {str(info.id): info for info in read_registry(place(path))}

    @cached_property
    def _folders(self) -> dict[str, AnyPath]:
        """Each session's folder, by id; the first root that has it."""
        from project_cache.raw.roots import recordings_by_session

        found: dict[str, AnyPath] = {}
        for root in self.roots:
            for record, folder in recordings_by_session(root).items():
                found.setdefault(str(record), folder)
        return found

    def session_ids(self) -> list[str]:
        """Return the ids of all sessions, newest first."""
        known = {*self.registry, *self._folders}
        return sorted(known, key=lambda each: (str(SessionRecord(each).date), each), reverse=True)

    def record(self, session_id: Any, *, known: bool = True) -> SessionRecord:
        """Return a session's id, however it was written.

        Raises
        ------
        UnknownObjectError
            It is no session id; or, with `known`, the project has no such session.
        """
        try:
            record = SessionRecord(str(session_id))
        except ValueError as error:
            raise UnknownObjectError(
                f"{session_id!r} is not a session id: it needs a subject and a date, as in '668755_2023-08-31' ({error})."
            ) from error
        if known and str(record) not in self.registry and str(record) not in self._folders:
            raise UnknownObjectError(
                f"There is no session {record} in {', '.join(map(str, self.roots)) or 'any root (there are none)'}; "
                f"there are {len(self.session_ids())} others."
            )
        return record

    def info(self, record: SessionRecord) -> SessionInfo | None:
        """Return what the registry says of a session, or None."""
        return self.registry.get(str(record))

    def folder(self, session_id: str) -> AnyPath | None:
        """Return the raw folder of a session by its id in full, or None where it is in none of the roots."""
        return self._folders.get(session_id)

    def resolve(self, record: SessionRecord) -> AnyPath:
        """Return the raw folder of a session.

        Raises
        ------
        MissingObjectError
            It is in none of the roots.
        """
        try:
            return self._folders[str(record)]
        except KeyError:
            raise MissingObjectError(
                f"The raw folder of {record} is in none of the roots ({', '.join(map(str, self.roots)) or 'there are none'}). "
                f"Give root=, or set PROJECT_CACHE_RAW."
            ) from None


def found(session: Any, root: Any, registry: Any) -> tuple[AnyPath, SessionInfo | None]:
    """Return the raw folder of a session that was given by its id, and what the registry says of it."""
    project = RawProject(root, registry)
    record = project.record(session, known=False)
    return project.resolve(record), project.info(record)


def information(ids: Iterable[Any], registry: Any) -> SessionInfo | None:
    """Return what a registry says of the first of some ids that it knows, or None."""
    project = RawProject((), registry)
    for each in ids:
        try:
            return project.registry[str(SessionRecord(str(each)))]
        except (KeyError, ValueError):
            continue
    return None
