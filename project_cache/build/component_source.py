"""The source of component tables: one session's component, as parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from project_cache.build.component_frames import component_frame, identified
from project_cache.errors import ComponentUnavailable, MissingObjectError
from project_cache.manifest.keys import Key
from project_cache.sources.base import Filled, Progress, silent
from project_cache.store.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from project_cache.raw.identity import SessionRecord

__all__ = ["ComponentSource"]


class ComponentSource:
    """A source of single components of sessions, each a parquet file.

    Attributes
    ----------
    name : str
    remote : bool
    """

    name = "components"
    remote = False

    def __init__(self) -> None:
        self._offered: dict[Key, tuple[SessionRecord, Callable[[str], Any], str]] = {}

    def offer(
        self, name: str, session: SessionRecord, digest: str, component: Callable[[str], Any], recipe: str
    ) -> Key:
        """Take on a component of a session, and return the key of its file."""
        key = Key("component", (name, str(session), digest))
        self._offered[key] = (session, component, recipe)
        return key

    def has(self, key: Key) -> bool:
        """Return whether the component has been offered."""
        return key in self._offered

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        """Write the component to the part.

        Raises
        ------
        MissingObjectError
            The session does not have it.
        """
        if key not in self._offered:
            raise MissingObjectError(f"{key} is not something that was offered.")
        session, component, recipe = self._offered[key]
        try:
            frame = identified(component_frame(str(key.args[0]), component), session)
        except ComponentUnavailable as error:
            raise MissingObjectError(f"{key} cannot be made: {error}") from error
        frame.to_parquet(part.path, compression="zstd", compression_level=15, index=False)
        part.written(origin=f"component:{key}")
        progress(part.position, part.position)
        return Filled(origin=f"component:{key}", size=part.position, recipe=recipe)
