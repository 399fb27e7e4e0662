"""Publishing: what is there, what goes up, and the one step that makes a version."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from project_cache.errors import ConfigurationError, ManifestError, MissingObjectError, PublishConflictError
from project_cache.manifest.model import FORMAT, Manifest
from project_cache.manifest.objects import ObjectEntry, Objects, entries_json
from project_cache.manifest.schema import validated
from project_cache.publishing.contents import Item, chosen, items
from project_cache.publishing.destination import Destination, destination_of
from project_cache.sources.base import Progress, silent
from project_cache.store.store import Store

__all__ = ["Published", "Version", "publish", "versions"]

NEWEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a published project.

    Attributes
    ----------
    version : str
        What it is called.
    manifest : str
        Its manifest's file, beside the newest, ``manifest.json``.
    published : str
        When, ISO 8601.
    """

    version: str
    manifest: str
    published: str


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did.

    Attributes
    ----------
    where : str
        The destination.
    version : Version
        The version that is the newest there now.
    new : bool
        Whether it was made; False: the newest version was just this already.
    objects : int
        How many objects it names.
    uploaded, bytes_uploaded : int
        How many of them went up, and their bytes; the others were there.
    """

    where: str
    version: Version
    new: bool
    objects: int
    uploaded: int
    bytes_uploaded: int

    def __str__(self) -> str:
        what = "is published" if self.new else "was published already"
        return (
            f"Version {self.version.version} {what} at {self.where} ({self.version.manifest}): {self.objects} objects, "
            f"of which {self.uploaded} went up now ({self.bytes_uploaded / 1e6:,.1f} MB)."
        )


@dataclass(frozen=True, slots=True)
class _State:
    """The newest version at a destination; nothing, where there is none."""

    data: dict[str, Any] | None = None
    versions: tuple[Version, ...] = ()
    tag: str | None = None

    @property
    def entries(self) -> dict[Any, ObjectEntry]:
        listed = Objects.from_json(self.data.get("objects", []) if self.data else [], NEWEST)
        return {entry.key: entry for entry in listed}


def publish(
    store: Store,
    destination: str | Path,
    version: str | None = None,
    *,
    tables: Collection[str] | None = None,
    sessions: Iterable[int | str] | None = None,
    project: str | None = None,
    description: str | None = None,
    endpoint_url: str | None = None,
    progress: Progress = silent,
) -> Published:
    """Publish what a store holds; see :meth:`ProjectCache.publish`."""
    place = destination_of(destination, endpoint_url=endpoint_url)
    try:
        with tempfile.TemporaryDirectory(prefix="project_cache-") as workspace:
            return _publish(
                place, store, version, tables, sessions, project, description, Path(workspace), progress
            )
    finally:
        place.close()


def _publish(
    place: Destination,
    store: Store,
    version: str | None,
    tables: Collection[str] | None,
    sessions: Iterable[int | str] | None,
    project: str | None,
    description: str | None,
    workspace: Path,
    progress: Progress,
) -> Published:
    manifest = store.manifest
    project = project or manifest.project
    if not _NAME.fullmatch(project):
        raise ConfigurationError(
            f"A project cannot be called {project!r}: letters, digits, '.', '_' and '-' only. Give project=."
        )
    state = _newest(place)
    if state.data is not None and state.data["project"] != project:
        raise ConfigurationError(
            f"{place.where} has the project {state.data['project']}, not {project}. Publish to a place of its own, or "
            f"give project={state.data['project']!r}."
        )
    label = _label(version, state)

    def holds(entry: ObjectEntry) -> bool:
        return entry.path is not None and place.holds(entry.path, entry.size or 0, entry.digest or "")

    files = chosen(store, tables, sessions)
    published = list(items(manifest, files, state.entries, workspace, holds))
    if sessions is None and tables is None:
        published += _elsewhere(manifest, {item.entry.key for item in published}, state.entries)
    if not published:
        raise ConfigurationError(
            f"There is nothing to publish in {manifest.folder}. Fetch what is to be published, or name sessions=."
        )
    uploaded, sent = _upload(place, published, progress)
    data: dict[str, Any] = {"format": FORMAT, "project": project}
    data |= {"description": description or manifest.description, "session_class": manifest.session_class}
    # each object is named one by one: there is nothing that the manifest does not name
    data["layout"] = {}
    data["objects"] = entries_json(sorted((item.entry for item in published), key=lambda e: str(e.key)))
    if state.data is not None and all(state.data.get(name) == value for name, value in data.items()):
        newest = state.versions[-1]
        if version in (None, newest.version):
            return Published(place.where, newest, False, len(published), uploaded, sent)
    if label in [v.version for v in state.versions]:
        raise ConfigurationError(
            f"{place.where} has a version {label} already, and versions do not change. Leave version= out, or give "
            f"another."
        )
    made = Version(
        label, f"manifest-{len(state.versions) + 1}.json", datetime.now(UTC).isoformat(timespec="seconds")
    )
    data["version"] = label
    data["versions"] = [
        {"version": v.version, "manifest": v.manifest, "published": v.published}
        for v in (*state.versions, made)
    ]
    validated(data, "that is to be published")
    _commit(place, made, (json.dumps(data, indent=1) + "\n").encode(), len(state.versions) + 1)
    return Published(place.where, made, True, len(published), uploaded, sent)


def versions(destination: str | Path, *, endpoint_url: str | None = None) -> list[Version]:
    """Return the versions of the project that is published in a folder or a bucket, oldest first.

    Raises
    ------
    ManifestError
        Nothing is published there.
    """
    place = destination_of(destination, endpoint_url=endpoint_url)
    try:
        found = _newest(place, settle=False)
    finally:
        place.close()
    if not found.versions:
        raise ManifestError(f"Nothing is published at {place.where}: there is no {NEWEST}.")
    return list(found.versions)


def _newest(place: Destination, *, settle: bool = True) -> _State:
    """Return the newest version; a publisher that died before it was the newest is helped to its end."""
    found = place.read(NEWEST)
    state = _State() if found is None else _state(place, NEWEST, *found)
    while (later := place.read(name := f"manifest-{len(state.versions) + 1}.json")) is not None:
        newer = _state(place, name, later[0], "")
        if len(newer.versions) != len(state.versions) + 1:
            raise ManifestError(f"{place.where}/{name} is not the version that its name says. Delete it.")
        if settle:
            place.swap(NEWEST, later[0], state.tag)
            found = place.read(NEWEST)
            newer = newer if found is None else _state(place, NEWEST, *found)
        state = newer
    return state


def _state(place: Destination, name: str, text: bytes, tag: str) -> _State:
    where = f"{place.where}/{name}"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"{where} is not whole: another publisher may be writing it. Try again; if nobody is, delete it."
        ) from error
    if not isinstance(data, dict) or not data.get("versions"):
        raise ConfigurationError(
            f"{where} is a manifest that was not published: this seems to be somebody's cache. Publish to a place of "
            f"its own."
        )
    data = validated(data, where)
    listed = tuple(Version(v["version"], v["manifest"], v["published"]) for v in data["versions"])
    return _State(data, listed, tag)


def _label(version: str | None, state: _State) -> str:
    """Return what a new version is called."""
    if version is not None:
        if not _NAME.fullmatch(version):
            raise ConfigurationError(
                f"A version cannot be called {version!r}: letters, digits, '.', '_' and '-' only."
            )
        return version
    if not state.versions:
        return "1"
    last = state.versions[-1].version
    counted = re.fullmatch(r"(.*?)(\d+)", last)
    if counted is None:
        raise ConfigurationError(f"The newest version is called {last}. Say what follows it: version=.")
    return f"{counted[1]}{int(counted[2]) + 1:0{len(counted[2])}d}"


def _elsewhere(manifest: Manifest, here: set[Any], before: dict[Any, ObjectEntry]) -> list[Item]:
    """Return what the project names and is not here, and the destination has: it stays in the next version."""
    same = {
        e.key
        for e in manifest.objects
        if e.key not in here and e.digest and e.digest == _digest(before.get(e.key))
    }
    return [Item(entry, None) for key, entry in before.items() if key in same]


def _digest(entry: ObjectEntry | None) -> str | None:
    return None if entry is None else entry.digest


def _upload(place: Destination, published: list[Item], progress: Progress) -> tuple[int, int]:
    """Put there what is not there yet; return how many objects and bytes that were."""
    total = sum(item.entry.size or 0 for item in published)
    guard, done, stopped = threading.Lock(), 0, threading.Event()

    def sent(count: int) -> None:
        nonlocal done
        with guard:
            done += count
            progress(done, total)

    def put(item: Item) -> int | None:
        entry = item.entry
        assert entry.path is not None and entry.digest is not None  # noqa: S101, PT018 - made so
        if stopped.is_set():
            return None
        try:
            if place.holds(entry.path, entry.size or 0, entry.digest):
                sent(entry.size or 0)
                return None
            if item.file is None:
                raise MissingObjectError(
                    f"{entry.key} is neither here nor at {place.where}. Fetch it first, and publish again."
                )
            place.upload(entry.path, item.file, entry.digest, sent)
        except BaseException:
            stopped.set()
            raise
        return entry.size or 0

    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            sizes = [size for size in pool.map(put, published) if size is not None]
        except BaseException:
            # what is on its way arrives, what has not begun does not begin
            stopped.set()
            raise
    return len(sizes), sum(sizes)


def _commit(place: Destination, made: Version, text: bytes, serial: int) -> None:
    """Make a version, which nobody else can make any more, and then the newest."""
    if not place.create(made.manifest, text):
        there = place.read(made.manifest)
        if there is None or there[0] != text:
            raise PublishConflictError(
                f"Somebody else published to {place.where} while this was going on ({made.manifest}), so version "
                f"{made.version} was not made and nothing of theirs was overwritten. What went up stays: publish again, "
                f"on top of theirs."
            )
    for _ in range(5):
        found = place.read(NEWEST)
        newest = _State() if found is None else _state(place, NEWEST, *found)
        if len(newest.versions) >= serial or place.swap(NEWEST, text, newest.tag):
            return
    raise PublishConflictError(
        f"Version {made.version} is at {place.where}/{made.manifest}, and {NEWEST} could not be replaced by it, as others "
        f"keep writing there. The next publication sets it right."
    )
