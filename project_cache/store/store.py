"""The store: the folders that hold a project's objects, and the only writer of the last of them."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from project_cache.errors import ProjectCacheError, StoreError, UnknownObjectError
from project_cache.files import make_folder
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.sources.base import Progress, Source, silent
from project_cache.store import verdicts
from project_cache.store.filling import ProgressFactory, fill, give_up
from project_cache.store.layers import Found, Layers
from project_cache.store.locks import object_lock
from project_cache.store.verdicts import Verdict

__all__ = ["Store", "Verdict"]

_log = logging.getLogger("project_cache")


@contextlib.contextmanager
def _nobody(key: Key) -> Iterator[Progress]:
    yield silent


class Store:
    """Objects by key: from the first layer that has them, or fetched once into the last.

    Parameters
    ----------
    manifest : Manifest
        What there is; its folder is the layer that is written to.
    layers : sequence of Manifest
        The same project in other folders (preloaded drives), asked first and never written to.
    sources : sequence of Source
        Where absent objects come from, in order.
    offline : bool
        Whether sources that need the network are left alone.
    tries : int
        How often an object that arrived and was not what it should be is fetched anew.
    progress : callable, optional
        Makes the progress display of an object.
    lock_timeout : float, optional
        Seconds to wait for another process that fetches the same object; by default as long as it takes.
    """

    def __init__(
        self,
        manifest: Manifest,
        layers: Sequence[Manifest] = (),
        sources: Sequence[Source] = (),
        *,
        offline: bool = False,
        tries: int = 2,
        progress: ProgressFactory | None = None,
        lock_timeout: float | None = None,
    ) -> None:
        self.manifest = manifest
        self.layers = tuple(layers)
        self.sources = tuple(sources)
        self.offline = offline
        self.tries = max(1, tries)
        self.progress = progress or _nobody
        self.lock_timeout = lock_timeout
        self._layers = Layers(self.manifest, self.layers)
        self._known: dict[Key, Found] = {}
        self._streamed: set[Key] = set()
        self._busy: dict[Key, threading.Lock] = {}
        self._guard = threading.Lock()
        self._pid = os.getpid()

    # Reading -----------------------------------------------------------------------------------

    def get(self, key: Key, *, progress: ProgressFactory | None = None) -> Path:
        """Return the path of a complete, verified file, which is fetched if it is in no layer.

        Parameters
        ----------
        key : Key
            The object.
        progress : callable, optional
            Makes its progress display, instead of the store's.

        Raises
        ------
        MissingObjectError
            No source has it (:class:`~project_cache.errors.OfflineError`: none may be asked).
        CorruptObjectError
            What is there is broken, and it could not be had anew.
        UnreadableObjectError
            A file is there and cannot be read. It is not fetched again.
        ReadOnlyCacheError, DiskFullError
            It cannot be written.
        TransferError
            It did not arrive.
        """
        known = self._known.get(key)
        if known is not None:
            if known.unchanged():
                return known.path
            self._known.pop(key, None)
        found, _ = self._find(key)
        if found is not None:
            return found
        if not self._layers.allow(key):
            raise UnknownObjectError(
                f"{key} is not among the {len(self.manifest.objects)} objects that the lock {self.manifest.path} names, so "
                f"the analysis that was frozen did not use it. Open the project itself for it, and freeze again."
            )
        # One thread of this process at a time: file locks are between processes.
        with self._lock_of(key):
            found, trouble = self._find(key)
            return found if found is not None else self._fetch(key, trouble, progress)

    def get_many(
        self, keys: Iterable[Key], *, workers: int = 4, progress: ProgressFactory | None = None
    ) -> dict[Key, Path]:
        """Return the paths of objects, several of which are fetched at a time.

        One that cannot be had does not stop the others; when all are done its error is raised, with a note on how many
        more there were. What has arrived is kept.

        Parameters
        ----------
        keys : iterable of Key
            The objects.
        workers : int
            How many are fetched at once.
        progress : callable, optional
            Makes the progress display of each, instead of the store's.
        """
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, Path] = {}
        absent = []
        for key in wanted:
            path = self.find(key)
            if path is None:
                absent.append(key)
            else:
                found[key] = path
        failed: list[tuple[Key, ProjectCacheError]] = []
        stop = threading.Event()

        @contextlib.contextmanager
        def stoppable(key: Key) -> Iterator[Progress]:
            with (progress or self.progress)(key) as told:

                def one(done: int, total: int | None) -> None:
                    if stop.is_set():
                        raise KeyboardInterrupt  # what has arrived is kept, as when it is pressed here
                    told(done, total)

                yield one

        if absent:
            pool = ThreadPoolExecutor(max(1, min(workers, len(absent))))
            try:  # from the first that is handed over: an interrupt may come before the last is
                tasks = {key: pool.submit(self.get, key, progress=stoppable) for key in absent}
                for key, task in tasks.items():
                    try:
                        found[key] = task.result()
                    except ProjectCacheError as error:
                        failed.append((key, error))
            except BaseException:
                # nobody waits for gigabytes that are no longer wanted; first what waits, so that it does not begin
                pool.shutdown(wait=False, cancel_futures=True)
                stop.set()
                raise
            finally:
                pool.shutdown()
        if failed:
            first = failed[0][1]
            if len(failed) > 1:
                others = ", ".join(str(key) for key, _ in failed[1:6])
                first.add_note(f"{len(failed)} of {len(wanted)} objects could not be had; also: {others}.")
            raise first
        return {key: found[key] for key in wanted}

    def find(self, key: Key) -> Path | None:
        """Return the path of an object if a layer has it whole, else None. Nothing is fetched."""
        return self._find(key)[0]

    def _find(self, key: Key) -> tuple[Path | None, list[StoreError]]:
        found, trouble = self._layers.find(key)
        return None if found is None else self._noted(key, found), trouble

    def _noted(self, key: Key, found: Found) -> Path:
        self._known[key] = found
        return found.path

    # Fetching ----------------------------------------------------------------------------------

    def _lock_of(self, key: Key) -> threading.Lock:
        if self._pid != os.getpid():  # a fork may have copied locks that some thread held
            self._guard, self._busy, self._pid = threading.Lock(), {}, os.getpid()
        with self._guard:
            return self._busy.setdefault(key, threading.Lock())

    def sources_for(self, key: Key) -> list[Source]:
        """Return the sources that may have an object, in the order in which they are asked."""
        named = self.manifest.sources_of(key)
        order = {name: n for n, name in enumerate(named)}
        chosen = [source for source in self.sources if source.has(key)]
        if self.manifest.entry(key).sources:
            chosen = [source for source in chosen if source.name in order]
        return sorted(chosen, key=lambda source: order.get(source.name, len(order)))

    def _fetch(self, key: Key, trouble: list[StoreError], progress: ProgressFactory | None) -> Path:
        usable = self._usable(key, self.sources_for(key), trouble)
        final = self.manifest.locate(key)
        if trouble:
            _log.warning("%s It is fetched again.", trouble[-1])
        make_folder(final.parent)
        with object_lock(
            final, str(key), timeout=self.lock_timeout, arrived=lambda: self._find(key)[0] is not None
        ):
            path, _ = self._find(key)
            if path is not None:
                return path  # another process was quicker
            return self._fill(key, usable, progress)

    def _usable(self, key: Key, sources: list[Source], trouble: Sequence[StoreError] = ()) -> list[Source]:
        """Return the sources that may be asked now; raise if there is none."""
        usable = [source for source in sources if not (self.offline and source.remote)]
        if not usable:
            give_up(self._layers, key, trouble, sources)
        return usable

    def _fill(self, key: Key, sources: list[Source], progress: ProgressFactory | None = None) -> Path:
        found = fill(self._layers, key, sources, tries=self.tries, shown=progress or self.progress)
        return self._noted(key, found)

    # Keeping -----------------------------------------------------------------------------------

    def handed_out(self) -> list[Key]:
        """Return the objects that this store has given to anybody, in this process."""
        return sorted({*self._known, *self._streamed}, key=str)

    def sizes(self) -> dict[Key, int]:
        """Return the bytes of the files that it has given, as they were then: nothing is looked at."""
        return {key: found.size for key, found in dict(self._known).items()}

    def hand_out(self, key: Key) -> None:
        """Take note of an object that is read where it is, without being fetched."""
        self._streamed.add(key)

    def present(self, kinds: Iterable[str] | None = None) -> dict[Key, Path]:
        """Return the objects that are in any layer, by key."""
        return self._layers.present(kinds)

    def verify(
        self,
        keys: Iterable[Key] | None = None,
        *,
        workers: int | None = None,
        progress: Progress = silent,
    ) -> list[Verdict]:
        """Read every byte of the objects that are there, and compare the digests.

        Parameters
        ----------
        keys : iterable of Key, optional
            Which; by default all that are there and all that the manifest names one by one.
        workers : int, optional
            Threads; by default one for each core.
        progress : callable
            Called as objects are done, with how many are.

        Returns
        -------
        list of Verdict
            In the order of the keys. Files are never changed; a digest that was not known is noted in the
            receipt, where the folder can be written to.
        """
        return verdicts.verify(self._layers, keys, workers=workers, progress=progress)

    def renew(self, key: Key, source: Source | None = None) -> Path:
        """Return the path of an object that was fetched anew, whatever lies there; that stays until the new one is whole.

        Parameters
        ----------
        key : Key
            The object.
        source : Source, optional
            Where it is to come from; by default from its sources.

        Raises
        ------
        MissingObjectError
            No source has it (:class:`~project_cache.errors.OfflineError`: none may be asked). What lies there stays.
        """
        usable = self._usable(key, self.sources_for(key) if source is None else [source])
        final = self.manifest.locate(key)
        make_folder(final.parent)
        with self._lock_of(key), object_lock(final, str(key), timeout=self.lock_timeout):
            return self._fill(key, usable)

    def obtainable(self, key: Key) -> bool:
        """Return whether some source may have the object, were it gone."""
        return any(source.has(key) for source in self.sources)

    def forget(self, key: Key) -> None:
        """Look at an object again before it is given out: something was done to its file."""
        self._known.pop(key, None)

    # What processes share ----------------------------------------------------------------------

    def __getstate__(self) -> dict[str, object]:
        state = self.__dict__.copy()
        for private in ("_guard", "_busy", "_known"):
            state.pop(private)
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._known, self._busy, self._guard, self._pid = {}, {}, threading.Lock(), os.getpid()
