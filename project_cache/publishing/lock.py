"""The lock of an analysis: the objects that it used, with the digest of each and where it can be had."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from project_cache.errors import ConfigurationError
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import TemplateLayout, absolute
from project_cache.manifest.model import Manifest, SourceEntry
from project_cache.manifest.objects import Objects
from project_cache.publishing.contents import known_digest
from project_cache.store.store import Store

__all__ = ["frozen"]


def frozen(
    store: Store,
    sources: Iterable[SourceEntry],
    lock: Path,
    keys: Iterable[Key] | None = None,
    folder: Path | None = None,
) -> Manifest:
    """Return a manifest that names objects by their digests, and nothing else.

    Parameters
    ----------
    store : Store
        Which has them.
    sources : iterable of SourceEntry
        Where they come from.
    lock : pathlib.Path
        Where the manifest is to lie: a folder close to it is named from there.
    keys : iterable of Key, optional
        Which; by default all that the store has given to anybody in this process.
    folder : pathlib.Path, optional
        Where objects lie as they do at their sources; by default the cache folder.

    Raises
    ------
    ConfigurationError
        There are none; or of one that was streamed nobody knows the digest.
    """
    manifest = store.manifest
    chosen = list(keys) if keys is not None else store.handed_out()
    if not chosen:
        raise ConfigurationError(
            "Nothing was used of this project in this process, so there is nothing to freeze. Call freeze() where the "
            "analysis ends, or name keys=."
        )
    entries = []
    for key in chosen:
        entry = manifest.entry(key)
        # what is asked for by name and is not here is fetched; what was streamed is known by the manifest's digest
        path = store.find(key)
        if path is None and entry.digest is None:
            if keys is None:
                raise ConfigurationError(
                    f"{key} was streamed, and the project does not say what its digest is, so no other copy could be told "
                    f"from it. Fetch it, and freeze again."
                )
            path = store.get(key)
        if path is not None:
            digest = known_digest(manifest, key, path)
            entry = dataclasses.replace(entry, digest=digest, size=path.stat().st_size)
        place = manifest.relative(key) if folder is None else None
        entries.append(
            dataclasses.replace(entry, path=place or _below(folder or manifest.folder, manifest, key))
        )
    return Manifest(
        project=manifest.project,
        version=manifest.version,
        # each object is named by its own path
        layout=TemplateLayout(manifest.folder, {}),
        session_class=manifest.session_class,
        sources=tuple(sources),
        objects=Objects(entries),
        description=manifest.description,
        frozen=_from(lock.parent, folder or manifest.folder),
    )


def _below(folder: Path, manifest: Manifest, key: Key) -> str:
    place = absolute(manifest.locate(key))
    if not place.is_relative_to(folder):
        raise ConfigurationError(
            f"{key} is at {place}, which is not in {folder}: a lock names places in one folder. Leave it out of keys=."
        )
    return place.relative_to(folder).as_posix()


def _from(folder: Path, cache: Path) -> str:
    """Return where a cache is, from a folder: in words that stay right when both move together, if they are close."""
    common = os.path.commonpath([folder, cache]) if folder.anchor == cache.anchor else ""
    close = common in (str(folder), str(cache), str(folder.parent))
    return (
        Path(os.path.relpath(cache, folder)).as_posix()
        if close and len(Path(common).parts) > 1
        else str(cache)
    )
