"""Publishing a project for others to open, and freezing what an analysis used."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from project_cache.manifest.keys import Key
from project_cache.manifest.layout import absolute

if TYPE_CHECKING:
    from project_cache.manifest.model import Manifest, SourceEntry
    from project_cache.publishing.publication import Published, Version
    from project_cache.store.store import Store

__all__ = ["Publishes"]


class Publishes:
    """The part of a :class:`~project_cache.cache.ProjectCache` that others open, and later ones open again."""

    manifest: Manifest
    store: Store
    progress: bool | None

    def publish(
        self,
        destination: str | Path,
        version: str | None = None,
        *,
        tables: Collection[str] | None = None,
        sessions: Iterable[int | str] | None = None,
        project: str | None = None,
        description: str | None = None,
        endpoint_url: str | None = None,
    ) -> Published:
        """Publish the project for others to open, as a new version of what is there; what did not change stays.

        Objects go up first, each at a path that its digest is in; tables as parquet; with each NWB file what is needed
        to open it without downloading it. The manifest is last, in one step: whoever opens the project sees the old
        version or the new one. Of two who publish at once one gets an error, and overwrites nothing. What was
        interrupted is run again, and only what is missing goes up.

        Parameters
        ----------
        destination : str or pathlib.Path
            ``s3://bucket/prefix``, or a folder: a shared drive, or what a web server serves.
        version : str, optional
            What the version is called; by default ``"1"``, then the last one counted on.
        tables : collection of str, optional
            Kinds of tables (``"sessions"``, ``"units"``); by default all that are here.
        sessions : iterable of int or str, optional
            Ids of sessions, which are fetched where they are not here; by default all that is here.
        project : str, optional
            The project's name there; by default its name here.
        description : str, optional
            What the manifest says of it.
        endpoint_url : str, optional
            Of S3: a server other than Amazon's; by default ``AWS_ENDPOINT_URL_S3``.

        Returns
        -------
        Published
            Which version it is, and how much went up.

        Raises
        ------
        PublishConflictError
            Somebody else published in the meantime. Publish again.
        CorruptObjectError
            A file is not what it was when it was verified.
        TransferError
            The server said no, or is not there.
        """
        from project_cache.display.progress import bar
        from project_cache.publishing.publication import publish

        with bar("publish", show=self.progress) as progress:
            return publish(
                self.store,
                destination,
                version,
                tables=tables,
                sessions=sessions,
                project=project,
                description=description,
                endpoint_url=endpoint_url,
                progress=progress,
            )

    def freeze(self, path: str | Path = "analysis.lock.json", keys: Iterable[Key] | None = None) -> Path:
        """Write which objects an analysis used, with the digest of each, and return the file.

        :meth:`ProjectCache.open` on it, on any machine, opens these objects and no others, and takes no other bytes
        for them.

        Parameters
        ----------
        path : str or pathlib.Path
            The lock; JSON.
        keys : iterable of Key, optional
            Which objects; by default all that this cache has given out in this process.

        Raises
        ------
        ConfigurationError
            Nothing was used yet.
        """
        from project_cache.publishing.lock import frozen

        lock = absolute(path)
        sources, folder = self._origins()
        return frozen(self.store, sources, lock, keys, folder).write(lock)

    def _origins(self) -> tuple[tuple[SourceEntry, ...], Path | None]:
        """Return where objects come from, and the folder in which they lie as they do there (None: the cache's own)."""
        from project_cache.projects import known_sources

        return known_sources(self.manifest), None

    @staticmethod
    def published_versions(destination: str | Path, *, endpoint_url: str | None = None) -> list[Version]:
        """Return the versions of the project that is published in a folder or a bucket, oldest first.

        Raises
        ------
        ManifestError
            Nothing is published there.
        """
        from project_cache.publishing.publication import versions

        return versions(destination, endpoint_url=endpoint_url)
