"""S3, as a transport: requests by boto3, answers like those of any other server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from project_cache.errors import ConfigurationError, ProjectCacheError, ServerError, TransferError
from project_cache.transfer.address import redacted
from project_cache.transfer.retry import Budget, Clock, Policy
from project_cache.transfer.transport import Answer, Dropped, received

__all__ = ["S3Transport", "s3_url"]

#: what a server says to those whom it does not know, or no longer
_NOT_WELCOME = {400, 401, 403}


def s3_url(bucket: str, key: str, version: str | None = None) -> str:
    """Return the address of an object, or of one version of it.

    Examples
    --------
    >>> s3_url("lab", "a b/50%.nwb", "v1")
    's3://lab/a%20b/50%25.nwb?versionId=v1'
    """
    query = f"?{urlencode({'versionId': version})}" if version else ""
    return f"s3://{bucket}/{quote(key)}{query}"


class S3Transport:
    """Requests to Amazon's S3, or to what speaks its protocol, by boto3.

    Credentials come from the usual chain (environment, profile, role). Where there are none, and where those there
    are get refused, requests go out unsigned: public buckets answer anyone, but not everyone's keys. boto3 keeps
    the last word on regions, addresses (``AWS_ENDPOINT_URL_S3``), proxies and CA bundles. It follows a bucket to its
    region with a new signature, and no other redirect.

    Parameters
    ----------
    policy : Policy
        Its timeouts and its number of connections. The retries are the caller's: boto3 makes none.
    endpoint_url : str, optional
        The address of a server other than Amazon's.
    region : str, optional
        Where the buckets are; by default as the environment says.
    anonymous : bool, optional
        True: never sign. False: never ask unsigned.
    requester_pays : bool
        Agree to be charged for what is fetched.
    """

    condition = "If-Match"

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        anonymous: bool | None = None,
        requester_pays: bool = False,
    ) -> None:
        self._policy = policy or Policy()
        self._endpoint_url = endpoint_url
        self._region = region
        # nobody can be charged for what nobody has signed
        self._anonymous = False if requester_pays and anonymous is None else anonymous
        self._requester_pays = requester_pays
        self._guard = threading.Lock()
        self._clients: dict[bool, Any] = {}

    def __repr__(self) -> str:
        where = redacted(self._endpoint_url) if self._endpoint_url else "S3"
        return f"S3Transport({where!r})"

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_guard", "_clients")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._guard, self._clients = threading.Lock(), {}

    def __enter__(self) -> S3Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a GET request for an address of :func:`s3_url`.

        Of the headers, Range and If-Match are sent; S3 knows no others that matter here.

        Raises
        ------
        Dropped
            No answer; another try may bring one.
        TransferError
            No answer, and no use in trying again.
        """
        parts = urlsplit(url)
        asked: dict[str, Any] = {"Bucket": parts.netloc, "Key": unquote(parts.path).removeprefix("/")}
        if version := parse_qs(parts.query).get("versionId"):
            asked["VersionId"] = version[0]
        for header, name in (("Range", "Range"), ("If-Match", "IfMatch")):
            if header in headers:
                asked[name] = headers[header]
        if self._requester_pays:
            asked["RequestPayer"] = "requester"
        signed = self._anonymous is not True
        answer = self._ask(asked, url, signed=signed)
        if signed and self._anonymous is None and answer.status in _NOT_WELCOME:
            unsigned = self._ask(asked, url, signed=False)
            if unsigned.status not in _NOT_WELCOME:
                self._anonymous = True
                return unsigned
            unsigned.close()
        return answer

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys of all objects whose key begins with ``prefix``, in their order.

        Raises
        ------
        ServerError
            The server said no (``.status``).
        TransferError
            It did not answer, for all the tries there were.
        """
        url = s3_url(bucket, prefix)
        budget = Budget(self._policy, Clock())
        while True:
            try:
                signed = self._anonymous is not True
                try:
                    return self._listed(bucket, prefix, url, signed=signed)
                except ServerError as error:
                    if not signed or self._anonymous is False or error.status not in _NOT_WELCOME:
                        raise
                    return self._listed(bucket, prefix, url, signed=False)
            except (Dropped, ServerError) as error:
                if isinstance(error, ServerError) and error.status < 500 and error.status != 429:
                    raise
                if not budget.failed():
                    if isinstance(error, ServerError):
                        raise
                    raise TransferError(f"{redacted(url)} cannot be listed: {error}.") from None
            budget.wait(None)

    def _listed(self, bucket: str, prefix: str, url: str, *, signed: bool) -> list[str]:
        from botocore.exceptions import BotoCoreError, ClientError

        failure: Exception
        try:
            pages = self._client(signed=signed).get_paginator("list_objects_v2")
            payer = {"RequestPayer": "requester"} if self._requester_pays else {}
            # a page may come without objects, and without saying that it has none
            return [
                str(each["Key"])
                for page in pages.paginate(Bucket=bucket, Prefix=prefix, **payer)
                for each in page.get("Contents", ())
            ]
        except ClientError as error:
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            failure = ServerError(f"{redacted(url)} cannot be listed: the server answered {status}.", status)
        except (BotoCoreError, OSError, ValueError) as error:
            failure = error if isinstance(error, ProjectCacheError) else _translated(error, url)
        raise failure

    def _ask(self, asked: dict[str, Any], url: str, *, signed: bool) -> _S3Answer:
        from botocore.exceptions import BotoCoreError, ClientError

        failure: Exception
        try:
            client = self._client(signed=signed)
            try:
                response = client.get_object(**asked)
            except ClientError as error:
                return _S3Answer(error.response, None)
            return _S3Answer(response, response["Body"])
        except (BotoCoreError, OSError, ValueError) as error:
            failure = error if isinstance(error, ProjectCacheError) else _translated(error, url)
        # raised here, not above: the original's text may hold more than may be shown
        raise failure

    def _client(self, *, signed: bool) -> Any:
        with self._guard:
            if signed not in self._clients:
                self._clients[signed] = self._new_client(signed=signed)
            return self._clients[signed]

    def _new_client(self, *, signed: bool) -> Any:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        session = boto3.Session()
        if signed and self._anonymous is None and session.get_credentials() is None:
            self._anonymous, signed = True, False
        settings: dict[str, Any] = {} if signed else {"signature_version": UNSIGNED}
        config = Config(
            connect_timeout=self._policy.connect_s,
            read_timeout=self._policy.silence_s,
            retries={"total_max_attempts": 1},
            max_pool_connections=max(10, self._policy.connections),
            # some servers send the whole object's checksum with a part of it; there are digests of our own
            response_checksum_validation="when_required",
            **settings,
        )
        return session.client("s3", endpoint_url=self._endpoint_url, region_name=self._region, config=config)


class _S3Answer:
    def __init__(self, response: Mapping[str, Any], body: Any) -> None:
        said = response.get("ResponseMetadata", {})
        self.status = int(said.get("HTTPStatusCode", 0))
        self.headers = {name.lower(): str(value) for name, value in said.get("HTTPHeaders", {}).items()}
        self._body = body

    def blocks(self) -> Iterator[bytes | memoryview]:
        # what boto3 wraps is urllib3's answer, as the web transport has it; without, it is slower by a half
        return iter(()) if self._body is None else received(getattr(self._body, "_raw_stream", self._body))

    def close(self) -> None:
        if self._body is not None:
            self._body.close()


def _translated(error: Exception, url: str) -> Exception:
    """Return our error for one of boto3's, with nothing of its text."""
    from botocore import exceptions as boto

    if isinstance(error, (boto.ConnectTimeoutError, boto.ReadTimeoutError)):
        return Dropped("the server did not answer in time", timeout=True)
    if isinstance(error, boto.SSLError):
        return TransferError(
            f"The certificate of the server of {redacted(url)} could not be verified, so nothing was fetched. If a "
            f"proxy of your institution signs for it, set AWS_CA_BUNDLE to that proxy's CA file."
        )
    if isinstance(error, boto.ProxyConnectionError):
        return Dropped("the proxy (HTTP_PROXY, HTTPS_PROXY) did not let the request through")
    if isinstance(error, (boto.ConnectionError, boto.HTTPClientError, OSError)):
        return Dropped("the connection failed")
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return TransferError(
            f"{redacted(url)} is to be asked for with credentials, and there are none that are whole: set "
            f"AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ask with anonymous=True."
        )
    if isinstance(error, (boto.ParamValidationError, ValueError)):
        return ConfigurationError(
            f"{redacted(url)} cannot be asked for ({type(error).__name__}): check the bucket's name, and the "
            f"endpoint (endpoint_url, AWS_ENDPOINT_URL_S3)."
        )
    return TransferError(
        f"{redacted(url)} cannot be asked for ({type(error).__name__}): check the settings of AWS in the "
        f"environment and in ~/.aws, or ask with anonymous=True."
    )
