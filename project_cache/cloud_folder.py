"""A folder of a project in versions, and the bucket that it is filled from: which versions there are, and what they hold.

The folder is laid out as AllenSDK does it: manifests at the top, the files of each version in a folder of its own.
A static one is laid out as the bucket is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from project_cache.errors import (
    ManifestError,
    MissingObjectError,
    ReadOnlyCacheError,
    StoreError,
    TransferError,
)
from project_cache.files import atomic_write, digest_of, make_folder
from project_cache.manifest.cloud import CloudManifest, in_order, newest

if TYPE_CHECKING:
    from project_cache.transfer.s3 import S3Transport

__all__ = ["Bucket", "CloudFolder", "OutdatedManifestWarning"]

_log = logging.getLogger("project_cache")

#: AllenSDK's notes at the top of a folder: the manifest that was used last, and the digest of each file
LAST_USED = "_manifest_last_used.txt"
DOWNLOADED = "_downloaded_data.json"


class OutdatedManifestWarning(UserWarning):
    """There is a newer version of the project than the one that is used."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where a project is published.

    Attributes
    ----------
    name : str
        The bucket.
    transport : S3Transport
        What makes the requests.
    """

    name: str
    transport: S3Transport


class CloudFolder:
    """The versions of a project, those in the folder and those in the bucket.

    Parameters
    ----------
    project : str
        The project's name.
    path : pathlib.Path
        The folder.
    bucket : Bucket, optional
        Where the project is published, if that may be asked.
    static : bool
        Whether the folder is laid out as the bucket is, with the newest version's files alone.
    """

    def __init__(
        self, project: str, path: Path, bucket: Bucket | None = None, *, static: bool = False
    ) -> None:
        self.project = project
        self.path = path
        self.bucket = bucket
        self.static = static
        #: the names that the bucket gave when it was asked last
        self.published: list[str] | None = None
        self._read: dict[str, CloudManifest] = {}
        #: where the files of each digest are, by the manifests of these names
        self._places: tuple[list[str], dict[str, list[str]]] = ([], {})

    @property
    def manifests(self) -> Path:
        """Where the manifests are."""
        return self.path / self.project / "manifests" if self.static else self.path

    def below(self, cloud: CloudManifest) -> str:
        """Return the name of the folder that a version's files are in."""
        return self.project if self.static else cloud.folder

    # What there is -----------------------------------------------------------------------------

    def downloaded(self) -> list[str]:
        """Return the names of the manifests in the folder, the oldest first; of a static one, the newest alone."""
        try:
            found = in_order(path.name for path in self.manifests.iterdir() if path.is_file())
        except OSError:
            return []
        return found[-1:] if self.static else found

    def available(self) -> list[str]:
        """Return the names of the manifests in the bucket, the oldest first; without a bucket, of those in the folder.

        Raises
        ------
        TransferError
            The bucket does not answer.
        """
        if self.bucket is None:
            return self.downloaded()
        prefix = f"{self.project}/manifests/"
        keys = self.bucket.transport.keys(self.bucket.name, prefix)
        self.published = in_order(key.removeprefix(prefix) for key in keys)
        return self.published

    def newest(self, names: Sequence[str]) -> str:
        """Return the newest of some manifests.

        Raises
        ------
        MissingObjectError
            There are none.
        """
        name = newest(names)
        if name is None:
            place = self.manifests if self.bucket is None else f"the bucket {self.bucket.name}"
            raise MissingObjectError(
                f"There is no manifest of {self.project} in {place}. Check the name, or fetch one with from_s3_cache()."
            )
        return name

    def manifest(self, name: str) -> CloudManifest:
        """Return a manifest, from the folder or else from the bucket; it is in the folder then, if that can be written to.

        Raises
        ------
        ManifestError
            There is none of that name, or it is broken.
        TransferError
            It did not arrive.
        """
        if name not in self._read:
            self._read[name] = self._from_folder(name) or self._from_bucket(name)
        return self._read[name]

    def holding(self, digest: str) -> Iterator[Path]:
        """Yield where the file of a digest lies, or would, in the versions whose manifests are here: the newest first."""
        names = self.downloaded()
        if self._places[0] != names:
            places: dict[str, list[str]] = {}
            for name in reversed(names):
                try:
                    cloud = self.manifest(name)
                except ManifestError as error:
                    _log.debug("%s", error)
                    continue
                for file in cloud:
                    places.setdefault(file.digest, []).append(f"{self.below(cloud)}/{file.place}")
            self._places = (names, places)
        yield from (self.path / place for place in self._places[1].get(digest, ()))

    def _from_folder(self, name: str) -> CloudManifest | None:
        if not in_order([name]) or (self.static and name not in self.downloaded()):
            self._unknown(name)
        path = self.manifests / name
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ManifestError(f"The manifest {path} cannot be read: {error}.") from error
        return CloudManifest.parse(text, str(path))

    def _from_bucket(self, name: str) -> CloudManifest:
        if self.bucket is None or name not in (self.published or self.available()):
            self._unknown(name)
        from project_cache.transfer.download import read
        from project_cache.transfer.s3 import s3_url

        url = s3_url(self.bucket.name, f"{self.project}/manifests/{name}")
        text = read(url, transport=self.bucket.transport, expect="json")
        cloud = CloudManifest.parse(text, url)
        with contextlib.suppress(ReadOnlyCacheError):
            self._write(name, text)
        return cloud

    def _unknown(self, name: str) -> NoReturn:
        names = self.published or self.available()
        raise ManifestError(
            f"{name!r} is no manifest of {self.project}. There are: {', '.join(names) or 'none'}."
        )

    # What is used ------------------------------------------------------------------------------

    def first(self) -> tuple[str, list[Warning]]:
        """Return the version to begin with, the one that was used last or else the newest, and what there is to warn of.

        The bucket is asked only if the folder does not say.
        """
        there, last = self.downloaded(), self.last_used()
        if last in there:
            return last, self.outdated(last, there)
        names = there if self.bucket is None else self._available_or(there)
        if last in names:
            return last, self.outdated(last, names)
        chosen = self.newest(names)
        found: list[Warning] = []
        if last is not None:
            text = f"{last}, which was used last in {self.path}, is none of its manifests; {chosen} is used."
            found.append(UserWarning(text))
        if there and chosen not in there:
            text = (
                f"{chosen} is used, which is newer than all there is in {self.path}. Files that have changed are fetched "
                f"again, beside the old ones. To go on with what is there: load_manifest({there[-1]!r})"
            )
            found.append(OutdatedManifestWarning(text))
        return chosen, found

    def _available_or(self, there: list[str]) -> list[str]:
        try:
            return self.available()
        except TransferError:
            if not there:
                raise
            return there

    def outdated(self, used: str, names: Sequence[str]) -> list[Warning]:
        """Return a warning if there is a newer version than the one that is used."""
        known = newest([*names, used])
        if known in (None, used):
            return []
        text = (
            f"{used} is used, and there is a newer version. compare_manifests({used!r}, {known!r}) says what is "
            f"different; load_latest_manifest() changes to it."
        )
        return [OutdatedManifestWarning(text)]

    def last_used(self) -> str | None:
        """Return the name of the manifest that was used last, if that is noted."""
        if self.static:
            return None
        try:
            return (self.path / LAST_USED).read_text("utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def note_used(self, name: str) -> None:
        """Note that a manifest is used; where nothing can be written: nothing."""
        if not self.static and self.last_used() != name:
            with contextlib.suppress(StoreError):
                self._write(LAST_USED, name.encode())

    def note_files(self) -> None:
        """Write AllenSDK's list of the files that are here and whole: hash (hexadecimal) by path. Every byte is read."""
        digests: dict[str, str] = {}
        for name in self.downloaded():
            cloud = self.manifest(name)
            for file in cloud:
                path = self.path / self.below(cloud) / file.place
                if path.is_file() and not path.is_symlink() and digest_of(path, "blake2b") == file.digest:
                    digests[str(path)] = file.digest.removeprefix("blake2b:")
        self._write(DOWNLOADED, json.dumps(dict(sorted(digests.items())), indent=2).encode())

    def _write(self, name: str, text: bytes) -> None:
        make_folder(self.path)
        with atomic_write(self.path / name) as temporary:
            temporary.write_bytes(text)


def warn(found: Sequence[Warning], level: int) -> None:
    """Warn of each, at the line that many calls above the caller's."""
    for each in found:
        warnings.warn(each, stacklevel=level + 2)
