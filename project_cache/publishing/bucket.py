"""An S3 bucket as the place that a project is published to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from project_cache.errors import ConfigurationError, ServerError, TransferError
from project_cache.publishing.destination import Sent, checked_blocks
from project_cache.transfer.address import redacted
from project_cache.transfer.s3 import s3_url

__all__ = ["BucketDestination"]

#: larger objects go up in parts of this size, which S3 allows 10,000 of
_PART = 8 << 20
_MOST_PARTS = 9_000
#: no manifest is larger
_LARGEST = 1 << 30
_NOT_THERE = {404, 405, 410}
#: somebody else was there first: the condition does not hold, or is being decided at this moment
_TAKEN = {409, 412}


class BucketDestination:
    """A prefix of an S3 bucket; credentials come from the usual chain (environment, profile, role).

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``.
    endpoint_url : str, optional
        The address of a server other than Amazon's; by default ``AWS_ENDPOINT_URL_S3``, if that is set.
    """

    def __init__(self, url: str, *, endpoint_url: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
            raise ConfigurationError(f"{redacted(url)} is not an address of the form s3://bucket/prefix.")
        self._bucket = parts.netloc
        self._prefix = unquote(parts.path).strip("/")
        self.where = s3_url(self._bucket, self._prefix)
        with self._translated(self.where):
            self._client = _client(endpoint_url)

    def _at(self, name: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": "/".join(filter(None, (self._prefix, name)))}

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return a small file and its ETag, or None where there is none."""
        try:
            with self._translated(name):
                answer = self._client.get_object(**self._at(name))
                if answer["ContentLength"] > _LARGEST:
                    raise TransferError(
                        f"{self.where}/{name} has {answer['ContentLength']:,} bytes: it is no manifest."
                    )
                return answer["Body"].read(), answer["ETag"]
        except ServerError as error:
            if error.status in _NOT_THERE:
                return None
            raise

    def holds(self, name: str, size: int, digest: str) -> bool:
        """Return whether an object is there, whole: S3 shows no others."""
        try:
            with self._translated(name):
                answer = self._client.head_object(**self._at(name))
        except ServerError as error:
            if error.status in _NOT_THERE:
                return False
            raise
        return bool(answer["ContentLength"] == size and answer["Metadata"].get("digest", digest) == digest)

    def upload(self, name: str, file: Path, digest: str, sent: Sent) -> None:
        """Put an object into the bucket; a large one in several parts at once."""
        from boto3.s3.transfer import TransferConfig

        size = file.stat().st_size
        with checked_blocks(file, digest, sent) as blocks, self._translated(name):
            said = {"Metadata": {"digest": digest}}
            if size <= _PART:
                self._client.put_object(**self._at(name), Body=blocks.read(), **said)
                return
            part = max(_PART, -(-size // _MOST_PARTS))
            config = TransferConfig(multipart_threshold=_PART, multipart_chunksize=part, max_concurrency=8)
            # it cannot be wound back, so it is read once and in order; if its end is refused, no object is made
            self._client.upload_fileobj(blocks, **self._at(name), ExtraArgs=said, Config=config)

    def create(self, name: str, data: bytes) -> bool:
        """Put a small file where there is none, in one step; return False where there is one.

        Raises
        ------
        TransferError
            The server does not keep to such conditions: nobody could tell who was first.
        """
        if not self._put(name, data, IfNoneMatch="*"):
            return False
        # the same bytes again, which must be refused
        if self._put(name, data, IfNoneMatch="*"):
            raise TransferError(
                f"The server of {self.where} overwrites what it was asked not to overwrite (If-None-Match), so two "
                f"publishers could overwrite one another there. Use a server that knows conditional writes."
            )
        return True

    def swap(self, name: str, data: bytes, tag: str | None) -> bool:
        """Replace a small file in one step if its state is still that of the tag (None: there is none)."""
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        return self._put(name, data, CacheControl="no-cache", **condition)

    def _put(self, name: str, data: bytes, **more: str) -> bool:
        try:
            with self._translated(name):
                self._client.put_object(**self._at(name), Body=data, ContentType="application/json", **more)
        except ServerError as error:
            if error.status in _TAKEN:
                return False
            raise
        return True

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    @contextlib.contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        """Turn boto3's errors into this package's, with nothing of their text, which may name secrets."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        where = name if name.startswith("s3://") else f"{self.where}/{name}"
        failure: Exception | None = None
        try:
            yield
        except ClientError as error:
            failure = _refused(error, where)
        except (Boto3Error, BotoCoreError) as error:
            cause = error.__cause__ or error.__context__
            failure = (
                _refused(cause, where)
                if isinstance(cause, ClientError)
                else TransferError(
                    f"{where} could not be written or read ({type(error).__name__}). What went up stays; run it again. "
                    f"Credentials come from AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the address of "
                    f"a server other than Amazon's from endpoint_url, or AWS_ENDPOINT_URL_S3."
                )
            )
        if failure is not None:
            raise failure


def _refused(error: Any, where: str) -> ServerError:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code == "NoSuchBucket":
        # 404 would be taken for an object that is not there yet
        return ServerError(f"There is no bucket for {where}. Make it first.", 400)
    advice = {
        403: " Check the credentials (AWS_PROFILE), and their right to s3:GetObject, s3:PutObject and s3:ListBucket.",
        501: " The server does not know conditional writes, which publishing needs.",
    }.get(status, "")
    return ServerError(f"{where}: the server answered {status} ({code}).{advice}", status)


def _client(endpoint_url: str | None) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=15,
        read_timeout=120,
        retries={"mode": "standard", "total_max_attempts": 5},
        max_pool_connections=32,
    )
    return boto3.Session().client("s3", endpoint_url=endpoint_url, config=config)
