"""Where a project is published: the few things that a folder and a bucket must be able to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from project_cache.errors import ConfigurationError, CorruptObjectError
from project_cache.files import new_hasher
from project_cache.transfer.address import redacted

__all__ = ["Destination", "Sent", "checked_blocks", "destination_of"]

#: called with the number of bytes that went up just now
Sent = Callable[[int], None]


class Destination(Protocol):
    """A place that a project is published to. Names are paths below it, with forward slashes.

    Attributes
    ----------
    where : str
        What messages call it; without secrets.
    """

    where: str

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return a small file and the tag of this very state of it, or None where there is none."""

    def holds(self, name: str, size: int, digest: str) -> bool:
        """Return whether an object is there, whole."""

    def upload(self, name: str, file: Path, digest: str, sent: Sent) -> None:
        """Put an object there; it has its name when all of it is there, and its digest is the one that is given.

        Raises
        ------
        CorruptObjectError
            The file has other bytes. Nothing is at the name.
        """

    def create(self, name: str, data: bytes) -> bool:
        """Put a small file where there is none, in one step; return False where there is one."""

    def swap(self, name: str, data: bytes, tag: str | None) -> bool:
        """Replace a small file in one step if its state is still that of the tag (None: there is none)."""

    def close(self) -> None:
        """Let go of connections."""


def destination_of(place: str | Path, *, endpoint_url: str | None = None) -> Destination:
    """Return the destination at ``s3://bucket/prefix``, or in a folder.

    Raises
    ------
    ConfigurationError
        Nothing can be published there.
    """
    text = str(place)
    if text.startswith("s3://"):
        from project_cache.publishing.bucket import BucketDestination

        return BucketDestination(text, endpoint_url=endpoint_url)
    if "://" in text:
        raise ConfigurationError(
            f"{redacted(text)}: projects are published to a folder or to s3://bucket/prefix. For a web server, publish "
            f"to the folder that it serves."
        )
    from project_cache.publishing.folder import FolderDestination

    return FolderDestination(Path(place))


class checked_blocks:  # noqa: N801 - a file that can only be read on
    """The bytes of a file, block by block; the last is given only if all of them have the digest they should.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    digest : str
        What its bytes must have: ``"blake3:…"``.
    sent : callable
        Called with the number of bytes of each block.
    """

    def __init__(self, file: Path, digest: str, sent: Sent) -> None:
        self._path, self._digest, self._sent = file, digest, sent
        self._hasher = new_hasher(digest.partition(":")[0])
        self._file = file.open("rb")

    def __enter__(self) -> checked_blocks:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size``; none at the end.

        Raises
        ------
        CorruptObjectError
            They were the last, and the file is not what it should be.
        """
        data = self._file.read(size)
        self._hasher.update(data)
        if size < 0 or len(data) < size:
            found = f"{self._digest.partition(':')[0]}:{self._hasher.hexdigest()}"
            if found != self._digest:
                raise CorruptObjectError(
                    f"{self._path} is not what it was when it was verified (its digest is {found}, not {self._digest}), "
                    f"so it was not published. repair() fetches it anew."
                )
        self._sent(len(data))
        return data
