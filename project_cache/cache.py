"""ProjectCache: a project's tables and sessions, from a local folder that is filled as they are asked for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from project_cache.errors import ConfigurationError
from project_cache.housekeeping import KeepsHouse
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.opening import Opens
from project_cache.project_sessions import HasSessions
from project_cache.projects import cache_dir, chosen_sources, existing, found_or_written, offline_wanted
from project_cache.publish import Publishes
from project_cache.sources.base import Progress, Source
from project_cache.store.store import Store
from project_cache.tables.columns import (
    SUPPRESS_FROM_CHANNELS,
    SUPPRESS_FROM_PROBES,
    SUPPRESS_FROM_SESSION_TABLE,
    SUPPRESS_FROM_UNITS,
)

if TYPE_CHECKING:
    from project_cache.display.html import Summary

__all__ = ["EcephysProjectCache", "ProjectCache", "cache_dir"]


class ProjectCache(Opens, HasSessions, KeepsHouse, Publishes):
    """A project of recording sessions in a local folder, which is filled as things are asked for.

    The constructors are :meth:`open`, :meth:`from_s3`, :meth:`from_warehouse`, :meth:`fixed`, :meth:`from_directory`,
    :meth:`from_raw` and :meth:`from_files`; calling the class is AllenSDK's way and the same as :meth:`from_warehouse` with its defaults.

    Parameters
    ----------
    fetch_api : Source or sequence of Source, optional
        Where absent objects come from, instead of what the manifest or the project names.
    fetch_tries : int
        How often an object that arrived broken is asked for again. (Drops on the way are resumed in any case.)
    stream_writer : None
        AllenSDK's; the store writes here, so anything else is refused.
    manifest : str or pathlib.Path, optional
        The manifest file, whose folder is the cache folder (or that folder). If there is none it is written.
        By default ``ecephys_project_manifest.json`` in the working directory where that exists, as AllenSDK
        has it, or else in the user's cache folder (see :func:`cache_dir`).
    version : str, optional
        The manifest version to insist on.
    cache : bool
        AllenSDK's; only True works, there as here.
    layers : sequence of str or pathlib.Path, optional
        Folders of the same project that are asked first and never written to, such as a preloaded drive. Those
        in ``PROJECT_CACHE_LAYERS`` (separated as in ``PATH``) follow.
    offline : bool, optional
        Never touch the network. By default what ``PROJECT_CACHE_OFFLINE`` says.
    progress : bool, optional
        Whether to show progress bars; by default in a terminal and in a notebook, unless
        ``PROJECT_CACHE_PROGRESS`` is 0.
    lock_timeout : float, optional
        Seconds to wait while another process fetches the same object; by default as long as it takes.

    Attributes
    ----------
    manifest : Manifest
        What the project holds and where.
    store : Store
        The folders that hold it.
    """

    MANIFEST_VERSION: ClassVar[str] = "0.3.0"
    SESSIONS_KEY: ClassVar[str] = "sessions"
    PROBES_KEY: ClassVar[str] = "probes"
    CHANNELS_KEY: ClassVar[str] = "channels"
    UNITS_KEY: ClassVar[str] = "units"
    SESSION_DIR_KEY: ClassVar[str] = "session_data"
    SESSION_NWB_KEY: ClassVar[str] = "session_nwb"
    PROBE_LFP_NWB_KEY: ClassVar[str] = "probe_lfp_nwb"
    NATURAL_MOVIE_DIR_KEY: ClassVar[str] = "movie_dir"
    NATURAL_MOVIE_KEY: ClassVar[str] = "natural_movie"
    NATURAL_SCENE_DIR_KEY: ClassVar[str] = "natural_scene_dir"
    NATURAL_SCENE_KEY: ClassVar[str] = "natural_scene"
    SESSION_ANALYSIS_METRICS_KEY: ClassVar[str] = "session_analysis_metrics"
    TYPEWISE_ANALYSIS_METRICS_KEY: ClassVar[str] = "typewise_analysis_metrics"
    SUPPRESS_FROM_SESSION_TABLE: ClassVar[tuple[str, ...]] = SUPPRESS_FROM_SESSION_TABLE
    SUPPRESS_FROM_PROBES: ClassVar[tuple[str, ...]] = SUPPRESS_FROM_PROBES
    SUPPRESS_FROM_CHANNELS: ClassVar[tuple[str, ...]] = SUPPRESS_FROM_CHANNELS
    SUPPRESS_FROM_UNITS: ClassVar[tuple[str, ...]] = SUPPRESS_FROM_UNITS

    def __init__(
        self,
        fetch_api: Source | Sequence[Source] | None = None,
        fetch_tries: int = 2,
        stream_writer: None = None,
        manifest: str | Path | None = None,
        version: str | None = None,
        cache: bool = True,
        *,
        layers: Iterable[str | Path] | None = None,
        offline: bool | None = None,
        progress: bool | None = None,
        lock_timeout: float | None = None,
    ) -> None:
        if stream_writer is not None:
            raise ConfigurationError(
                "stream_writer= is not used here: the store writes files itself. Leave it out."
            )
        offline = offline_wanted() if offline is None else offline
        self._setup(
            found_or_written(manifest, version, write=not offline),
            sources=fetch_api,
            fetch_tries=fetch_tries,
            cache=cache,
            layers=layers,
            offline=offline,
            progress=progress,
            lock_timeout=lock_timeout,
        )

    def _setup(
        self,
        manifest: Manifest,
        *,
        sources: Source | Sequence[Source] | None = None,
        fetch_tries: int = 2,
        cache: bool = True,
        layers: Iterable[str | Path] | None = None,
        offline: bool | None = None,
        progress: bool | None = None,
        lock_timeout: float | None = None,
    ) -> None:
        if not cache:
            raise ConfigurationError(
                "cache=False would keep nothing, and without files no session can be opened (nor could AllenSDK). "
                "Leave it out, or give a manifest= in a temporary folder."
            )
        if isinstance(fetch_tries, bool) or fetch_tries < 1:
            raise ConfigurationError(f"fetch_tries must be 1 or more, not {fetch_tries!r}.")
        self.manifest = manifest
        self.fetch_tries = fetch_tries
        self.cache = True
        self.stream_writer = None
        self.progress = progress
        offline = offline_wanted() if offline is None else offline
        folders = [
            *(layers or ()),
            *filter(None, os.environ.get("PROJECT_CACHE_LAYERS", "").split(os.pathsep)),
            *manifest.lay_in(),
        ]
        chosen = chosen_sources(sources, manifest)
        self.fetch_api = chosen[0] if chosen else None
        self.store = Store(
            manifest,
            [manifest.at(existing(folder)) for folder in folders],
            chosen,
            offline=offline,
            tries=fetch_tries,
            progress=self._bar,
            lock_timeout=lock_timeout,
        )
        self._tables = None

    @classmethod
    def _of(cls, manifest: Manifest, **options: Any) -> ProjectCache:
        """Return the cache of a manifest that a constructor found; the options are those of ``_setup``."""
        self = cls.__new__(cls)
        self._setup(manifest, **options)
        return self

    @property
    def manifest_path(self) -> str:
        """The manifest's file; of a project that goes by a shipped name, the one in its folder."""
        return str(self.manifest.path or self.manifest.folder / "manifest.json")

    @property
    def offline(self) -> bool:
        """Whether the network is left alone."""
        return self.store.offline

    def get_cache_path(self, file_name: str | None, manifest_key: str, *args: int | str) -> str:
        """Return where the manifest puts an object: AllenSDK's way of asking.

        Parameters
        ----------
        file_name : str or None
            Returned as it is, if there is one.
        manifest_key : str
            The kind, one of the ``…_KEY`` constants.
        *args
            Its ids (AllenSDK gives the session id twice; once is enough).
        """
        if file_name:
            return file_name
        return str(self.manifest.locate(Key(manifest_key, tuple(dict.fromkeys(args)))))

    @contextlib.contextmanager
    def _bar(self, key: Key) -> Iterator[Progress]:
        from project_cache.display.progress import bar

        with bar(str(key), show=self.progress) as progress:
            yield progress

    def _summary(self) -> Summary:
        from project_cache.display.project import project_summary

        made = {} if self._tables is None else self._tables.made
        return project_summary(type(self), self.manifest, self.store, made)

    def __repr__(self) -> str:
        from project_cache.display.html import summary_text

        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        from project_cache.display.html import summary_html

        return summary_html(self._summary())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tables": None}


#: ``ProjectCache`` under the name that AllenSDK's users import
EcephysProjectCache = ProjectCache
