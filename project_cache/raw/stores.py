"""What a place that is not on this machine must be able to do: list a folder, tell a size, read a range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Entry", "RemoteStore"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A member of a remote folder.

    Attributes
    ----------
    name : str
        Its name, not quoted.
    is_dir : bool
        Whether it is a folder.
    size : int, optional
        Its bytes, where the listing tells.
    """

    name: str
    is_dir: bool
    size: int | None = None


class RemoteStore(Protocol):
    """What a remote place must be able to do; ``anchor`` is the bucket or host, ``key`` a path in it."""

    def entries(self, anchor: str, key: str, prefix: str = "") -> list[Entry]:
        """Return the members of a folder whose names begin with ``prefix``."""

    def is_folder(self, anchor: str, key: str) -> bool:
        """Return whether there is such a folder."""

    def size(self, anchor: str, key: str) -> int | None:
        """Return the size of a file in bytes, or None where there is none."""

    def read(self, anchor: str, key: str, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` up to ``stop``, or to the file's end."""
