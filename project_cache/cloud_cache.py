"""Projects in versions, as AllenSDK keeps them in the cloud.

A folder that AllenSDK filled is used as it is, and AllenSDK can go on with one that was filled here.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from project_cache.cache import ProjectCache
from project_cache.cloud_folder import Bucket, CloudFolder, OutdatedManifestWarning, warn
from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    MissingObjectError,
    ReadOnlyCacheError,
    TransferError,
)
from project_cache.files import digest_of
from project_cache.manifest.cloud import Release, comparison
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import absolute
from project_cache.manifest.model import SourceEntry
from project_cache.projects import offline_wanted
from project_cache.sources.base import Source
from project_cache.sources.twins import TwinSource
from project_cache.store.receipts import Receipt
from project_cache.store.store import Store
from project_cache.tables.csvfile import table_file

if TYPE_CHECKING:
    import pandas as pd

    from project_cache.nwb.file import NWBReader

__all__ = ["CloudProjectCache", "OutdatedManifestWarning"]

_log = logging.getLogger("project_cache")


@dataclass(frozen=True, slots=True)
class Version:
    """A version that is in use: what it holds, and the store that has it."""

    name: str
    release: Release
    store: Store
    twins: TwinSource

    def get(self, key: Key) -> Path:
        """Return the path of an object, which is fetched if it is not there."""
        try:
            return self.store.get(key)
        except ReadOnlyCacheError:
            # a folder that nobody may write to, and a link in it that leads to where the folder once was
            twin = self.twins.find(key)
            if twin is None:
                raise
            return twin

    def streamed(self, key: Key) -> NWBReader:
        """Return what reads an object where it is."""
        from project_cache.nwb.streamed import streamed

        return streamed(self.store, key)


class CloudProjectCache(ProjectCache):
    """A project in versions, each with a manifest, in a local folder that is filled as things are asked for.

    The constructors are :meth:`from_s3_cache` and :meth:`from_local_cache`. They read a manifest and nothing else, and
    make no request where the folder has a manifest already.

    Parameters
    ----------
    cache_dir : str or pathlib.Path
        The folder.
    bucket : Bucket, optional
        Where the project is published; by default the folder is all there is.
    static : bool
        Whether the folder is a copy of the bucket, with the newest version's files alone. It is never written to.
    fetch_tries, layers, offline, progress, lock_timeout
        As in :class:`ProjectCache`; a layer is another folder of this kind.
    """

    PROJECT_NAME: ClassVar[str]
    BUCKET_NAME: ClassVar[str]
    REGION: ClassVar[str | None] = None
    SESSION_CLASS: ClassVar[str] = "Session"
    #: kind of object to how its place is spelled
    LAYOUT: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        cache_dir: str | Path,
        bucket: Bucket | None = None,
        *,
        static: bool = False,
        fetch_tries: int = 2,
        layers: Iterable[str | Path] = (),
        offline: bool | None = None,
        progress: bool | None = None,
        lock_timeout: float | None = None,
    ) -> None:
        offline = offline_wanted() if offline is None else offline
        self._bucket = bucket
        self._folder = CloudFolder(
            self.PROJECT_NAME, absolute(cache_dir), None if offline else bucket, static=static
        )
        self._options: dict[str, Any] = {
            "static": static,
            "fetch_tries": fetch_tries,
            "layers": [absolute(folder) for folder in layers or ()],
            "offline": offline,
            "progress": progress,
            "lock_timeout": lock_timeout,
        }
        self.fetch_tries = fetch_tries
        self.progress = progress
        self.cache = True
        self.stream_writer = None
        self.fetch_api = None
        self._tables = None
        self._versions: dict[str, Version] = {}
        self._good: dict[Path, tuple[int, int]] = {}
        name, found = self._folder.first()
        self._use(name)
        warn(found, 2)

    def _setup(self, *args: object, **kwargs: object) -> NoReturn:
        raise ConfigurationError(f"A {type(self).__name__} is made by from_s3_cache() or from_local_cache().")

    @classmethod
    def from_s3_cache(
        cls,
        cache_dir: str | Path,
        bucket_name_override: str | None = None,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        anonymous: bool | None = None,
        requester_pays: bool = False,
        **options: Any,
    ) -> Self:
        """Return the project's cache in a folder, filled from its bucket.

        Parameters
        ----------
        cache_dir : str or pathlib.Path
            The folder.
        bucket_name_override : str, optional
            Another bucket, with the same things in it.
        endpoint_url : str, optional
            A server other than Amazon's; by default ``AWS_ENDPOINT_URL_S3``, if that is set.
        region : str, optional
            Where the bucket is.
        anonymous : bool, optional
            Whether requests are never signed (True) or always (False). By default the project's own bucket, which is
            public, is asked without credentials, and another one by what works.
        requester_pays : bool
            Agree to be charged for what is fetched.
        **options
            ``layers``, ``offline``, ``progress``, ``fetch_tries``, ``lock_timeout`` as in the class.

        Raises
        ------
        TransferError
            The folder has no version yet, and the bucket does not answer.
        """
        from project_cache.transfer.s3 import S3Transport

        if bucket_name_override is None:
            region = region or cls.REGION
            anonymous = True if anonymous is None and not requester_pays else anonymous
        transport = S3Transport(
            endpoint_url=endpoint_url, region=region, anonymous=anonymous, requester_pays=requester_pays
        )
        return cls(cache_dir, Bucket(bucket_name_override or cls.BUCKET_NAME, transport), **options)

    @classmethod
    def from_local_cache(cls, cache_dir: str | Path, use_static_cache: bool = False, **options: Any) -> Self:
        """Return the project's cache in a folder that is all there is: the network is never touched.

        Parameters
        ----------
        cache_dir : str or pathlib.Path
            The folder.
        use_static_cache : bool
            Whether it is a copy of the bucket, or the bucket itself, mounted.
        **options
            ``layers``, ``progress`` as in the class.

        Raises
        ------
        MissingObjectError
            There is no manifest in it.
        """
        return cls(cache_dir, static=use_static_cache, **options)

    @classmethod
    def from_lims(cls, *args: object, **kwargs: object) -> NoReturn:
        """Refuse: LIMS is a database inside the Allen Institute."""
        raise ConfigurationError(
            "LIMS is a database inside the Allen Institute and is not read here. Use from_s3_cache() or from_local_cache()."
        )

    # Versions ----------------------------------------------------------------------------------

    def list_manifest_file_names(self) -> list[str]:
        """Return the names of the manifests of all versions there are, the oldest first.

        Raises
        ------
        TransferError
            The bucket does not answer.
        """
        return self._folder.available()

    def list_all_downloaded_manifests(self) -> list[str]:
        """Return the names of the manifests in the folder, the oldest first; of a static one, the newest alone."""
        return self._folder.downloaded()

    def latest_manifest_file(self) -> str:
        """Return the name of the newest version's manifest."""
        return self._folder.newest(self._folder.available())

    def latest_downloaded_manifest_file(self) -> str:
        """Return the name of the newest manifest in the folder."""
        return self._folder.newest(self._folder.downloaded())

    def current_manifest(self) -> str:
        """Return the name of the manifest that is used."""
        return self._current.name

    def load_manifest(self, manifest_name: str) -> None:
        """Use another version from now on. Sessions that are open stay with theirs.

        Parameters
        ----------
        manifest_name : str
            One of :meth:`list_manifest_file_names`.

        Raises
        ------
        ManifestError
            There is no such version.
        """
        self._use(manifest_name)
        names = [*(self._folder.published or ()), *self._folder.downloaded()]
        warn(self._folder.outdated(manifest_name, names), 1)

    def load_latest_manifest(self) -> None:
        """Use the newest version from now on."""
        self._use(self.latest_manifest_file())

    def compare_manifests(self, manifest_0_name: str, manifest_1_name: str) -> str:
        """Return which files are new, gone, renamed or changed from one version to another, a line each.

        Raises
        ------
        ManifestError
            There is no such version.
        """
        old, new = (self._folder.manifest(name) for name in (manifest_0_name, manifest_1_name))
        return comparison(old, new, manifest_0_name, manifest_1_name)

    def construct_local_manifest(self) -> None:
        """Write AllenSDK's list of the files that are here, so that it links to them instead of fetching them again.

        Every byte of every file is read. This package needs no such list.
        """
        self._folder.note_files()

    def _use(self, name: str) -> None:
        self._current = self._version(name)
        self.manifest, self.store = self._current.release.manifest, self._current.store
        self._folder.note_used(name)

    def _origins(self) -> tuple[tuple[SourceEntry, ...], Path | None]:
        """Return the bucket, and the folder of the version in use."""
        cloud = self._current.release.cloud
        name = self.BUCKET_NAME if self._bucket is None else self._bucket.name
        bucket = SourceEntry(
            f"bucket {name}", "s3", f"s3://{name}/{cloud.project}", region=self.REGION, anonymous=True
        )
        return (bucket,), self._folder.path / self._folder.below(cloud)

    def _release(self, name: str, folder: Path) -> Release:
        cloud = self._folder.manifest(name)
        below = self._folder.below(cloud)
        return Release(cloud, folder, self.LAYOUT, below=below, session_class=self.SESSION_CLASS)

    def _version(self, name: str) -> Version:
        """Return a version, whose manifest is fetched if it is not there."""
        if name in self._versions:
            return self._versions[name]
        release = self._release(name, self._folder.path)
        elsewhere = functools.partial(self._elsewhere, release)
        twins = TwinSource("another version", self._folder.path, elsewhere)
        sources: list[Source] = [] if self._folder.static else [twins]
        if self._bucket is not None:
            from project_cache.sources.s3 import S3Source

            sources.append(
                S3Source(
                    f"bucket {self._bucket.name}",
                    f"s3://{self._bucket.name}",
                    release.place,
                    version_of=release.manifest.version_of,
                    transport=self._bucket.transport,
                )
            )
        store = Store(
            release.manifest,
            [self._release(name, folder).manifest for folder in self._options["layers"]],
            sources,
            offline=self._options["offline"],
            tries=self.fetch_tries,
            progress=self._bar,
            lock_timeout=self._options["lock_timeout"],
        )
        return self._versions.setdefault(name, Version(name, release, store, twins))

    def _elsewhere(self, release: Release, key: Key) -> Iterator[Path]:
        """Yield where else in the folder an object's bytes may be: in other versions, or twice in its own."""
        own = release.manifest.locate(key)
        digest = release.manifest.entry(key).digest or ""
        yield from (path for path in self._folder.holding(digest) if path != own)

    # Files -------------------------------------------------------------------------------------

    def _get(self, key: Key) -> Path:
        """Return the path of an object; before the bucket is used for the first time, it is asked for newer versions."""
        folder = self._folder
        if folder.bucket is not None and folder.published is None and self.store.find(key) is None:
            try:
                warn(folder.outdated(self.current_manifest(), folder.available()), 3)
            except TransferError as error:
                _log.debug("newer versions could not be asked for: %s", error)
                folder.published = []
        return self._current.get(key)

    def _file(self, file_id: Any, what: str) -> Key:
        """Return the key of a data file by its id, which is a table's word."""
        key = self._current.release.keys.get(str(file_id))
        if key is None:
            raise MissingObjectError(
                f"{what} has no file in this version of the project, says {self.current_manifest()}."
            )
        return key

    @property
    def tables(self) -> NoReturn:
        """Refuse: these are the tables of another kind of project."""
        calls = [name for name in dir(type(self)) if name.startswith("get_") and name.endswith("_table")]
        raise ConfigurationError(
            f"The tables of {self.PROJECT_NAME} have calls of their own: {', '.join(calls)}."
        )

    def _table(self, name: str, id_name: str, *needed: str) -> pd.DataFrame:
        """Return a table by its ids, as its CSV has it.

        Raises
        ------
        CorruptObjectError
            It has no such ids, or lacks a column that is needed.
        """
        key = Key(name)
        if name not in self._current.release.cloud.tables:
            raise MissingObjectError(f"{self.current_manifest()} names no table {name!r}.")
        path = self._get(key)
        self._make_sure(key, path)
        keep = not self._folder.static and path == self.manifest.locate(key)
        table = table_file(path, id_name, keep=keep)
        table.load(needed)
        return table.frame()

    def _make_sure(self, key: Key, path: Path) -> None:
        """Compare the digest of a table that came here by other hands: half a table can look like a whole one."""
        digest, status = self.manifest.entry(key).digest, path.stat()
        state = (status.st_size, status.st_mtime_ns)
        receipt = Receipt.read(path)
        if self._good.get(path) == state or (
            receipt is not None and receipt.fits(*state) and receipt.digest == digest
        ):
            return
        if digest is None or digest_of(path, "blake2b") == digest:
            self._good[path] = state
            if digest and not self._folder.static and path == self.manifest.locate(key):
                Receipt.of(path, key, digest).write(path)
            return
        _log.warning("%s is not what %s says. It is fetched again.", path, self.current_manifest())
        try:
            self.store.renew(key)
        except (MissingObjectError, CorruptObjectError, ReadOnlyCacheError) as error:
            raise CorruptObjectError(
                f"{path} is not what {self.current_manifest()} says: its digest differs, and it cannot be had anew "
                f"here. Remove it, and fetch it with from_s3_cache()."
            ) from error

    # Around ------------------------------------------------------------------------------------

    def get_cache_path(self, file_name: str | None, manifest_key: str, *args: int | str) -> str:
        """Return where an object of a kind lies, or would."""
        return file_name or str(self.manifest.locate(Key(manifest_key, args)))

    @property
    def manifest_path(self) -> str:
        """The file of the manifest that is used."""
        return str(self._folder.manifests / self.current_manifest())

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (
            type(self), self._folder.path, self._bucket, self._options, self.current_manifest(),
        )  # fmt: skip


def _made_again(
    cls: type[CloudProjectCache], folder: Path, bucket: Bucket | None, options: Mapping[str, Any], name: str
) -> CloudProjectCache:
    """Return a cache that was pickled, with the version that it used; what others have noted stays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutdatedManifestWarning)
        cache = cls(folder, bucket, **options)
    cache._current = cache._version(name)
    cache.manifest, cache.store = cache._current.release.manifest, cache._current.store
    return cache
