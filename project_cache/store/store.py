"""The store: the folders that hold a project's objects, and the only writer of the last of them."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from project_cache.errors import (
    ContentError,
    CorruptObjectError,
    MissingObjectError,
    OfflineError,
    ProjectCacheError,
    StoreError,
    TransferError,
    UnknownObjectError,
    UnreadableObjectError,
)
from project_cache.files import digest_of, make_folder, publish
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.sources.base import Filled, Progress, Source, silent
from project_cache.store.check import check_format
from project_cache.store.keeping import used
from project_cache.store.locks import object_lock
from project_cache.store.owners import sweep
from project_cache.store.part import Part
from project_cache.store.receipts import Receipt

__all__ = ["Store", "Verdict"]

_log = logging.getLogger("project_cache")

#: how often, at most, a file is looked at that others replace while it is verified
_LOOKS = 4
#: makes the progress of one object: called with its key, gives a context manager of a :data:`Progress`
ProgressFactory = Callable[[Key], contextlib.AbstractContextManager[Progress]]


@contextlib.contextmanager
def _nobody(key: Key) -> Iterator[Progress]:
    yield silent


@dataclass(frozen=True, slots=True)
class Verdict:
    """What :meth:`Store.verify` says of one object.

    Attributes
    ----------
    key : Key
        The object.
    path : pathlib.Path
        Its file.
    state : str
        ``good`` (the digest is the one it should be), ``seen`` (whole as far as its format tells; no digest was
        known, it is from now on), ``corrupt``, ``unreadable`` or ``missing``.
    detail : str
        Why.
    """

    key: Key
    path: Path
    state: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the object can be used."""
        return self.state in ("good", "seen")


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
        self._known: dict[Key, tuple[Path, int, int]] = {}
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
            path, size, mtime_ns = known
            with contextlib.suppress(OSError):
                status = path.stat()
                if status.st_size == size and status.st_mtime_ns == mtime_ns:
                    return path
            self._known.pop(key, None)
        found, _ = self._find(key)
        if found is not None:
            return found
        if not self._allowed(key):
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
        trouble: list[StoreError] = []
        for layer in (*self.layers, self.manifest) if self._allowed(key) else ():
            if key.kind not in layer.layout.kinds():
                continue
            try:
                path = layer.locate(key)
                status = path.stat()
                receipt = self._check(key, path, status)
            except (FileNotFoundError, NotADirectoryError, UnknownObjectError):
                continue
            except CorruptObjectError as error:
                trouble.append(error)
                continue
            except UnreadableObjectError:
                raise
            except OSError as error:
                raise UnreadableObjectError(
                    f"{path} cannot be looked at ({error.strerror or error}). It was not fetched again: check the "
                    f"permissions of its folder, and the drive."
                ) from error
            if receipt is not None and layer is self.manifest:
                used(path, receipt.noted)
            self._known[key] = (path, status.st_size, status.st_mtime_ns)
            return path, trouble
        return None, trouble

    def _allowed(self, key: Key) -> bool:
        """Return whether the manifest lets an object be used: a lock names all that may."""
        return self.manifest.frozen is None or self.manifest.objects.get(key) is not None

    def _check(self, key: Key, path: Path, status: os.stat_result) -> Receipt | None:
        """Raise if a file is not the object; a receipt that fits makes the look inside unnecessary, and is returned."""
        entry = self.manifest.entry(key)
        if entry.size is not None and entry.size != status.st_size:
            raise CorruptObjectError(
                f"{path} has {status.st_size:,} bytes; the manifest says {entry.size:,}."
            )
        receipt = Receipt.read(path)
        if receipt is not None and receipt.fits(status.st_size, status.st_mtime_ns):
            if entry.digest and _same_kind(entry.digest, receipt.digest) and entry.digest != receipt.digest:
                raise CorruptObjectError(f"{path} is another version ({receipt.digest}) than the manifest's.")
            if self.manifest.frozen is None or not entry.digest or _same_kind(entry.digest, receipt.digest):
                return receipt
        check_format(key, path, status.st_size)
        if self.manifest.frozen is not None and entry.digest:
            # a lock is about these very bytes, so nobody's word is taken for them
            found = digest_of(path, entry.digest.partition(":")[0])
            if found != entry.digest:
                raise CorruptObjectError(
                    f"{path} is not what was frozen: its digest is {found}, not {entry.digest}."
                )
            if path == self.manifest.locate(key):
                Receipt.of(path, key, found).write(path)
        return None

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

    def _fetch(self, key: Key, trouble: list[StoreError], progress: ProgressFactory | None = None) -> Path:
        sources = self.sources_for(key)
        usable = [source for source in sources if not (self.offline and source.remote)]
        if not usable:
            self._give_up(key, trouble, sources)
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
            return self._fill(key, final, usable, progress)

    def _fill(
        self, key: Key, final: Path, sources: list[Source], progress: ProgressFactory | None = None
    ) -> Path:
        failures: list[ProjectCacheError] = []
        for source in sources:
            for attempt in range(self.tries):
                try:
                    return self._fill_from(source, key, final, progress or self.progress)
                except MissingObjectError as error:
                    failures.append(error)
                    break
                except (ContentError, CorruptObjectError) as error:
                    failures.append(error)
                    if attempt + 1 < self.tries:
                        _log.warning("%s It is asked for again (%d of %d).", error, attempt + 2, self.tries)
                except TransferError as error:
                    failures.append(error)
                    break
        real = [f for f in failures if not isinstance(f, MissingObjectError)] or failures
        if len({type(f) for f in real}) == 1 or len(sources) == 1:
            raise real[-1]
        raise TransferError(f"{key} could not be had: " + " / ".join(str(f) for f in real)) from real[-1]

    def _fill_from(self, source: Source, key: Key, final: Path, shown: ProgressFactory) -> Path:
        entry = self.manifest.entry(key)
        algorithm = entry.digest.partition(":")[0] if entry.digest else "blake3"
        part = Part.claim(final, algorithm=algorithm, limit=entry.size)
        try:
            with shown(key) as progress:
                filled = source.fill(key, part, progress)
        except (TransferError, KeyboardInterrupt):
            # What has arrived is kept for the next try, if it can be told to what version it belongs.
            if part.journal.validator and part.held:
                try:
                    part.release()
                except StoreError:
                    part.discard()
            else:
                part.discard()
            raise
        except BaseException:
            part.discard()
            raise
        try:
            part.close()
            self._verify_part(key, part, filled)
            # The receipt first: a crash in between leaves one that does not fit, never a file that it slanders.
            Receipt.of(part.path, key, part.digest, filled.validator, filled.origin, filled.recipe).write(
                final
            )
            publish(part.path, final)
        except FileNotFoundError as error:
            # another process took this one for dead, and the part with it
            part.discard()
            path, _ = self._find(key)
            if path is not None:
                return path
            raise ContentError(f"The unfinished file of {key} was taken over by another process.") from error
        except BaseException:
            part.discard()
            raise
        part.forget()
        sweep(final)
        status = final.stat()
        self._known[key] = (final, status.st_size, status.st_mtime_ns)
        return final

    def _verify_part(self, key: Key, part: Part, filled: Filled) -> None:
        """Raise if a filled part is not what was to arrive; before it gets its name."""
        entry = self.manifest.entry(key)
        for who, size in ((filled.origin, filled.size), ("the manifest", entry.size)):
            if size is not None and size != part.position:
                raise ContentError(
                    f"{key} arrived from {filled.origin} with {part.position:,} bytes; {who} says {size:,}."
                )
        for who, digest in ((filled.origin, filled.digest), ("the manifest", entry.digest)):
            if digest is not None:
                found = (
                    part.digest
                    if _same_kind(digest, part.digest)
                    else digest_of(part.path, digest.partition(":")[0])
                )
                if found != digest:
                    raise CorruptObjectError(
                        f"{key} arrived from {filled.origin} with other bytes than {who} says ({found}, not {digest}). "
                        f"Nothing was stored."
                    )
        try:
            check_format(key, part.path, part.position)
        except CorruptObjectError as error:
            raise ContentError(
                f"{filled.origin} sent something else than {key}: {error} Nothing was stored."
            ) from error

    def _give_up(self, key: Key, trouble: list[StoreError], sources: list[Source]) -> NoReturn:
        """Raise what fits: nothing can fill the object."""
        place = self.manifest.locate(key)
        searched = ", ".join(str(layer.locate(key)) for layer in (*self.layers, self.manifest))
        named = shlex.quote(str(self.manifest.path or self.manifest.project))
        how = f"project-cache fetch {key} --manifest {named}"
        if trouble:
            raise CorruptObjectError(
                f"{trouble[0]} "
                + (
                    f"It could not be fetched again, being offline; online, this does: {how}"
                    if sources
                    else ""
                )
            )
        if sources:
            raise OfflineError(
                f"{key} is not in the cache ({searched}), and the network is not to be used. Online, this gets it: {how}"
            )
        raise MissingObjectError(
            f"{key} is not in the cache ({searched}), and this cache has no source for it. Put the file at {place}."
        )

    # Keeping -----------------------------------------------------------------------------------

    def handed_out(self) -> list[Key]:
        """Return the objects that this store has given to anybody, in this process."""
        return sorted({*self._known, *self._streamed}, key=str)

    def hand_out(self, key: Key) -> None:
        """Take note of an object that is read where it is, without being fetched."""
        self._streamed.add(key)

    def present(self, kinds: Iterable[str] | None = None) -> dict[Key, Path]:
        """Return the objects that are in any layer, by key."""
        found: dict[Key, Path] = {}
        for layer in (*self.layers, self.manifest):
            for kind in kinds if kinds is not None else layer.layout.kinds():
                for key, path in layer.scan(kind):
                    if self._allowed(key):
                        found.setdefault(key, path)
        return found

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
        there = self.present()
        wanted = (
            list(keys)
            if keys is not None
            else list(dict.fromkeys([*there, *(e.key for e in self.manifest.objects)]))
        )
        verdicts = []
        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            for n, verdict in enumerate(pool.map(lambda key: self._verdict(key, there.get(key)), wanted), 1):
                progress(n, len(wanted))
                verdicts.append(verdict)
        return verdicts

    def _verdict(self, key: Key, path: Path | None) -> Verdict:
        path = path or self.manifest.locate(key)
        before, verdict = None, Verdict(key, path, "missing", "it is not there")
        # what another process has replaced in the meantime is looked at again
        for _ in range(_LOOKS):
            stamp = _stamp(path)
            if stamp == before:
                break
            before, verdict = stamp, self._looked_at(key, path)
        return verdict

    def _looked_at(self, key: Key, path: Path) -> Verdict:
        entry, receipt = self.manifest.entry(key), Receipt.read(path)
        try:
            status = path.stat()
            check_format(key, path, status.st_size)
            if entry.size is not None and entry.size != status.st_size:
                return Verdict(
                    key, path, "corrupt", f"{status.st_size:,} bytes; the manifest says {entry.size:,}"
                )
            expected = entry.digest or (receipt.digest if receipt else None)
            found = digest_of(path, expected.partition(":")[0] if expected else "blake3")
        except CorruptObjectError as error:
            return Verdict(key, path, "corrupt", str(error))
        except FileNotFoundError:
            return Verdict(key, path, "missing", "it is not there")
        except OSError as error:
            return Verdict(key, path, "unreadable", str(error))
        if expected is not None and found != expected:
            return Verdict(key, path, "corrupt", f"its digest is {found}, not {expected}")
        if path == self.manifest.locate(key) and (
            receipt is None or not receipt.fits(status.st_size, status.st_mtime_ns)
        ):
            old = receipt or Receipt(str(key), 0, 0, "")
            note = Receipt.of(path, key, found, old.validator, old.origin, old.recipe)
            if _stamp(path) == (status.st_ino, note.size, note.mtime_ns) == _stamp_of(status):
                note.write(path)
        return Verdict(
            key, path, "good" if expected else "seen", "" if expected else "no digest was known until now"
        )

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
        sources = self.sources_for(key) if source is None else [source]
        usable = [source for source in sources if not (self.offline and source.remote)]
        if not usable:
            self._give_up(key, [], sources)
        final = self.manifest.locate(key)
        make_folder(final.parent)
        with self._lock_of(key), object_lock(final, str(key), timeout=self.lock_timeout):
            return self._fill(key, final, usable)

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


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what tells a file from one that has taken its place; None where there is none."""
    try:
        return _stamp_of(path.stat())
    except OSError:
        return None


def _stamp_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _same_kind(one: str, other: str) -> bool:
    return one.partition(":")[0] == other.partition(":")[0]
