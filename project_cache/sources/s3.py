"""The source of objects in an S3 bucket, Amazon's or any other."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from urllib.parse import unquote, urlsplit

from project_cache.errors import ConfigurationError
from project_cache.manifest.keys import Key
from project_cache.sources.remote_files import RemoteFiles
from project_cache.transfer.address import redacted
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.s3 import S3Transport, s3_url
from project_cache.transfer.transport import Transport

__all__ = ["S3Source"]

#: Amazon's rules, and the underscores and capitals of other servers and of former days
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


class S3Source(RemoteFiles):
    """Objects below one prefix of a bucket, each at a path that follows from its key.

    Parameters
    ----------
    name : str
        What messages call it.
    url : str
        ``s3://bucket/prefix``.
    path_of : callable
        Returns a key's path below ``url``, or None for keys that this source does not have.
    endpoint_url : str, optional
        The address of a server other than Amazon's; by default ``AWS_ENDPOINT_URL_S3``, if that is set.
    region : str, optional
        Where the bucket is; by default as the environment says, or as S3 answers.
    anonymous : bool, optional
        By default requests are signed where there are credentials, and unsigned where there are none or where
        those are refused. True: never signed. False: never unsigned.
    requester_pays : bool
        Agree to be charged for what is fetched.
    version_of : callable, optional
        Returns the VersionId of a key's object, or None for the newest.
    policy, clock : Policy, Clock
        Patience and time.
    transport : S3Transport, optional
        What makes the requests, where there is one already; the four arguments from `endpoint_url` on are its own then.

    Examples
    --------
    >>> source = S3Source("bucket", "s3://lab/project", {Key("units"): "units.csv"}.get)
    >>> source.url(Key("units"))
    's3://lab/project/units.csv'
    >>> source
    S3Source('bucket', 's3://lab/project')
    """

    #: 405: the version that is asked for is the mark of a deletion
    _absent = frozenset({403, 404, 405, 410})
    _refused = " (S3 says so of objects that do not exist, too; if it does, it wants credentials)"

    def __init__(
        self,
        name: str,
        url: str,
        path_of: Callable[[Key], str | None],
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        anonymous: bool | None = None,
        requester_pays: bool = False,
        version_of: Callable[[Key], str | None] | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
        transport: S3Transport | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc) or parts.query or parts.fragment:
            raise ConfigurationError(f"{redacted(url)} is not an address of the form s3://bucket/prefix.")
        super().__init__(name, path_of, policy=policy, clock=clock)
        self._bucket = parts.netloc
        self._prefix = unquote(parts.path).strip("/")
        self._version_of = version_of
        # kept: making a client takes longer than fetching a table
        self._transport = transport or S3Transport(
            self._policy,
            endpoint_url=endpoint_url,
            region=region,
            anonymous=anonymous,
            requester_pays=requester_pays,
        )

    def __repr__(self) -> str:
        return f"S3Source({self.name!r}, {s3_url(self._bucket, self._prefix)!r})"

    def url(self, key: Key) -> str:
        """Return where an object is, with its VersionId if that is known."""
        path = "/".join(filter(None, (self._prefix, *self._steps(key))))
        version = self._version_of(key) if self._version_of is not None else None
        return s3_url(self._bucket, path, version)

    def _line(self) -> Transport:
        return self._transport

    def _opened(self) -> AbstractContextManager[Transport]:
        return nullcontext(self._transport)
