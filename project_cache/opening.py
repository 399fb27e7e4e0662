"""Opening a project: by its name, its folder, its address, its raw recordings or its files."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project_cache.errors import ConfigurationError
from project_cache.manifest.schema import shipped
from project_cache.project_sessions import SESSION_CLASSES
from project_cache.projects import (
    chosen_sources,
    existing,
    found_or_written,
    named,
    offline_wanted,
    published,
    warehouse_sources,
)

if TYPE_CHECKING:
    from project_cache.cache import ProjectCache
    from project_cache.manifest.model import Manifest
    from project_cache.raw_projects import RawProjectCache

__all__ = ["RELEASED", "Opens"]

#: where the caches are of projects that AllenSDK's cloud manifests describe
RELEASED = {
    "visual-behavior-neuropixels": ("project_cache.visual_behavior", "VisualBehaviorNeuropixelsProjectCache")
}


class Opens:
    """The part of a :class:`~project_cache.cache.ProjectCache` that finds a project: its constructors."""

    if TYPE_CHECKING:

        @classmethod
        def _of(cls, manifest: Manifest, **options: Any) -> ProjectCache: ...

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
        return cls._of(manifest, **options)

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
        return cls._of(manifest, sources=[source, *chosen_sources(None, manifest)[1:]], **options)

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
        offline = options.get("offline")
        offline = offline_wanted() if offline is None else bool(offline)
        found = found_or_written(manifest, version, write=not offline)
        sources = warehouse_sources(found, scheme, host, timeout)
        return cls._of(found, sources=sources, cache=cache, fetch_tries=fetch_tries, **options)

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
        found = found_or_written(manifest, version, write=False)
        return cls._of(found, **{**options, "offline": True})

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

        found = found_or_written(manifest, version, write=True)
        return cls._of(found, sources=[DirectorySource(found.at(existing(directory)))], **options)

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
        return cls._of(manifest, layers=layers, **options)


def _filled_by_allensdk(folder: Path) -> str | None:
    """Return the name of the project whose versions a folder has, or None if it is not such a folder."""
    if not folder.is_dir() or (folder / "manifest.json").exists():
        return None
    from project_cache.manifest.cloud import is_manifest_name

    for project in RELEASED:
        if any(is_manifest_name(path.name) for path in folder.glob(f"{project}_*.json")):
            return project
    return None


def _released(project: str, folder: str | Path, **options: Any) -> ProjectCache:
    """Return the cache of a shipped project that is published in versions."""
    module, name = RELEASED[project]
    cache: ProjectCache = getattr(importlib.import_module(module), name).from_s3_cache(folder, **options)
    return cache
