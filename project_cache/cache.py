"""ProjectCache: a project's tables and sessions, from a local folder that is filled as they are asked for."""

from __future__ import annotations

import contextlib
import functools
import importlib
import operator
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    MissingObjectError,
    ProjectCacheError,
    UnknownObjectError,
)
from project_cache.housekeeping import KeepsHouse
from project_cache.manifest.cloud import is_manifest_name
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.manifest.schema import shipped
from project_cache.projects import (
    cache_dir,
    chosen_sources,
    existing,
    found_or_written,
    named,
    offline_wanted,
    published,
    warehouse_sources,
)
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
    import pandas as pd
    from numpy.typing import NDArray

    from project_cache.display.html import Summary
    from project_cache.nwb.file import NWBReader
    from project_cache.raw_projects import RawProjectCache
    from project_cache.tables.tables import Tables

__all__ = ["EcephysProjectCache", "ProjectCache", "cache_dir"]


#: where the classes are that a manifest may name
SESSION_CLASSES = {
    "Session": "project_cache.sessions.base",
    "EcephysSession": "project_cache.sessions.ecephys",
    "BehaviorSession": "project_cache.sessions.behavior",
    "BehaviorEcephysSession": "project_cache.sessions.behavior_ecephys",
    "DynamicRoutingSession": "project_cache.sessions.dynamic_routing",
}


#: … and the caches of projects that AllenSDK's cloud manifests describe
RELEASED = {
    "visual-behavior-neuropixels": ("project_cache.visual_behavior", "VisualBehaviorNeuropixelsProjectCache")
}


class ProjectCache(KeepsHouse, Publishes):
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
        self._tables: Tables | None = None

    # Opening -----------------------------------------------------------------------------------

    @classmethod
    def open(cls, project: str | Path, **options: Any) -> ProjectCache:
        """Return the cache of a project.

        Parameters
        ----------
        project : str or pathlib.Path
            The name of a manifest that ships with the package (``"demo"``, ``"visual-coding-neuropixels"``), which
            then has a folder of its own in :func:`cache_dir`; or a manifest file; or the folder it is in; or a folder
            that AllenSDK's cloud cache has filled; or an address that a project is published at (see :meth:`from_s3`).
        **options
            ``layers``, ``offline``, ``progress``, ``fetch_tries``, ``lock_timeout`` as in the class.

        Raises
        ------
        ManifestError
            There is no such project, or its manifest is broken.
        """
        if isinstance(project, str) and "://" in project:
            return cls.from_s3(project, **options)
        filled = _filled_by_allensdk(Path(project))
        if filled is not None:
            return _released(filled, Path(project), **options)
        manifest = named(project)
        if manifest.releases is not None:
            return _released(manifest.project, manifest.folder, **options)
        if manifest.raw_roots or manifest.project == "dynamic-routing" and not manifest.objects:
            return cls.from_raw(manifest.raw_roots or None, registry=manifest.registry, **options)
        self = cls.__new__(cls)
        self._setup(manifest, **options)
        return self

    @classmethod
    def from_s3(
        cls,
        project: str,
        prefix: str | None = None,
        *,
        cache_dir: str | Path | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        anonymous: bool | None = None,
        requester_pays: bool = False,
        **options: Any,
    ) -> ProjectCache:
        """Return the cache of a project that is published in a bucket, or on a web server.

        Parameters
        ----------
        project : str
            The name of a manifest that ships with the package (``"visual-behavior-neuropixels"``); or where a project
            is published: ``s3://bucket/prefix``, ``https://host/path``, or the name of a bucket.
        prefix : str, optional
            Where in that bucket.
        cache_dir : path-like, optional
            The cache folder; by default one of the project's own in :func:`cache_dir`.
        endpoint_url : str, optional
            The address of a server other than Amazon's; by default ``AWS_ENDPOINT_URL_S3``, if that is set.
        region : str, optional
            Where the bucket is.
        anonymous : bool, optional
            Whether requests are never signed (True) or always (False); by default what works.
        requester_pays : bool
            Agree to be charged for what is fetched.
        **options
            ``layers``, ``offline``, ``progress``, ``fetch_tries``, ``lock_timeout`` as in the class.

        Raises
        ------
        MissingObjectError
            No project is published there.
        ManifestError
            Its manifest is broken, or not to be trusted.
        """
        bucket: dict[str, Any] = {
            "endpoint_url": endpoint_url, "region": region, "anonymous": anonymous, "requester_pays": requester_pays,
        }  # fmt: skip
        if prefix is None and project in shipped():
            manifest = named(project)
            if manifest.releases is not None:
                return _released(project, cache_dir or manifest.folder, **bucket, **options)
            raise ConfigurationError(
                f"{project} is not published in versions: ProjectCache.open({project!r}) opens it."
            )
        url = project if "://" in project else f"s3://{project}/{prefix or ''}"
        offline = options.get("offline")
        offline = offline_wanted() if offline is None else bool(offline)
        manifest, source = published(url, cache_dir, offline=offline, **bucket)
        self = cls.__new__(cls)
        self._setup(manifest, sources=[source, *chosen_sources(None, manifest)[1:]], **options)
        return self

    @classmethod
    def from_warehouse(
        cls,
        scheme: str | None = None,
        host: str | None = None,
        asynchronous: bool = False,
        manifest: str | Path | None = None,
        version: str | None = None,
        cache: bool = True,
        fetch_tries: int = 2,
        timeout: float = 1200,
        **options: Any,
    ) -> ProjectCache:
        """Return a cache that is filled from the Allen Institute's data warehouse.

        Parameters
        ----------
        scheme, host : str, optional
            Another warehouse, such as ``"http"`` and ``"127.0.0.1:8080"``. Without them it is
            ``http://api.brain-map.org``, and what that cannot give comes from the project's public bucket.
        asynchronous : bool
            AllenSDK's choice between two ways to download. There is one here, which is resumed after drops and
            works inside notebooks; both values give it.
        manifest, version, cache, fetch_tries
            As in the class.
        timeout : float
            Seconds that the warehouse may stay silent in all while one file is asked for.
        **options
            ``layers``, ``offline``, ``progress``, ``lock_timeout`` as in the class.
        """
        self = cls.__new__(cls)
        offline = options.get("offline")
        offline = offline_wanted() if offline is None else bool(offline)
        found = found_or_written(manifest, version, write=not offline)
        sources = warehouse_sources(found, scheme, host, timeout)
        self._setup(found, sources=sources, cache=cache, fetch_tries=fetch_tries, **options)
        return self

    @classmethod
    def from_lims(cls, *args: object, **kwargs: object) -> ProjectCache:
        """Refuse: LIMS is a database inside the Allen Institute."""
        raise ConfigurationError(
            "LIMS is a database inside the Allen Institute and is not read here. Use from_warehouse(), or open() on a folder."
        )

    @classmethod
    def fixed(
        cls, manifest: str | Path | None = None, version: str | None = None, **options: Any
    ) -> ProjectCache:
        """Return a cache that never touches the network: what is in its folders is all there is.

        Parameters
        ----------
        manifest, version
            As in the class; the manifest must be there.
        **options
            ``layers``, ``progress`` as in the class.
        """
        self = cls.__new__(cls)
        found = found_or_written(manifest, version, write=False)
        self._setup(found, **{**options, "offline": True})
        return self

    @classmethod
    def from_directory(
        cls,
        directory: str | Path,
        manifest: str | Path | None = None,
        version: str | None = None,
        **options: Any,
    ) -> ProjectCache:
        """Return a cache that copies what is asked for from another folder, such as a slow network share.

        Parameters
        ----------
        directory : str or pathlib.Path
            The folder, in AllenSDK's layout or with a manifest of its own.
        manifest, version
            As in the class.
        **options
            ``layers``, ``progress``, ``fetch_tries``, ``lock_timeout`` as in the class.
        """
        from project_cache.sources.directory import DirectorySource

        self = cls.__new__(cls)
        found = found_or_written(manifest, version, write=True)
        self._setup(found, sources=[DirectorySource(found.at(existing(directory)))], **options)
        return self

    @classmethod
    def from_raw(
        cls, root: Any = None, *, registry: Any = None, cache_dir: Any = None, **options: Any
    ) -> RawProjectCache:
        """Return a cache of raw recordings, whose sessions are built when they are asked for.

        Parameters
        ----------
        root : path-like, or sequence of them, optional
            Folders or S3 prefixes in which raw folders lie; by default those in ``PROJECT_CACHE_RAW``.
        registry : path-like, optional
            The project's registry of sessions (YAML).
        cache_dir : path-like, optional
            Where built things go; by default ``PROJECT_CACHE_DIR``, or the user's cache folder.
        **options
            ``raw``, ``given``, ``layers``, ``progress``, ``lock_timeout``: see
            :class:`~project_cache.raw_projects.RawProjectCache`.
        """
        from project_cache.raw_projects import RawProjectCache

        return RawProjectCache(root, registry=registry, cache_dir=cache_dir, **options)

    @classmethod
    def from_files(
        cls,
        files: str
        | os.PathLike[str]
        | Iterable[str | os.PathLike[str]]
        | Mapping[Any, str | os.PathLike[str]],
        *,
        project: str | None = None,
        description: str | None = None,
        ids: str = "name",
        session_class: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> ProjectCache:
        """Return the cache of a project of NWB files that are there already, such as a lab's own. They stay where they are.

        A manifest and a table of sessions (``sessions.csv``) are written beside the files, the table from what the files say
        of themselves. Called again, it adds what is new; rows that are in the table stay as they are, so that they can be
        corrected and given more columns by hand. :meth:`publish` makes the project one for others.

        Parameters
        ----------
        files : path-like, iterable of path-like, or mapping
            A folder, in which all ``*.nwb`` are taken, at any depth (those that cannot be read are left out, with a warning);
            or files; or files by the ids that their sessions are to have.
        project : str, optional
            What the project is called; by default as the folder. This, `description` and `session_class` stay what they were
            when it is called again without them.
        description : str, optional
            What its manifest says of it.
        ids : {'name', 'session_id', 'identifier'}
            Where a session's id is from: the file's name without its ending, or what stands in the file.
        session_class : str, optional
            What opens the sessions: ``Session`` (the default), ``EcephysSession``, ``BehaviorSession``, ``DynamicRoutingSession`` …
        cache_dir : path-like, optional
            The folder of the manifest and the table, where they cannot be beside the files; by default the folder that the
            files are in.
        **options
            ``layers``, ``offline``, ``progress``, ``lock_timeout`` as in the class.

        Raises
        ------
        ConfigurationError
            Two files would be one session, a file is not there, or the folder has another manifest.
        NotNWBError, CorruptObjectError
            A file that was named is not NWB 2, or damaged.
        """
        from project_cache.file_projects import project_of_files

        if session_class is not None and session_class not in SESSION_CLASSES:
            raise ConfigurationError(
                f"session_class={session_class!r}: it can be {', '.join(SESSION_CLASSES)}."
            )
        manifest, folder = project_of_files(
            files, cache_dir, project=project, description=description, ids=ids, session_class=session_class
        )
        layers = [*(options.pop("layers", None) or ()), *([] if folder == manifest.folder else [folder])]
        self = cls.__new__(cls)
        self._setup(manifest, layers=layers, **options)
        return self

    # Tables ------------------------------------------------------------------------------------

    @property
    def tables(self) -> Tables:
        """The project's tables, each read when it is first asked for."""
        if self._tables is None:
            from project_cache.tables.tables import Tables

            # Copies go beside what this cache owns, never into a layer.
            may_keep = functools.partial(_is_own, self.manifest)
            self._tables = Tables(self.store.get, may_keep, self._has_table)
        return self._tables

    def _has_table(self, kind: str) -> bool:
        """Return whether the project has a table: it is here, or there is somebody who can be asked for it."""
        if self.manifest.allen:
            return True
        key = Key(kind)
        if not any(kind in layer.layout.kinds() for layer in (*self.store.layers, self.manifest)):
            return False
        return bool(self.store.sources_for(key)) or self.store.find(key) is not None

    def get_session_table(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return one row for each session, with the number of its units, channels and probes and its structures.

        A project with fewer than the four tables gives what it has: its table of sessions as it is, with the counts that
        follow from its other tables; without a table of sessions, ``session_class`` and ``size`` of those that its manifest
        names or that are here.

        Parameters
        ----------
        suppress : sequence of str, optional
            Columns to leave out; by default AllenSDK's choice.
        """
        if not self.tables.has("sessions"):
            from project_cache.tables.loose import listed_sessions

            here = self.store.present(["session_nwb"])
            table = listed_sessions(self.manifest.objects, here, self.manifest.session_class)
            return table.drop(columns=list(suppress or ()), errors="ignore")
        return self.tables.sessions(suppress=suppress)

    def get_probes(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return one row for each probe of each session."""
        return self.tables.probes(suppress=suppress)

    def get_channels(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return one row for each channel of each probe."""
        return self.tables.channels(suppress=suppress)

    def get_units(
        self,
        suppress: Sequence[str] | None = None,
        filter_by_validity: bool = True,
        **unit_filter_kwargs: Any,
    ) -> pd.DataFrame:
        """Return one row for each sorted unit that passes the filters, joined with its channel, probe and session.

        Parameters
        ----------
        suppress : sequence of str, optional
            Columns to leave out; by default AllenSDK's choice.
        filter_by_validity : bool
            Whether to keep only units of the quality "good".
        **unit_filter_kwargs
            ``amplitude_cutoff_maximum`` (0.1), ``presence_ratio_minimum`` (0.95), ``isi_violations_maximum`` (0.5);
            None is no limit. ``filter_out_of_brain_units`` (True). More: see :meth:`Tables.units`.
        """
        return self.tables.units(
            suppress=suppress, filter_by_validity=filter_by_validity, **unit_filter_kwargs
        )

    def get_unit_analysis_metrics_for_session(
        self,
        session_id: int | str,
        annotate: bool = True,
        filter_by_validity: bool = True,
        **unit_filter_kwargs: Any,
    ) -> pd.DataFrame:
        """Return the published response metrics of a session's units, one row for each."""
        return self.tables.session_metrics(
            _id(session_id), annotate=annotate, filter_by_validity=filter_by_validity, **unit_filter_kwargs
        )

    def get_unit_analysis_metrics_by_session_type(
        self,
        session_type: str,
        annotate: bool = True,
        filter_by_validity: bool = True,
        **unit_filter_kwargs: Any,
    ) -> pd.DataFrame:
        """Return the published response metrics of the units of all sessions of a type, one row for each."""
        return self.tables.type_metrics(
            session_type, annotate=annotate, filter_by_validity=filter_by_validity, **unit_filter_kwargs
        )

    def get_all_session_types(self, **session_kwargs: Any) -> list[Any]:
        """Return the session types, in the order of the table."""
        return self.tables.session_types(**session_kwargs)

    def get_all_full_genotypes(self, **session_kwargs: Any) -> list[Any]:
        """Return the genotypes, in the order of the table."""
        return self.tables.full_genotypes(**session_kwargs)

    def get_structure_acronyms(self, **channel_kwargs: Any) -> list[Any]:
        """Return the acronyms of the structures that channels lie in (nan for those outside of the brain)."""
        return self.tables.structure_acronyms(**channel_kwargs)

    def get_all_ages(self, **session_kwargs: Any) -> list[Any]:
        """Return the ages in days, in the order of the table."""
        return self.tables.ages(**session_kwargs)

    def get_all_sexes(self, **session_kwargs: Any) -> list[Any]:
        """Return the sexes, in the order of the table."""
        return self.tables.sexes(**session_kwargs)

    # Sessions ----------------------------------------------------------------------------------

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
        session_id = _id(session_id)
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

        path = self.store.get(Key("natural_movie", (_id(number),)))
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

        path = self.store.get(Key("natural_scene", (_id(number),)))
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
        for session_id in map(_id, session_ids):
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

    # Around ------------------------------------------------------------------------------------

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


def _filled_by_allensdk(folder: Path) -> str | None:
    """Return the name of the project whose versions a folder has, or None if it is not such a folder."""
    if not folder.is_dir() or (folder / "manifest.json").exists():
        return None
    for project in RELEASED:
        if any(is_manifest_name(path.name) for path in folder.glob(f"{project}_*.json")):
            return project
    return None


def _released(project: str, folder: str | Path, **options: Any) -> ProjectCache:
    """Return the cache of a shipped project that is published in versions."""
    module, name = RELEASED[project]
    cache: ProjectCache = getattr(importlib.import_module(module), name).from_s3_cache(folder, **options)
    return cache


def _is_own(manifest: Manifest, key: Key, path: Path) -> bool:
    return path == manifest.locate(key)


def _reopened(cache: ProjectCache, session_id: int | str, options: Mapping[str, Any]) -> Any:
    """Return a session that was pickled, by its cache, its id and how it was asked for."""
    return cache.get_session_data(session_id, **options)


def _id(session_id: Any) -> Any:
    """Return an id as the keys have it: an int (whatever NumPy calls it), or a string that is no number."""
    if isinstance(session_id, str) and not session_id.isdecimal():
        return session_id
    try:
        return int(session_id) if isinstance(session_id, str) else operator.index(session_id)
    except TypeError:
        raise UnknownObjectError(
            f"{session_id!r} is not a session id: give one of the index of get_session_table()."
        ) from None


#: ``ProjectCache`` under the name that AllenSDK's users import
EcephysProjectCache = ProjectCache
