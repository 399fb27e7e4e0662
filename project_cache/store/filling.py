"""Filling: an object comes from a source into a part, is checked, and gets its name."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Callable, Sequence
from typing import NoReturn

from project_cache.errors import (
    ContentError,
    CorruptObjectError,
    MissingObjectError,
    OfflineError,
    ProjectCacheError,
    StoreError,
    TransferError,
)
from project_cache.files import digest_of, publish
from project_cache.manifest.keys import Key
from project_cache.manifest.objects import ObjectEntry
from project_cache.sources.base import Filled, Progress, Source
from project_cache.store.check import check_format
from project_cache.store.digest import algorithm_of
from project_cache.store.layers import Found, Layers
from project_cache.store.owners import sweep
from project_cache.store.part import Part
from project_cache.store.receipts import Receipt

__all__ = ["ProgressFactory", "fill", "give_up"]

_log = logging.getLogger("project_cache")

#: makes the progress of one object: called with its key, gives a context manager of a :data:`Progress`
ProgressFactory = Callable[[Key], contextlib.AbstractContextManager[Progress]]


def fill(layers: Layers, key: Key, sources: Sequence[Source], *, tries: int, shown: ProgressFactory) -> Found:
    """Return where an object lies that was fetched from the first source that gives it, whole and checked.

    Parameters
    ----------
    layers : Layers
        It gets its place in the own one of them, whose folder for it is there.
    key : Key
        The object.
    sources : sequence of Source
        Where it may come from, in the order in which they are asked.
    tries : int
        How often a source is asked that sends what it should not.
    shown : callable
        Makes its progress display.

    Raises
    ------
    MissingObjectError
        No source has it.
    ContentError, CorruptObjectError
        What arrived is something else.
    TransferError
        It did not arrive.
    """
    failures: list[ProjectCacheError] = []
    for source in sources:
        for attempt in range(tries):
            try:
                return _fill_from(layers, key, source, shown)
            except MissingObjectError as error:
                failures.append(error)
                break
            except (ContentError, CorruptObjectError) as error:
                failures.append(error)
                if attempt + 1 < tries:
                    _log.warning("%s It is asked for again (%d of %d).", error, attempt + 2, tries)
            except TransferError as error:
                failures.append(error)
                break
    real = [f for f in failures if not isinstance(f, MissingObjectError)] or failures
    if len({type(f) for f in real}) == 1 or len(sources) == 1:
        raise real[-1]
    raise TransferError(f"{key} could not be had: " + " / ".join(str(f) for f in real)) from real[-1]


def _fill_from(layers: Layers, key: Key, source: Source, shown: ProgressFactory) -> Found:
    entry, final = layers.own.entry(key), layers.own.locate(key)
    algorithm = algorithm_of(entry.digest) if entry.digest else "blake3"
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
        _verify_part(entry, part, filled)
        # The receipt first: a crash in between leaves one that does not fit, never a file that it slanders.
        Receipt.of(part.path, key, part.digest, filled.validator, filled.origin, filled.recipe).write(final)
        publish(part.path, final)
    except FileNotFoundError as error:
        # another process took this one for dead, and the part with it
        part.discard()
        found, _ = layers.find(key)
        if found is not None:
            return found
        raise ContentError(f"The unfinished file of {key} was taken over by another process.") from error
    except BaseException:
        part.discard()
        raise
    part.forget()
    sweep(final)
    return Found.of(final, final.stat())


def _verify_part(entry: ObjectEntry, part: Part, filled: Filled) -> None:
    """Raise if a filled part is not what was to arrive; before it gets its name."""
    key = entry.key
    for who, size in ((filled.origin, filled.size), ("the manifest", entry.size)):
        if size is not None and size != part.position:
            raise ContentError(
                f"{key} arrived from {filled.origin} with {part.position:,} bytes; {who} says {size:,}."
            )
    for who, digest in ((filled.origin, filled.digest), ("the manifest", entry.digest)):
        if digest is not None:
            same_kind = algorithm_of(digest) == algorithm_of(part.digest)
            found = part.digest if same_kind else digest_of(part.path, algorithm_of(digest))
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


def give_up(layers: Layers, key: Key, trouble: Sequence[StoreError], sources: Sequence[Source]) -> NoReturn:
    """Raise what fits: nothing can fill the object.

    Parameters
    ----------
    layers : Layers
        Where it was looked for.
    key : Key
        The object.
    trouble : sequence of StoreError
        What is wrong with the files that lie in its place.
    sources : sequence of Source
        Those that may have it and must not be asked.
    """
    place = layers.own.locate(key)
    searched = ", ".join(str(layer.locate(key)) for layer in layers)
    named = shlex.quote(str(layers.own.path or layers.own.project))
    how = f"project-cache fetch {key} --manifest {named}"
    if trouble:
        raise CorruptObjectError(
            f"{trouble[0]} "
            + (f"It could not be fetched again, being offline; online, this does: {how}" if sources else "")
        )
    if sources:
        raise OfflineError(
            f"{key} is not in the cache ({searched}), and the network is not to be used. Online, this gets it: {how}"
        )
    raise MissingObjectError(
        f"{key} is not in the cache ({searched}), and this cache has no source for it. Put the file at {place}."
    )
