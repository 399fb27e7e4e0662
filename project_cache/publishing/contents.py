"""What is published: each object with its digest, and the place that follows from it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from project_cache.errors import CorruptObjectError, ManifestError, NWBError
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.manifest.objects import ObjectEntry
from project_cache.manifest.trust import safe_relative
from project_cache.nwb.skeleton import skeleton_of
from project_cache.nwb.streamed import skeleton_key
from project_cache.publishing.parquet import parquet_of
from project_cache.store.check import expects_hdf5
from project_cache.store.receipts import Receipt
from project_cache.store.store import Store

__all__ = ["Item", "chosen", "items", "known_digest", "placed"]

_log = logging.getLogger("project_cache")

_TYPEWISE = "typewise_analysis_metrics"
_SESSION = "session_nwb"
#: what is kept of building, which whoever has the sessions does not need
_COMPONENT = "component"
_SKELETON = "skeleton"
_DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Item:
    """An object that is to be published.

    Attributes
    ----------
    entry : ObjectEntry
        How the manifest names it.
    file : pathlib.Path or None
        Where its bytes are; None: nowhere here, the destination has them.
    """

    entry: ObjectEntry
    file: Path | None


def chosen(
    store: Store, tables: Collection[str] | None, sessions: Iterable[int | str] | None
) -> dict[Key, Path]:
    """Return the files that are to be published: those that are here, or those that are asked for, which are fetched.

    Parameters
    ----------
    store : Store
        Of the project.
    tables : collection of str, optional
        Kinds of tables (``sessions``, ``units``, …); by default all that are here.
    sessions : iterable of int or str, optional
        Ids; by default all of which something is here, and all else that is here.
    """
    here = _newest(
        {key: path for key, path in store.present().items() if key.kind not in (_SKELETON, _COMPONENT)}
    )
    found = {key: path for key, path in here.items() if is_table(key, path)}
    if tables is not None:
        found = {key: path for key, path in found.items() if key.kind in tables}
        for kind in tables:
            if kind not in {key.kind for key in found}:
                found[Key(kind)] = store.get(Key(kind))
    others = {key: path for key, path in here.items() if not is_table(key, path)}
    if sessions is not None:
        wanted = list(sessions)
        others = {key: path for key, path in others.items() if key.args and key.args[0] in wanted}
        for session in wanted:
            whole = Key(_SESSION, (session,))
            if whole not in others:
                others[whole] = store.get(whole)
    return {**found, **others}


def _newest(here: dict[Key, Path]) -> dict[Key, Path]:
    """Return files such that each session has one: of those that were built, the last, whatever its recipe."""
    found: dict[Key, Path] = {}
    for key, path in here.items():
        name = Key(_SESSION, key.args[:1]) if key.kind == _SESSION else key
        if name not in found or path.stat().st_mtime_ns > found[name].stat().st_mtime_ns:
            found[name] = path
    return found


def is_table(key: Key, path: Path) -> bool:
    """Return whether an object is a table of the project, and not of one session."""
    return path.suffix in (".csv", ".parquet") and (not key.args or key.kind == _TYPEWISE)


def items(
    manifest: Manifest,
    files: dict[Key, Path],
    before: dict[Key, ObjectEntry],
    workspace: Path,
    holds: Callable[[ObjectEntry], bool],
) -> Iterator[Item]:
    """Yield what is published of these files: tables as parquet, and with each HDF5 file its skeleton.

    Parameters
    ----------
    manifest : Manifest
        Of the project.
    files : dict of Key to pathlib.Path
        What is published.
    before : dict of Key to ObjectEntry
        What the newest version at the destination names.
    workspace : pathlib.Path
        A folder for what is made on the way.
    holds : callable
        Whether the destination has an object already.

    Raises
    ------
    CorruptObjectError
        A file is not what it should be.
    """
    for key, path in files.items():
        file, said = path, manifest.entry(key)
        if path.suffix == ".csv":
            made = workspace / f"{len(list(workspace.iterdir()))}.parquet"
            if parquet_of(path, made):
                file = made
        digest = known_digest(manifest, key, path) if file == path else digest_of(file)
        place = placed(manifest, key, digest, file.suffix)
        size = file.stat().st_size
        yield Item(ObjectEntry(key, place, size, digest, session_class=said.session_class), file)
        if expects_hdf5(key, path):
            yield from _skeleton(manifest, key, path, digest, before, workspace, holds)


def _skeleton(
    manifest: Manifest,
    key: Key,
    path: Path,
    digest: str,
    before: dict[Key, ObjectEntry],
    workspace: Path,
    holds: Callable[[ObjectEntry], bool],
) -> Iterator[Item]:
    of_old, old = before.get(key), before.get(skeleton_key(key))
    if of_old is not None and old is not None and of_old.digest == digest and holds(old):
        yield Item(old, None)
        return
    try:
        contents = skeleton_of(path, digest).to_bytes()
    except CorruptObjectError:
        raise
    except NWBError as error:
        _log.warning("%s is published without a skeleton: %s", key, error)
        return
    file = workspace / f"{len(list(workspace.iterdir()))}.skeleton"
    file.write_bytes(contents)
    own = digest_of(file)
    place = placed(manifest, key, own, ".skeleton")
    yield Item(ObjectEntry(skeleton_key(key), place, len(contents), own), file)


def known_digest(manifest: Manifest, key: Key, path: Path) -> str:
    """Return the digest that an object is to have: the manifest's, its receipt's, or that of its bytes now."""
    said = manifest.entry(key).digest
    if said is not None:
        return said
    receipt = Receipt.read(path)
    if receipt is not None:
        status = path.stat()
        if receipt.fits(status.st_size, status.st_mtime_ns):
            return receipt.digest
    return digest_of(path)


def placed(manifest: Manifest, key: Key, digest: str, suffix: str) -> str:
    """Return where an object is published: its usual path, with its digest in it, so that no other ever lies there.

    Examples
    --------
    >>> manifest = Manifest.visual_coding("manifest.json")
    >>> placed(manifest, Key("session_nwb", (7,)), "blake3:" + "ab" * 32, ".nwb")
    'objects/session_7/abababababababababababababababab/session_7.nwb'
    """
    try:
        usual = PurePosixPath(manifest.relative(key) or str(key))
    except (
        ManifestError
    ):  # built files have their recipe in their path, and not in the key that they are published by
        usual = PurePosixPath(str(key))
    steps = [step for step in usual.parts[:-1] if not _DIGEST.fullmatch(step)]
    if steps[:1] == ["objects"]:
        steps = steps[1:]
    name = usual.stem + suffix
    return str(safe_relative("/".join(["objects", *steps, digest.partition(":")[2][:32], name])))
