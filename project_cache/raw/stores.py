"""Places that are not on this machine: what they must be able to do, and how their files are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from project_cache.errors import (
    ContentError,
    MissingObjectError,
    ServerError,
    StoreError,
    TransferError,
    UnreadableObjectError,
)
from project_cache.transfer.plan import strong_etag
from project_cache.transfer.request import ask
from project_cache.transfer.retry import Budget, Clock, Policy
from project_cache.transfer.transport import Answer, Transport

__all__ = ["Entry", "RemoteStat", "RemoteStore"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RemoteStat:
    """What is known of a remote file.

    Attributes
    ----------
    st_size : int
        Its bytes.
    etag : str, optional
        The ETag of what is in it, where the server tells files by that.
    """

    st_size: int
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A member of a remote folder.

    Attributes
    ----------
    name : str
        Its name, not quoted.
    is_dir : bool
        Whether it is a folder.
    stat : RemoteStat, optional
        What the listing tells of a file.
    """

    name: str
    is_dir: bool
    stat: RemoteStat | None = None


class RemoteStore(ABC):
    """Where remote folders and files are; ``anchor`` is the bucket or host, ``key`` a path in it.

    Parameters
    ----------
    transport : Transport
        Makes the requests.
    policy, clock : Policy, Clock
        Patience and time.
    """

    #: whether ETags are made from what is in a file; many servers make them from where and since when it lies there
    tags_contents = False
    #: what to do where something may not be read
    advice = ""

    def __init__(
        self, transport: Transport, policy: Policy | None = None, clock: Clock | None = None
    ) -> None:
        self._transport = transport
        self._policy = policy or Policy()
        self._clock = clock or Clock()

    @abstractmethod
    def entries(self, anchor: str, key: str, prefix: str = "") -> list[Entry]:
        """Return the members of a folder whose names begin with ``prefix``, by name.

        Raises
        ------
        MissingObjectError
            There is no such folder.
        ContentError
            The server does not list it.
        """

    @abstractmethod
    def is_folder(self, anchor: str, key: str) -> bool:
        """Return whether there is such a folder."""

    @abstractmethod
    def url(self, anchor: str, key: str) -> str:
        """Return the address that a file is asked for at."""

    @abstractmethod
    def shown(self, anchor: str, key: str) -> str:
        """Return what messages call a file or folder."""

    def stat(self, anchor: str, key: str) -> RemoteStat | None:
        """Return what the server says of a file, or None where there is none."""

        def take(answer: Answer) -> RemoteStat | None:
            if answer.status in (404, 410):
                return None
            total = answer.headers.get("content-range", "").rpartition("/")[2]
            if answer.status == 416:
                # there is no first byte
                total = total if total.isdigit() else "0"
            else:
                self._check(answer, self.shown(anchor, key))
                if answer.status != 206:
                    total = answer.headers.get("content-length", "")
            if not total.isdigit():
                raise ContentError(f"The server does not say how large {self.shown(anchor, key)} is.")
            etag = strong_etag(answer.headers.get("etag")) if self.tags_contents else None
            return RemoteStat(int(total), etag)

        return self._get(anchor, key, {"Range": "bytes=0-0"}, take)

    def read(self, anchor: str, key: str, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` up to ``stop``, or to the file's end."""
        if stop <= start:
            return b""

        def take(answer: Answer) -> bytes:
            if answer.status == 416:
                return b""
            shown = self.shown(anchor, key)
            self._check(answer, shown)
            ranged = answer.status == 206
            if ranged and not answer.headers.get("content-range", f"bytes {start}-").startswith(
                f"bytes {start}-"
            ):
                raise ContentError(f"The server sent another part of {shown} than was asked for.")
            # a server that knows no ranges sends all of it: what lies before is let pass
            left = 0 if ranged else start
            out = bytearray()
            for block in answer.blocks():
                out += block[left:]
                left = max(0, left - len(block))
                if len(out) >= stop - start:
                    break
            return bytes(out[: stop - start])

        return self._get(anchor, key, {"Range": f"bytes={start}-{stop - 1}"}, take)

    def _get(self, anchor: str, key: str, headers: dict[str, str], take: Callable[[Answer], _T]) -> _T:
        url = self.url(anchor, key)
        return ask(
            lambda: self._transport.get(url, {"Accept-Encoding": "identity", **headers}),
            take,
            shown=self.shown(anchor, key),
            budget=Budget(self._policy, self._clock),
        )

    def _check(self, answer: Answer, shown: str) -> None:
        if answer.status not in (200, 206):
            raise self._refused(answer.status, shown)

    def _refused(self, status: int, shown: str) -> StoreError | TransferError:
        """Return the error for a status that says no."""
        if status in (404, 410):
            return MissingObjectError(f"There is no {shown}.")
        if status in (401, 403):
            return UnreadableObjectError(
                f"{shown} may not be read: the server answered {status}.{self.advice}"
            )
        return ServerError(f"{shown} cannot be read: the server answered {status}.", status)
