"""Opening an object of a project to be read where it is: here if it is here, or else on its server."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from project_cache.errors import (
    ContentError,
    CorruptObjectError,
    MissingObjectError,
    OfflineError,
    ProjectCacheError,
    ServerError,
    StoreError,
)
from project_cache.files import atomic_write, hidden, make_folder, new_hasher
from project_cache.manifest.keys import Key
from project_cache.nwb.file import NWBReader
from project_cache.nwb.remote import RemoteNWBReader
from project_cache.nwb.skeleton import Skeleton
from project_cache.sources.base import Streams
from project_cache.store.blocks import BlockCache
from project_cache.store.store import Store
from project_cache.transfer.remote import BLOCK, Blocks, RemoteBytes

__all__ = ["skeleton_for", "skeleton_key", "streamed"]

_log = logging.getLogger("project_cache")

#: the folder in the cache folder in which blocks are kept
BLOCKS = ".blocks"
#: a skeleton is not fetched that is larger
LARGEST = 256 << 20


def skeleton_key(key: Key) -> Key:
    """Return the key that the skeleton of an object is published by.

    Examples
    --------
    >>> skeleton_key(Key("session_nwb", (715093703,)))
    Key('skeleton/session_nwb/715093703')
    """
    return Key("skeleton", (key.kind, *key.args))


def streamed(store: Store, key: Key) -> NWBReader:
    """Return a reader of an NWB file, which is not downloaded for it.

    Parameters
    ----------
    store : Store
        Where it may be already, and which knows where it can be had. What is read is kept in a folder of its cache
        folder, in blocks and within a budget, if that can be written to.
    key : Key
        The file.

    Raises
    ------
    MissingObjectError
        It is not here, and no source that can be streamed from has it (OfflineError: none may be asked).
    TransferError
        It could not be read.
    """
    found = store.find(key)
    if found is not None:
        return NWBReader(found)
    sources = [source for source in store.sources_for(key) if isinstance(source, Streams)]
    if sources and store.offline:
        raise OfflineError(f"{key} is not in the cache, and the network is not to be used.")
    failure: ProjectCacheError | None = None
    for source in sources:
        try:
            return _remote(store, key, source)
        except MissingObjectError as error:
            failure = error
        except ServerError as error:
            # S3 says 403 of what does not exist, where listing is not allowed
            if error.status != 403:
                raise
            failure = error
    if failure is not None:
        raise failure
    raise MissingObjectError(
        f"{key} is not in the cache, and none of its sources "
        f"({', '.join(s.name for s in store.sources_for(key)) or 'there are none'}) can be streamed from. "
        f"Fetch it instead: stream=False."
    )


def _remote(store: Store, key: Key, source: Streams) -> RemoteNWBReader:
    entry = store.manifest.entry(key)
    skeleton = None if entry.digest is None else skeleton_for(store, key, entry.digest, source)
    if skeleton is not None and entry.size not in (None, skeleton.size):
        skeleton = None
    if skeleton is None and store.manifest.frozen is not None:
        raise MissingObjectError(
            f"{key} has no skeleton by which what is streamed could be told from other bytes, and a lock takes no other "
            f"bytes. Fetch it instead: stream=False."
        )

    def keep(remote: RemoteBytes) -> Blocks | None:
        if skeleton is not None:
            identity = skeleton.digest
        elif remote.validator is not None:
            # whose bytes these are nobody has checked: only what this server sent is taken for what it sends
            identity = f"{entry.digest} {remote.validator} {remote.shown}"
        else:
            return None
        return BlockCache(store.manifest.folder / BLOCKS).of(identity, remote.size, BLOCK)

    remote = RemoteBytes(
        source.stream(key),
        size=entry.size if skeleton is None else skeleton.size,
        check=None if skeleton is None else skeleton.check,
        keep=keep,
    )
    reader = RemoteNWBReader(remote, skeleton, origin=(streamed, (store, key)))
    store.hand_out(key)
    if skeleton is not None and store.manifest.objects.get(skeleton_key(key)) is not None:
        store.hand_out(skeleton_key(key))
    return reader


def skeleton_for(store: Store, key: Key, digest: str, source: Streams) -> Skeleton | None:
    """Return the skeleton of the version that is meant, from beside where the object would be or from the source."""
    places = [
        hidden(layer.locate(key), "skeleton")
        for layer in (*store.layers, store.manifest)
        if key.kind in layer.layout.kinds()
    ]
    for place in places:
        with contextlib.suppress(OSError, ContentError):
            kept = Skeleton.from_bytes(place.read_bytes(), str(place))
            if kept.digest == digest:
                return kept
    try:
        contents = _published(store, skeleton_key(key), source)
        if contents is None:
            return None
        found = Skeleton.from_bytes(contents, str(skeleton_key(key)))
    except ProjectCacheError as error:
        _log.warning("%s is read without its skeleton: %s", key, error)
        return None
    if found.digest != digest:
        return None
    if places:
        _put(places[-1], contents)
    return found


def _published(store: Store, key: Key, source: Streams) -> bytes | None:
    """Return the bytes of an object that the manifest names with its digest, or None."""
    entry = store.manifest.objects.get(key)
    if entry is None or entry.digest is None:
        return None
    size = LARGEST if entry.size is None else entry.size
    remote = RemoteBytes(source.stream(key), size=entry.size)
    remote.begin(min(size, LARGEST))
    if remote.size > LARGEST:
        raise ContentError(f"{key} has {remote.size:,} bytes, which is more than is read of a skeleton.")
    contents = remote.read_at(0, remote.size)
    algorithm = entry.digest.partition(":")[0]
    hasher = new_hasher(algorithm)
    hasher.update(contents)
    if f"{algorithm}:{hasher.hexdigest()}" != entry.digest:
        raise CorruptObjectError(f"{key} arrived with other bytes than the manifest says. It is not used.")
    return contents


def _put(place: Path, contents: bytes) -> None:
    """Keep a skeleton for the next time, where that can be done."""
    with contextlib.suppress(OSError, StoreError):
        make_folder(place.parent)
        with atomic_write(place, durable=False) as temporary:
            temporary.write_bytes(contents)
