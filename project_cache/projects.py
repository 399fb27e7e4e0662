"""Finding a project: its manifest, its folder, and where its objects come from."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from project_cache.errors import (
    ConfigurationError,
    ManifestError,
    MissingObjectError,
    ServerError,
    StoreError,
)
from project_cache.files import atomic_write, digest_of, make_folder, new_hasher
from project_cache.manifest.allen import VERSIONS
from project_cache.manifest.folders import cache_dir
from project_cache.manifest.layout import absolute
from project_cache.manifest.model import Manifest, SourceEntry
from project_cache.manifest.schema import shipped, shipped_manifest
from project_cache.manifest.trust import safe_name
from project_cache.sources.base import Source
from project_cache.transfer.address import redacted

__all__ = [
    "cache_dir",
    "chosen_sources",
    "existing",
    "found_or_written",
    "known_sources",
    "named",
    "offline_wanted",
    "published",
    "warehouse_sources",
]

#: the version of the path manifests that are written
NEWEST = VERSIONS[-1]
#: the project that AllenSDK's EcephysProjectCache is about
VISUAL_CODING = "visual-coding-neuropixels"


def named(project: str | Path) -> Manifest:
    """Return the manifest of a project by its shipped name, its file or its folder."""
    if isinstance(project, str) and project in shipped():
        read = Manifest.read(shipped_manifest(project), folder=cache_dir() / project)
        # the file in the package is nobody's cache: from here on the project goes by its name
        manifest = dataclasses.replace(read, path=None)
        beside = manifest.folder / "manifest.json"
        if manifest.releases is None and not beside.exists():
            # so that AllenSDK, and open() on the folder, find their way; it works without
            with contextlib.suppress(StoreError, ManifestError):
                manifest.write_path_manifest(beside)
        return manifest
    if isinstance(project, str) and not Path(project).exists() and "/" not in project and "." not in project:
        raise ManifestError(
            f"There is no project named {project!r}, nor a file. These ship with the package: {', '.join(shipped())}."
        )
    path = absolute(project)
    return Manifest.read(path / "manifest.json" if path.is_dir() else path)


def offline_wanted() -> bool:
    """Return what ``PROJECT_CACHE_OFFLINE`` says."""
    said = os.environ.get("PROJECT_CACHE_OFFLINE", "").strip().lower()
    if said in ("", "0", "false", "no", "off"):
        return False
    if said in ("1", "true", "yes", "on"):
        return True
    raise ConfigurationError(f"PROJECT_CACHE_OFFLINE is {said!r}; it can be 1 or 0.")


def existing(folder: str | Path) -> Path:
    """Return a folder that is there."""
    path = absolute(folder)
    if not path.exists():
        raise ConfigurationError(
            f"There is no folder {path}. Check the path, or whether the drive is mounted."
        )
    return path


def found_or_written(manifest: str | Path | None, version: str | None, *, write: bool) -> Manifest:
    """Return the manifest of a cache folder; a new folder gets AllenSDK's."""
    if manifest is not None:
        path = absolute(manifest)
    elif Path("ecephys_project_manifest.json").is_file():
        path = absolute("ecephys_project_manifest.json")
    else:
        path = cache_dir() / VISUAL_CODING / "manifest.json"
    if path.is_dir():
        path = path / "manifest.json"
    if path.exists() or not write:
        return Manifest.read(path, version=version)
    if version not in (None, NEWEST):
        raise ManifestError(
            f"There is no manifest at {path}, and a new one would be of version {NEWEST}, "
            f"not {version}. Leave version= out."
        )
    written = Manifest.visual_coding(path)
    written.write_path_manifest(path)
    return written


def warehouse_sources(
    manifest: Manifest, scheme: str | None, host: str | None, timeout: float
) -> list[Source]:
    """Return the warehouse that was named, or the one of the project and what stands in for it."""
    if scheme is None and host is None:
        entries = Manifest.read(shipped_manifest(VISUAL_CODING)).sources
    else:
        entries = (
            SourceEntry("warehouse", "warehouse", f"{scheme or 'http'}://{host or 'api.brain-map.org'}"),
        )
    return [source_of(entry, manifest, timeout) for entry in entries]


def known_sources(manifest: Manifest) -> tuple[SourceEntry, ...]:
    """Return where a project's objects come from, such that it can be written down: with no secrets, and absolute."""
    if manifest.allen:  # a path manifest does not say
        return Manifest.read(shipped_manifest(VISUAL_CODING)).sources
    return tuple(dataclasses.replace(s, url=_written_down(s, manifest.folder)) for s in manifest.sources)


def _written_down(source: SourceEntry, folder: Path) -> str:
    if source.kind == "directory":
        return str(absolute(folder / source.url))
    shown = redacted(source.url)
    # a query of which something had to be hidden opens nothing any more
    return shown.partition("?")[0] if "=***" in shown else shown


def chosen_sources(given: Source | Sequence[Source] | None, manifest: Manifest) -> list[Source]:
    """Return the sources that a caller gave, or those of the project."""
    if given is None:
        if manifest.allen:
            return warehouse_sources(manifest, None, None, 1200)
        return [source_of(entry, manifest, 1200) for entry in manifest.sources]
    chosen: list[Source] = [*given] if isinstance(given, Sequence) else [given]
    for source in chosen:
        if not isinstance(source, Source):
            raise ConfigurationError(
                f"fetch_api= takes sources (see project_cache.sources.base), not {type(source).__name__}: AllenSDK's "
                f"own API objects are not used here. from_warehouse(scheme=…, host=…) names another warehouse."
            )
    return chosen


def source_of(entry: SourceEntry, manifest: Manifest, timeout: float) -> Source:
    """Return the source that a manifest describes."""
    if entry.kind == "warehouse":
        from project_cache.sources.warehouse import WarehouseSource

        scheme, _, host = entry.url.partition("://")
        warehouse = WarehouseSource(scheme, host.rstrip("/"), timeout=timeout)
        warehouse.name = entry.name
        return warehouse
    if entry.kind == "http":
        from project_cache.sources.http import HttpSource

        return HttpSource(entry.name, entry.url, manifest.relative)
    if entry.kind == "s3":
        from project_cache.sources.s3 import S3Source

        return S3Source(
            entry.name,
            entry.url,
            manifest.relative,
            endpoint_url=entry.endpoint_url,
            region=entry.region,
            anonymous=entry.anonymous,
            requester_pays=entry.requester_pays,
            version_of=manifest.version_of,
        )
    if entry.kind == "directory":
        from project_cache.sources.directory import DirectorySource

        return DirectorySource(manifest.at(existing(manifest.folder / entry.url)), entry.name)
    if entry.kind == "demo":
        from project_cache.build.demo import DemoSource

        return DemoSource()
    raise ManifestError(
        f"The manifest of {manifest.project} names a source of the unknown kind {entry.kind!r}."
    )


#: what a server said the last time, for when it cannot be asked
REMEMBERED = ".published.json"


def published(
    url: str,
    folder: str | Path | None = None,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    anonymous: bool | None = None,
    requester_pays: bool = False,
    offline: bool = False,
) -> tuple[Manifest, Source]:
    """Return the manifest of a project that is published on a server, and the source of its objects, its first.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix`` or a web address: of the project, or of a manifest in it (``…/manifest-3.json``).
    folder : path-like, optional
        The cache folder; by default one of its own in :func:`cache_dir`.
    endpoint_url, region, anonymous, requester_pays
        Of S3: see :class:`project_cache.sources.s3.S3Source`.
    offline : bool
        Whether to take the manifest as it was when it was asked for last.

    Raises
    ------
    MissingObjectError
        No project is published there.
    ManifestError
        Its manifest is broken, or not to be trusted.
    TransferError
        The server does not answer.
    """
    from project_cache.sources.http import HttpSource
    from project_cache.sources.s3 import S3Source
    from project_cache.transfer.address import redacted
    from project_cache.transfer.download import read
    from project_cache.transfer.retry import Policy
    from project_cache.transfer.s3 import S3Transport, s3_url
    from project_cache.transfer.transport import Transport, WebTransport

    parts = urlsplit(url)
    path, name = parts.path.rstrip("/"), "manifest.json"
    if path.endswith(".json"):
        path, _, name = path.rpartition("/")
    place = redacted(parts._replace(path=path).geturl())
    home = absolute(folder or cache_dir() / _folder_for(place))
    remembered = home / (REMEMBERED if name == "manifest.json" else f".{safe_name(name)}")
    source: Source
    transport: Transport
    if parts.scheme == "s3":
        s3 = S3Transport(
            endpoint_url=endpoint_url, region=region, anonymous=anonymous, requester_pays=requester_pays
        )
        transport = s3

        def address(name: str) -> str:
            return s3_url(parts.netloc, "/".join(filter(None, (unquote(path).strip("/"), name))))
    elif parts.scheme in ("http", "https"):
        # a manifest comes from where it was asked for, and from no other place that this one names
        transport = WebTransport(Policy(redirects=0))

        def address(name: str) -> str:
            return parts._replace(path=f"{path}/{name}").geturl()
    else:
        raise ConfigurationError(
            f"{redacted(url)} is no address of the form s3://bucket/prefix or https://host/path."
        )

    def fetched(name: str) -> bytes:
        try:
            return read(address(name), transport=transport)
        except ServerError as error:
            if error.status not in (403, 404, 410):
                raise
            raise MissingObjectError(
                f"No project is published at {place}: its {name} was answered with {error.status}. Check the address; "
                f"if it is right, it wants credentials."
            ) from error

    try:
        text = remembered.read_bytes() if offline else fetched(name)
    except FileNotFoundError as error:
        if isinstance(error, MissingObjectError):
            raise
        raise MissingObjectError(
            f"{place} was never opened with this cache folder, and the network is not to be used."
        ) from error
    try:
        manifest = Manifest.parse(text.decode("utf-8"), folder=home, origin=place)
    except UnicodeDecodeError as error:
        raise ManifestError(f"What is at {place} is no manifest: it is not text.") from error
    listed = json.loads(text).get("objects")
    if isinstance(listed, dict) and not offline:
        _fetch_list(home / safe_name(listed["parquet"]), listed.get("digest"), fetched)
    if not offline:
        with contextlib.suppress(StoreError):
            make_folder(home)
            with atomic_write(remembered) as temporary:
                temporary.write_bytes(text)
    if parts.scheme == "s3":
        source = S3Source(
            place,
            f"s3://{parts.netloc}{path}",
            manifest.relative,
            version_of=manifest.version_of,
            transport=s3,
        )
    else:
        source = HttpSource(place, parts._replace(path=path).geturl(), manifest.relative)
    # as it can be written down, in a lock: without secrets
    entry = SourceEntry(
        place, "s3" if parts.scheme == "s3" else "http", place.partition("?")[0],
        redacted(endpoint_url) if endpoint_url else None, region, anonymous, requester_pays,
    )  # fmt: skip
    return dataclasses.replace(manifest, sources=(entry, *manifest.sources)), source


def _fetch_list(file: Path, digest: str | None, fetched: Callable[[str], bytes]) -> None:
    """Have the list of a manifest's objects beside it; what it is worth is seen when it is read."""
    if digest is not None and file.is_file() and digest_of(file, digest.partition(":")[0]) == digest:
        return
    data = fetched(file.name)
    make_folder(file.parent)
    with atomic_write(file) as temporary:
        temporary.write_bytes(data)


def _folder_for(place: str) -> str:
    """Return a folder's name for an address: one that people recognize, and that no other address has.

    Examples
    --------
    >>> _folder_for("s3://lab-bucket/my-project")
    'lab-bucket-my-project-d5e7e52c'
    """
    hasher = new_hasher("blake3")
    hasher.update(place.encode())
    words = re.sub(r"[^A-Za-z0-9]+", "-", place.partition("://")[2]).strip("-")
    return f"{words[:80]}-{hasher.hexdigest()[:8]}"
