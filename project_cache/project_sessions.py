"""The sessions of a project, with the files that belong to them: LFP, and what was shown."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    MissingObjectError,
    ProjectCacheError,
    UnknownObjectError,
)
from project_cache.manifest.keys import Key
from project_cache.project_tables import HasTables, id_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from project_cache.nwb.file import NWBReader

__all__ = ["SESSION_CLASSES", "HasSessions"]

#: where the classes are that a manifest may name
SESSION_CLASSES = {
    "Session": "project_cache.sessions.base",
    "EcephysSession": "project_cache.sessions.ecephys",
    "BehaviorSession": "project_cache.sessions.behavior",
    "BehaviorEcephysSession": "project_cache.sessions.behavior_ecephys",
    "DynamicRoutingSession": "project_cache.sessions.dynamic_routing",
}


class HasSessions(HasTables):
    """The part of a :class:`~project_cache.cache.ProjectCache` that opens sessions, which its tables list."""

    progress: bool | None

    def get_session_data(
        self,
        session_id: int | str,
        filter_by_validity: bool = True,
        *,
        stream: bool = False,
        **unit_filter_kwargs: Any,
    ) -> Any:
        """Return a session (:class:`EcephysSession`, or what the manifest says); its file is fetched if no layer of the cache has it.

        Parameters
        ----------
        session_id : int
            A session of the table.
        filter_by_validity : bool
            Whether to leave out invalid channels, and units of another quality than "good".
        stream : bool
            Whether to read the file where it is, on its server, and nothing of it but what is asked for. What was
            read is kept in the cache folder for the next time. A file that is in the cache already is read there.
        **unit_filter_kwargs
            ``amplitude_cutoff_maximum``, ``presence_ratio_minimum``, ``isi_violations_maximum`` (None is no limit)
            and ``filter_out_of_brain_units``, as in :meth:`get_units`.

        Raises
        ------
        UnknownObjectError
            The project has no such session.
        MissingObjectError, TransferError
            Its file is not there and cannot be had.
        """
        session_id = id_of(session_id)
        key = Key("session_nwb", (session_id,))
        path = self._streamed(key) if stream else self._path_of_session(session_id)
        entry = self.manifest.entry(key)
        name = entry.session_class or self.manifest.session_class
        kind = getattr(importlib.import_module(SESSION_CLASSES[name]), name)
        if name != "EcephysSession":
            if unit_filter_kwargs:
                raise ConfigurationError(
                    f"The sessions of {self.manifest.project} take no unit filters ({', '.join(unit_filter_kwargs)})."
                )
            return kind(path)
        return kind(
            path,
            channel_table=self._session_channels,
            unit_metrics=functools.partial(self._session_metrics, session_id),
            lfp_path=functools.partial(self._lfp_path, session_id, stream=stream),
            filter_by_validity=filter_by_validity,
            origin=(
                _reopened,
                (
                    self,
                    session_id,
                    {**unit_filter_kwargs, "filter_by_validity": filter_by_validity, "stream": stream},
                ),
            ),
            **unit_filter_kwargs,
        )

    def _lfp_path(self, session_id: int | str, probe_id: int, *, stream: bool = False) -> Path | NWBReader:
        """Return the LFP file of a probe, fetched if no layer has it, or what reads it where it is."""
        key = Key("probe_lfp_nwb", (session_id, probe_id))
        return self._streamed(key) if stream else self.store.get(key)

    def _streamed(self, key: Key) -> NWBReader:
        from project_cache.nwb.streamed import streamed

        return streamed(self.store, key)

    def _session_metrics(self, session_id: Any) -> pd.DataFrame | None:
        """Return the published metrics of a session's units if they are here already, else None."""
        key = Key("session_analysis_metrics", (session_id,))
        # of a lock it is known whether they were here then
        here = (
            self.store.find(key) is not None
            if self.manifest.frozen is None
            else self.manifest.objects.get(key) is not None
        )
        if key.kind not in self.manifest.layout.kinds() or not here:
            return None
        return self.tables.session_metrics(session_id, annotate=False)

    def _path_of_session(self, session_id: int | str) -> Path:
        """Return the path of a session's file; before it is fetched, the table is asked whether it exists at all."""
        self._require_session(session_id)
        return self.store.get(Key("session_nwb", (session_id,)))

    def _require_session(self, session_id: int | str) -> None:
        """Raise if the project has no such session: neither a file, nor a row in its table."""
        if self.store.find(Key("session_nwb", (session_id,))) is not None:
            return
        try:
            known = self.tables.session_ids()
        except ProjectCacheError:
            return  # a drive may hold sessions and no tables; the store says what is missing
        if session_id not in known:
            raise UnknownObjectError(
                f"The project {self.manifest.project} has no session {session_id}; get_session_table() lists its {len(known)}."
            )

    def _session_channels(self) -> pd.DataFrame | None:
        """Return what the project's table knows of channels, or None (with a warning) where there is no table."""
        if not self.tables.has("channels"):
            return None  # the project has none: its files are to say it all
        try:
            return self.tables.session_channels()
        except MissingObjectError as error:
            warnings.warn(
                f"The structures and coordinates of channels are those of the session's file alone: {error}",
                UserWarning,
                stacklevel=2,
            )
            return None

    def get_natural_movie_template(self, number: int) -> NDArray[Any]:
        """Return the frames of a natural movie (frame, row, column), as they were shown.

        Parameters
        ----------
        number : int
            1 or 3.
        """
        import numpy as np

        path = self.store.get(Key("natural_movie", (id_of(number),)))
        try:
            # NumPy's own format, whatever the ending says; nothing that runs code is loaded
            frames: NDArray[Any] = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise CorruptObjectError(
                f"{path} is not a movie template ({error}). Remove it and ask again."
            ) from error
        return frames

    def get_natural_scene_template(self, number: int) -> NDArray[Any]:
        """Return a natural scene (row, column), as it was shown.

        Parameters
        ----------
        number : int
            0 to 117.
        """
        import tifffile

        path = self.store.get(Key("natural_scene", (id_of(number),)))
        try:
            scene: NDArray[Any] = tifffile.imread(path)
        except (tifffile.TiffFileError, ValueError) as error:
            raise CorruptObjectError(
                f"{path} is not a scene template ({error}). Remove it and ask again."
            ) from error
        return scene

    def fetch(
        self, session_ids: Iterable[int | str], *, lfp: bool = False, workers: int = 4
    ) -> dict[Key, Path]:
        """Return the files of sessions, each fetched if it is not there: several at a time, with one bar for all.

        Parameters
        ----------
        session_ids : iterable of int
            Sessions of the table.
        lfp : bool
            Whether the LFP file of each of their probes is fetched as well.
        workers : int
            How many files are fetched at once.

        Notes
        -----
        A file that cannot be had does not stop the others; its error is raised when they are done. What has arrived
        is kept, and the next call goes on from there.
        """
        keys: list[Key] = []
        for session_id in map(id_of, session_ids):
            self._require_session(session_id)
            keys.append(Key("session_nwb", (session_id,)))
            if lfp:
                keys += self._lfp_keys(session_id)
        return self._fetch_keys(keys, workers)

    def _fetch_keys(self, keys: Sequence[Key], workers: int) -> dict[Key, Path]:
        """Return the files of objects, fetched several at a time, with one bar for all."""
        from project_cache.display.progress import Together, bar

        with bar(f"fetch {len(keys)} files", show=self.progress) as told:
            return self.store.get_many(keys, workers=workers, progress=Together(told).of)

    def _lfp_keys(self, session_id: int | str) -> list[Key]:
        """Return the LFP files of a session: by the table of probes, or else those that the manifest names."""
        if self.tables.has("probes"):
            return [Key("probe_lfp_nwb", (session_id, n)) for n in self.tables.lfp_probes(session_id)]
        named = (entry.key for entry in self.manifest.objects)
        return [key for key in named if key.kind == "probe_lfp_nwb" and key.args[0] == session_id]


def _reopened(cache: HasSessions, session_id: int | str, options: Mapping[str, Any]) -> Any:
    """Return a session that was pickled, by its cache, its id and how it was asked for."""
    return cache.get_session_data(session_id, **options)
