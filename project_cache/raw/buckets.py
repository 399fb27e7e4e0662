"""S3 buckets, and what speaks their protocol."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from project_cache.errors import (
    ConfigurationError,
    MissingObjectError,
    ServerError,
    TransferError,
    UnreadableObjectError,
)
from project_cache.raw.stores import Entry
from project_cache.transfer.transport import Dropped

__all__ = ["Bucket", "bucket"]

_TRIES = 4


class Bucket:
    """S3, or what speaks its protocol, by boto3: signed where there are credentials, else anonymously.

    Parameters
    ----------
    endpoint : str, optional
        The address of a server other than Amazon's (``AWS_ENDPOINT_URL_S3``).
    """

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint
        self._anonymous: set[str] = set()

    @functools.cached_property
    def _signed(self) -> Any:
        import boto3

        session = boto3.Session()
        return self._client(session, anonymous=session.get_credentials() is None)

    @functools.cached_property
    def _unsigned(self) -> Any:
        import boto3

        return self._client(boto3.Session(), anonymous=True)

    def _client(self, session: Any, *, anonymous: bool) -> Any:
        from botocore import UNSIGNED
        from botocore.config import Config

        settings: dict[str, Any] = {"signature_version": UNSIGNED} if anonymous else {}
        retries = {"mode": "standard", "max_attempts": 6}
        try:
            return session.client(
                "s3",
                endpoint_url=self._endpoint,
                region_name=session.region_name or "us-west-2",
                config=Config(retries=retries, max_pool_connections=32, **settings),
            )
        except ValueError as error:
            raise ConfigurationError(
                f"{self._endpoint!r} is no address of an S3 server ({error}): see AWS_ENDPOINT_URL_S3."
            ) from error

    def _ask(self, anchor: str, key: str, question: Callable[[Any, str], Any]) -> Any:
        """Return the answer to a question; None where there is no such thing."""
        from botocore.exceptions import BotoCoreError, ClientError

        name = anchor.removeprefix("s3://")
        url = f"{anchor}/{key}"
        try:
            if name in self._anonymous:
                return question(self._unsigned, name)
            try:
                return question(self._signed, name)
            except ClientError as error:
                # public buckets refuse credentials of people whom they do not know
                if _status(error) != 403 or self._signed.meta.config.signature_version == _unsigned_mark():
                    raise
                answer = question(self._unsigned, name)
                self._anonymous.add(name)
                return answer
        except ClientError as error:
            status = _status(error)
            if status in (404, 416):
                return None
            if status in (401, 403):
                raise UnreadableObjectError(
                    f"{url} may not be read ({status}): give credentials for it (AWS_PROFILE, or AWS_ACCESS_KEY_ID "
                    f"and AWS_SECRET_ACCESS_KEY)."
                ) from None
            raise ServerError(f"S3 refused {url}: {error}.", status) from error
        except BotoCoreError as error:
            raise TransferError(f"{url} could not be asked for: {error}") from error

    def entries(self, anchor: str, key: str, prefix: str = "") -> list[Entry]:
        """Return the members of a folder whose names begin with ``prefix``."""
        start = f"{key}/" if key else ""

        def question(client: Any, name: str) -> list[Entry]:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=name, Prefix=start + prefix, Delimiter="/"
            )
            out = []
            for page in pages:
                out += [
                    Entry(each["Prefix"][len(start) : -1], True) for each in page.get("CommonPrefixes", [])
                ]
                out += [
                    Entry(each["Key"][len(start) :], False, int(each["Size"]))
                    for each in page.get("Contents", [])
                    if len(each["Key"]) > len(start)
                ]
            return out

        found = self._ask(anchor, key, question)
        if not found and not prefix:
            raise MissingObjectError(f"There is no folder {anchor}/{key}.")
        return sorted(found or [], key=lambda entry: entry.name)

    def is_folder(self, anchor: str, key: str) -> bool:
        """Return whether anything lies below this prefix."""
        start = f"{key}/" if key else ""
        answer = self._ask(
            anchor,
            key,
            lambda client, name: client.list_objects_v2(Bucket=name, Prefix=start, MaxKeys=1).get(
                "KeyCount", 0
            ),
        )
        return bool(answer)

    def size(self, anchor: str, key: str) -> int | None:
        """Return the size of an object in bytes, or None where there is none."""
        if not key:
            return None
        answer = self._ask(
            anchor, key, lambda client, name: client.head_object(Bucket=name, Key=key)["ContentLength"]
        )
        return None if answer is None else int(answer)

    def read(self, anchor: str, key: str, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` up to ``stop``, or to the object's end."""
        from botocore.exceptions import BotoCoreError
        from urllib3.exceptions import HTTPError

        if stop <= start:
            return b""

        def question(client: Any, name: str) -> bytes:
            answer = client.get_object(Bucket=name, Key=key, Range=f"bytes={start}-{stop - 1}")
            try:
                body: bytes = answer["Body"].read()
            except (HTTPError, BotoCoreError) as error:
                raise Dropped(str(error)) from error
            return body

        reason = ""
        # boto3 tries again until the headers are there, not when the body breaks off
        for _ in range(_TRIES):
            try:
                data: bytes | None = self._ask(anchor, key, question)
            except Dropped as dropped:
                reason = str(dropped)
                continue
            if data is not None:
                return data
            if self.size(anchor, key) is None:
                raise MissingObjectError(f"There is no {anchor}/{key}.")
            return b""
        raise TransferError(f"{anchor}/{key} could not be read: {reason}.")


def _status(error: Any) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def _unsigned_mark() -> Any:
    from botocore import UNSIGNED

    return UNSIGNED


def bucket() -> Bucket:
    """Return the S3 client that the environment asks for (``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``)."""
    return _bucket(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None)


@functools.lru_cache(maxsize=8)
def _bucket(endpoint: str | None) -> Bucket:
    return Bucket(endpoint)
