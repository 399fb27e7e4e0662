"""The source of plain files on a web server, such as a public bucket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from urllib.parse import quote, urlsplit, urlunsplit

from project_cache.errors import ConfigurationError
from project_cache.manifest.keys import Key
from project_cache.sources.remote_files import RemoteFiles
from project_cache.transfer.address import redacted
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import Transport, WebTransport

__all__ = ["HttpSource"]


class HttpSource(RemoteFiles):
    """Files below one address, each at a path that follows from its key.

    Parameters
    ----------
    name : str
        What messages call it.
    base_url : str
        http or https; a query (an access signature) is sent with every request and never shown.
    path_of : callable
        Returns a key's path below ``base_url``, or None for keys that this source does not have.
    headers : mapping, optional
        Sent with every request to that host, and to no other host that it redirects to.
    policy, clock : Policy, Clock
        Patience and time.
    transport : callable
        Makes what makes the requests.

    Examples
    --------
    >>> source = HttpSource("bucket", "https://h/prefix", {Key("units"): "units.csv"}.get)
    >>> source.url(Key("units"))
    'https://h/prefix/units.csv'
    >>> source.has(Key("probes"))
    False
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        path_of: Callable[[Key], str | None],
        *,
        headers: Mapping[str, str] | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
        transport: Callable[[Policy], Transport] = WebTransport,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{redacted(base_url)} is not an http or https address.")
        super().__init__(name, path_of, headers=headers, policy=policy, clock=clock)
        self._base = parts
        self._transport = transport
        self._kept: Transport | None = None

    def __repr__(self) -> str:
        return f"HttpSource({self.name!r}, {redacted(urlunsplit(self._base))!r})"

    def url(self, key: Key) -> str:
        """Return where an object is; with whatever secrets the base address has."""
        folder = self._base.path.rstrip("/")
        return urlunsplit(self._base._replace(path=f"{folder}/{quote('/'.join(self._steps(key)))}"))

    def _line(self) -> Transport:
        if self._kept is None:
            # kept: connections stay open from one file to the next
            self._kept = self._transport(self._policy)
        return self._kept

    def _opened(self) -> AbstractContextManager[Transport]:
        return self._transport(self._policy)
