"""Keeping house: what a cache does for itself."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from project_cache.errors import ProjectCacheError, ReadOnlyCacheError
from project_cache.manifest.keys import Key
from project_cache.store.keeping import (
    Holding,
    PrunePlan,
    byte_count,
    holdings,
    open_files,
    pin,
    plan_prune,
    prune,
    unpin,
)
from project_cache.store.owners import sweep_below

if TYPE_CHECKING:
    import pandas as pd

    from project_cache.manifest.model import Manifest
    from project_cache.store.blocks import BlockCache
    from project_cache.store.doctor import Finding
    from project_cache.store.store import Store, Verdict

__all__ = ["REPAIRED", "KeepsHouse"]

_log = logging.getLogger("project_cache")

#: what :meth:`KeepsHouse.repair` says of what is good again
REPAIRED = "repaired"


class KeepsHouse:
    """The part of a :class:`~project_cache.cache.ProjectCache` that looks after its folder."""

    manifest: Manifest
    store: Store
    progress: bool | None

    def verify(self, keys: Iterable[Key] | None = None, *, workers: int | None = None) -> list[Verdict]:
        """Read every byte of what is there and compare the digests; see :meth:`Store.verify`."""
        from project_cache.display.progress import bar

        with bar("verify", unit="file", show=self.progress) as progress:
            return self.store.verify(keys, workers=workers, progress=progress)

    def repair(self, keys: Iterable[Key] | None = None, *, workers: int | None = None) -> dict[Key, str]:
        """Verify what is there, and fetch again what is not as it should be.

        Of a file with a skeleton (those of published projects have one, and those that were streamed) only the bad
        blocks are fetched, of any other all. A bad file stays until a good one is whole, and is then replaced in one
        step.

        Parameters
        ----------
        keys : iterable of Key, optional
            Which; by default all that are there. One that is named and is missing is fetched.
        workers : int, optional
            Threads for the verification.

        Returns
        -------
        dict of Key to str
            What was not good, to what became of it: ``"repaired"``, or why it could not be.
        """
        chosen = None if keys is None else list(keys)
        found: dict[Key, str] = {}
        for verdict in self.verify(chosen, workers=workers):
            if verdict.state == "corrupt" and verdict.path != self.manifest.locate(verdict.key):
                found[verdict.key] = (
                    f"{verdict.path} is in a layer, which is not written to: replace it there."
                )
            elif verdict.state == "corrupt" or (verdict.state == "missing" and chosen is not None):
                try:
                    self._renew(verdict.key)
                    found[verdict.key] = REPAIRED
                except ProjectCacheError as error:
                    found[verdict.key] = str(error)
            elif verdict.state == "unreadable":
                found[verdict.key] = verdict.detail
        return found

    def _renew(self, key: Key) -> None:
        """Mend an object where it is known what of it is bad, or else fetch it."""
        from project_cache.nwb.mending import mending

        try:
            source = mending(self.store, key)
            if source is not None:
                self.store.renew(key, source)
                return
        except ReadOnlyCacheError:
            raise
        except ProjectCacheError as error:
            _log.warning("%s could not be mended, and is fetched as a whole: %s", key, error)
        self.store.renew(key)

    def prune(
        self,
        max_bytes: int | str,
        *,
        keep: Iterable[Any] = (),
        dry_run: bool = False,
        unobtainable: bool = False,
    ) -> PrunePlan:
        """Remove the objects that were used least recently, until the cache keeps to a budget.

        Blocks of what was streamed get what the objects leave of it. What is pinned, in `keep` or in use stays; so does
        what no source could give back.

        Parameters
        ----------
        max_bytes : int or str
            The budget: ``"500 GB"``.
        keep : iterable of Key or of session ids
            What stays in any case.
        dry_run : bool
            Whether to say what would go, and remove nothing.
        unobtainable : bool
            Whether what could not be had again may go as well.

        Returns
        -------
        PrunePlan
            What went (or would go) and what stays, and why; print it. What is in use, is not removed, also where another
            process uses it; nor is what could not be had again.
        """
        held = holdings(self.manifest, self.store.obtainable)
        kept: set[Key] = set()
        for each in keep:
            kept |= (
                {each} if isinstance(each, Key) else {h.key for h in held if h.key.args[:1] == (_id(each),)}
            )
        busy = open_files(h.path for h in held)
        budget = byte_count(max_bytes)
        plan = plan_prune(held, budget, keep=kept, busy=busy, unobtainable=unobtainable)
        if dry_run:
            return plan
        plan = prune(plan, self.store.forget)
        sweep_below(self.manifest.folder)
        # what was streamed is there for speed alone, and takes what is left of the budget
        self._blocks(max(0, budget - plan.after)).shrink()
        return plan

    def _blocks(self, budget: int = sys.maxsize) -> BlockCache:
        """Return the blocks of what was streamed."""
        from project_cache.nwb.streamed import BLOCKS
        from project_cache.store.blocks import BlockCache

        return BlockCache(self.manifest.folder / BLOCKS, budget)

    def pin(self, *what: Any) -> None:
        """Keep objects from being pruned: keys, or ids of sessions (all that is here of them).

        Raises
        ------
        MissingObjectError
            One is not in the cache folder.
        """
        for key in self.named_objects(what):
            pin(self.manifest.locate(key))

    def unpin(self, *what: Any) -> None:
        """Let objects be pruned again."""
        for key in self.named_objects(what):
            unpin(self.manifest.locate(key))

    def named_objects(self, what: Iterable[Any]) -> list[Key]:
        """Return the keys that are meant: of a key itself (or its text), of a session's id all that is here of it."""
        found: list[Key] = []
        kinds = self.manifest.layout.kinds()
        for each in what:
            if isinstance(each, Key) or (isinstance(each, str) and each.partition("/")[0] in kinds):
                found.append(each if isinstance(each, Key) else Key.parse(each))
                continue
            name = _id(each)
            of_it = [key for kind in kinds for key, _ in self.manifest.scan(kind) if key.args[:1] == (name,)]
            found += of_it or [Key("session_nwb", (name,))]
        return found

    def du(self) -> pd.DataFrame:
        """Return what the objects of the cache take: one row each, the largest first; and one for what was streamed.

        Columns: ``kind``, ``bytes``, ``used`` (when, UTC), ``pinned``, ``again`` (whether it could be had again).
        """
        import pandas as pd

        held = holdings(self.manifest, self.store.obtainable)
        blocks = self._blocks()
        if streamed := blocks.shrink():
            used = blocks.folder.stat().st_mtime
            held.append(Holding(Key(blocks.folder.name), blocks.folder, streamed, used))
        held.sort(key=lambda h: -h.size)
        return pd.DataFrame(
            {
                "kind": [h.key.kind for h in held],
                "bytes": [h.size for h in held],
                "used": pd.to_datetime([h.used for h in held], unit="s", utc=True),
                "pinned": [h.pinned for h in held],
                "again": [h.again for h in held],
            },
            index=pd.Index([str(h.key) for h in held], name="key"),
        )

    def doctor(self) -> list[Finding]:
        """Return what the file system of the cache folder can do, and what follows from it. Print each."""
        from project_cache.store.doctor import examine

        return examine(self.manifest.folder)


def _id(session_id: Any) -> Any:
    """Return an id as keys have it: a number, whoever wrote it."""
    return Key.parse(f"session/{session_id}").args[0]
