"""The interface of a source: what it has, and how it fills a part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from project_cache.manifest.keys import Key
from project_cache.store.part import Part

if TYPE_CHECKING:
    from project_cache.transfer.ranges import Address

__all__ = ["Filled", "Progress", "Source", "Streams", "silent"]

#: called as bytes arrive, with how many there are by now and how many there are to be (None: not known)
Progress = Callable[[int, int | None], None]


def silent(done: int, total: int | None) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What a source says of the part that it has filled.

    Attributes
    ----------
    origin : str
        Where the bytes came from: a URL or a path, free of credentials.
    size : int or None
        How many bytes the origin promised, where it did; the store compares.
    validator : str or None
        The ETag, version or date that the origin gave them.
    digest : str or None
        The digest that the origin promised (``"sha256:…"``), where it did.
    recipe : str or None
        Of something that was built: what went into it, as JSON. Kept in the receipt.
    """

    origin: str
    size: int | None = None
    validator: str | None = None
    digest: str | None = None
    recipe: str | None = None


@runtime_checkable
class Source(Protocol):
    """Where objects come from.

    Attributes
    ----------
    name : str
        What messages call it: ``warehouse http://api.brain-map.org``.
    remote : bool
        Whether filling needs the network. Offline, such sources are not asked.
    """

    name: str
    remote: bool

    def has(self, key: Key) -> bool:
        """Return whether the source may have the object. Cheap: no network."""

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        """Fill the part with the object, whole.

        Raises
        ------
        MissingObjectError
            The source does not have it after all; the next source is asked.
        TransferError
            It did not arrive. What did may stay in the part, bound to a validator, for the next try.
        """


@runtime_checkable
class Streams(Protocol):
    """A source whose objects can be read by ranges, where they are."""

    def stream(self, key: Key) -> Address:
        """Return where an object can be read, and how. No network.

        Raises
        ------
        MissingObjectError
            This source has no such objects.
        """
