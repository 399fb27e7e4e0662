"""S3 buckets, and what speaks their protocol, as places of raw folders."""

from __future__ import annotations

import functools
import os

from project_cache.errors import MissingObjectError, ServerError
from project_cache.raw.stores import Entry, RemoteStat, RemoteStore
from project_cache.transfer.plan import strong_etag
from project_cache.transfer.s3 import Listed, S3Transport, s3_url

__all__ = ["Bucket", "bucket"]


class Bucket(RemoteStore):
    """Folders in S3: what the keys of objects have in common.

    Parameters
    ----------
    transport : S3Transport
        Makes the requests.
    """

    tags_contents = True
    advice = " Give credentials for it (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."

    def __init__(self, transport: S3Transport) -> None:
        super().__init__(transport)
        self._lists = transport

    def url(self, anchor: str, key: str) -> str:
        """Return the address that an object is asked for at."""
        return s3_url(_name(anchor), key)

    def shown(self, anchor: str, key: str) -> str:
        """Return what messages call an object: its address as people write it, nothing quoted."""
        return f"{anchor}/{key}"

    def entries(self, anchor: str, key: str, prefix: str = "") -> list[Entry]:
        """Return the members of a folder whose names begin with ``prefix``, by name."""
        start = _start(key)
        found = [
            Entry(each.key[len(start) :].removesuffix("/"), each.size is None, _stat(each))
            for each in self._listing(anchor, key, prefix, delimiter="/")
            if len(each.key) > len(start)
        ]
        if not found and not prefix:
            raise MissingObjectError(f"There is no folder {self.shown(anchor, key)}.")
        return sorted(found, key=lambda entry: entry.name)

    def is_folder(self, anchor: str, key: str) -> bool:
        """Return whether anything lies below this prefix."""
        return bool(self._listing(anchor, key, "", limit=1))

    def stat(self, anchor: str, key: str) -> RemoteStat | None:
        """Return what S3 says of an object, or None where there is none."""
        return super().stat(anchor, key) if key else None

    def _listing(
        self, anchor: str, key: str, prefix: str, *, delimiter: str = "", limit: int | None = None
    ) -> list[Listed]:
        try:
            return self._lists.listing(_name(anchor), _start(key) + prefix, delimiter=delimiter, limit=limit)
        except ServerError as error:
            if error.status == 404:
                return []
            raise self._refused(error.status, self.shown(anchor, key)) from error


def _name(anchor: str) -> str:
    return anchor.removeprefix("s3://")


def _stat(each: Listed) -> RemoteStat | None:
    if each.size is None:
        return None
    # what is empty has no byte to ask for, so that asking tells no ETag
    return RemoteStat(each.size, strong_etag(each.etag) if each.size else None)


def _start(key: str) -> str:
    return f"{key}/" if key else ""


def bucket() -> Bucket:
    """Return the S3 client that the environment asks for (``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``)."""
    return _bucket(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None)


@functools.lru_cache(maxsize=8)
def _bucket(endpoint: str | None) -> Bucket:
    return Bucket(S3Transport(endpoint_url=endpoint))
