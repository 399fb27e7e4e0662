"""Sources of plain files whose addresses follow from their keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

from project_cache.errors import ConfigurationError, MissingObjectError, ServerError
from project_cache.manifest.keys import Key
from project_cache.sources.base import Filled, Progress, silent
from project_cache.store.part import Part
from project_cache.transfer.address import redacted
from project_cache.transfer.content import Expect
from project_cache.transfer.download import download
from project_cache.transfer.ranges import Address
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import Transport

__all__ = ["RemoteFiles", "below", "expected"]

_BINARY = (".nwb", ".h5", ".hdf5", ".npy", ".npz", ".tif", ".tiff", ".parquet", ".zip")
_TABLES = (".csv", ".tsv", ".txt")


class RemoteFiles(ABC):
    """Files below one address, each at a path that follows from its key.

    Parameters
    ----------
    name : str
        What messages call it.
    path_of : callable
        Returns a key's path below the address, or None for keys that this source does not have.
    headers : mapping, optional
        Sent with every request.
    policy, clock : Policy, Clock
        Patience and time.
    """

    remote: bool = True
    #: the statuses of what is not there, and what 403 may mean
    _absent = frozenset({403, 404, 410})
    _refused = " (S3 says so of files that do not exist, too)"

    def __init__(
        self,
        name: str,
        path_of: Callable[[Key], str | None],
        *,
        headers: Mapping[str, str] | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._path_of = path_of
        self._headers = dict(headers or {})
        self._policy = policy or Policy()
        self._clock = clock or Clock()

    @abstractmethod
    def url(self, key: Key) -> str:
        """Return where an object is; with whatever secrets the source's address has.

        Raises
        ------
        MissingObjectError
            This source has no such objects.
        ConfigurationError
            The path leads out of the source's address.
        """

    @abstractmethod
    def _line(self) -> Transport:
        """Return what makes the requests of streams."""

    @abstractmethod
    def _opened(self) -> AbstractContextManager[Transport]:
        """Return what makes the requests of one object."""

    def has(self, key: Key) -> bool:
        """Return whether the source may have the object."""
        return self._path_of(key) is not None

    def _steps(self, key: Key) -> list[str]:
        path = self._path_of(key)
        if path is None:
            raise MissingObjectError(f"{self.name} has no {key}.")
        return below(path, self.name)

    def stream(self, key: Key) -> Address:
        """Return where an object can be read by ranges, and how."""
        return Address(self.url(key), self._line(), self._headers, self._policy, self._clock)

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        """Fill the part with the object, whole.

        Raises
        ------
        MissingObjectError
            The server says that it is not there. S3 says 403 for that, where listing is not allowed.
        TransferError
            It did not arrive; what did is kept in the part.
        """
        url = self.url(key)
        with self._opened() as transport:
            try:
                return download(
                    url,
                    part,
                    transport=transport,
                    expect=expected(url),
                    headers=self._headers,
                    progress=progress,
                    policy=self._policy,
                    clock=self._clock,
                )
            except ServerError as error:
                if error.status not in self._absent:
                    raise
                also = self._refused if error.status == 403 else ""
                raise MissingObjectError(
                    f"{self.name} does not have {key}: {redacted(url)} answered {error.status}{also}."
                ) from error


def below(path: str, name: str) -> list[str]:
    """Return the steps of a path below a source's address.

    Raises
    ------
    ConfigurationError
        It is empty, or leads elsewhere.

    Examples
    --------
    >>> below("session_1/session_1.nwb", "bucket")
    ['session_1', 'session_1.nwb']
    """
    steps = path.replace("\\", "/").split("/")
    if not path or any(step in ("", ".", "..") for step in steps):
        raise ConfigurationError(f"{name}: {path!r} is not a path below the source's address.")
    return steps


def expected(url: str) -> Expect:
    """Return what the file at ``url`` should look like, by its name.

    Examples
    --------
    >>> expected("https://h/session_1.nwb?sig=x"), expected("https://h/units.csv")
    ('binary', 'table')
    """
    path = urlsplit(url).path.lower()
    if path.endswith(_BINARY):
        return "binary"
    if path.endswith(_TABLES):
        return "table"
    return "json" if path.endswith(".json") else "any"
