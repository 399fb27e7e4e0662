"""Finding a project: its manifest, its folder, and where its objects come from."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from project_cache.errors import ConfigurationError, ManifestError, StoreError
from project_cache.manifest.allen import VERSIONS
from project_cache.manifest.folders import cache_dir
from project_cache.manifest.layout import absolute
from project_cache.manifest.model import Manifest, SourceEntry
from project_cache.manifest.schema import shipped, shipped_manifest
from project_cache.sources.base import Source

__all__ = [
    "cache_dir",
    "chosen_sources",
    "existing",
    "found_or_written",
    "named",
    "offline_wanted",
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
