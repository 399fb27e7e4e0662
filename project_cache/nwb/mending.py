"""A damaged file as a source of itself: what is good of it stays, and only its bad blocks come from elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from project_cache.errors import ContentError, MissingObjectError, ProjectCacheError, TransferError
from project_cache.manifest.keys import Key
from project_cache.nwb.skeleton import Skeleton
from project_cache.nwb.streamed import skeleton_for
from project_cache.sources.base import Filled, Progress, Streams, silent
from project_cache.store.part import Part
from project_cache.store.receipts import Receipt
from project_cache.store.store import Store
from project_cache.transfer.remote import BLOCK, RemoteBytes

__all__ = ["MendingSource", "mending"]

#: of a file of which more than this part is bad, all is fetched
MOST_BAD = 0.5


class MendingSource:
    """A damaged file, and a server that has it whole.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    skeleton : Skeleton
        What tells its good blocks from its bad ones.
    bad : list of int
        The numbers of the bad ones.
    remote : RemoteBytes
        The whole file, elsewhere.
    """

    remote: bool = True

    def __init__(self, path: Path, skeleton: Skeleton, bad: list[int], remote: RemoteBytes) -> None:
        self.name = f"{remote.shown} and what is good of {path}"
        self.path, self.skeleton, self.bad, self.bytes = path, skeleton, bad, remote

    def has(self, key: Key) -> bool:
        """Return True: it was made for one object."""
        return True

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        """Fill the part with the good blocks of the file and those that replace the bad ones.

        Raises
        ------
        TransferError
            These could not be had, or the file changed in the meantime.
        """
        size, bad = self.skeleton.size, set(self.bad)
        part.restart(origin=self.bytes.shown, size=size)
        try:
            with self.path.open("rb") as file:
                for at in range(0, size, BLOCK):
                    end = min(at + BLOCK, size)
                    if at // BLOCK in bad:
                        data = self.bytes.read_at(at, end)
                    else:
                        file.seek(at)
                        data = file.read(end - at)
                        self.skeleton.check(at // BLOCK, data)
                    part.write(data)
                    progress(part.position, size)
        except OSError as error:
            if isinstance(error, ProjectCacheError):
                raise
            raise TransferError(f"{self.path} could not be read ({error.strerror or error}).") from error
        return Filled(self.bytes.shown, size, self.bytes.validator, self.skeleton.digest)


def mending(store: Store, key: Key) -> MendingSource | None:
    """Return a source of a damaged object that fetches its bad blocks and nothing else.

    None, where it is not known which blocks are bad (there is no skeleton of the version that is meant), where most
    are, or where no source can give single ones.
    """
    path = store.manifest.locate(key)
    receipt = Receipt.read(path)
    digest = store.manifest.entry(key).digest or (receipt.digest if receipt else None)
    if digest is None or store.offline or not path.is_file():
        return None
    for source in store.sources_for(key):
        if isinstance(source, Streams):
            with contextlib.suppress(MissingObjectError):
                skeleton = skeleton_for(store, key, digest, source)
                if skeleton is None:
                    continue
                bad = list(_bad_blocks(path, skeleton))
                if len(bad) <= MOST_BAD * max(1, -(-skeleton.size // BLOCK)):
                    remote = RemoteBytes(source.stream(key), size=skeleton.size, check=skeleton.check)
                    remote.readahead = False
                    return MendingSource(path, skeleton, bad, remote)
    return None


def _bad_blocks(path: Path, skeleton: Skeleton) -> Iterator[int]:
    with path.open("rb") as file:
        for n, at in enumerate(range(0, skeleton.size, BLOCK)):
            data = file.read(min(BLOCK, skeleton.size - at))
            try:
                skeleton.check(n, data)
            except ContentError:
                yield n
