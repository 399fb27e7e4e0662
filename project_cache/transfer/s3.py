"""S3, as a transport: requests by boto3, answers like those of any other server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from project_cache.errors import (
    ConfigurationError,
    ContentError,
    ProjectCacheError,
    ServerError,
    TransferError,
)
from project_cache.transfer.address import redacted
from project_cache.transfer.request import ask
from project_cache.transfer.retry import Budget, Clock, Policy
from project_cache.transfer.transport import Answer, Dropped, received

__all__ = ["Listed", "S3Transport", "s3_url"]

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


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing tells.

    Attributes
    ----------
    key : str
        An object's key; or what the keys of several have in common, up to the delimiter.
    size : int, optional
        The object's bytes; None where there are several.
    etag : str, optional
        Its ETag, with quotes.
    """

    key: str
    size: int | None = None
    etag: str | None = None


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
        #: buckets that answer, but not those who sign
        self._unwelcome: set[str] = set()

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
        return self._answer("get_object", url, asked)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys of all objects whose key begins with ``prefix``, in their order."""
        return [each.key for each in self.listing(bucket, prefix)]

    def listing(
        self, bucket: str, prefix: str, *, delimiter: str = "", limit: int | None = None
    ) -> list[Listed]:
        """Return the objects whose key begins with ``prefix``, in the order of the keys.

        Parameters
        ----------
        bucket, prefix : str
            What is listed.
        delimiter : str
            Where one is given, keys in which it follows the prefix are told by what they have in common up to it,
            before the objects of the same page.
        limit : int, optional
            No more are asked for than so many.

        Raises
        ------
        ServerError
            The server said no (``.status``).
        TransferError
            It did not answer, for all the tries there were.
        """
        url = s3_url(bucket, prefix)
        asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
        if delimiter:
            asked["Delimiter"] = delimiter
        if limit is not None:
            asked["MaxKeys"] = limit

        def take(answer: _S3Answer) -> Mapping[str, Any]:
            if answer.status != 200:
                raise ServerError(
                    f"{redacted(url)} cannot be listed: the server answered {answer.status}.", answer.status
                )
            if "html" in answer.headers.get("content-type", ""):
                raise ContentError(f"{redacted(url)} cannot be listed: the server answered with a web page.")
            return answer.response

        found: list[Listed] = []
        while True:
            page = ask(
                lambda: self._answer("list_objects_v2", url, asked),
                take,
                shown=redacted(url),
                budget=Budget(self._policy, Clock()),
            )
            # a page may come without objects, and without saying that it has none
            found += [Listed(str(each["Prefix"])) for each in page.get("CommonPrefixes", ())]
            found += [
                Listed(str(each["Key"]), int(each["Size"]), each.get("ETag"))
                for each in page.get("Contents", ())
            ]
            before, then = asked.get("ContinuationToken"), page.get("NextContinuationToken")
            if not page.get("IsTruncated") or (limit is not None and len(found) >= limit):
                return found
            if then in (None, before):
                raise ContentError(f"{redacted(url)} cannot be listed: the server does not say how to go on.")
            asked["ContinuationToken"] = then

    def _answer(self, operation: str, url: str, asked: Mapping[str, Any]) -> _S3Answer:
        """Return the answer to an operation: signed, or unsigned where signatures are not welcome."""
        bucket = asked["Bucket"]
        payer = {"RequestPayer": "requester"} if self._requester_pays else {}
        signed = self._anonymous is not True and bucket not in self._unwelcome
        answer = self._sent(operation, url, {**asked, **payer}, signed=signed)
        if signed and self._anonymous is None and answer.status in _NOT_WELCOME:
            unsigned = self._sent(operation, url, {**asked, **payer}, signed=False)
            if unsigned.status not in _NOT_WELCOME:
                self._unwelcome.add(bucket)
                return unsigned
            unsigned.close()
        return answer

    def _sent(self, operation: str, url: str, asked: Mapping[str, Any], *, signed: bool) -> _S3Answer:
        from botocore.exceptions import BotoCoreError, ClientError

        failure: Exception
        try:
            client = self._client(signed=signed)
            try:
                return _S3Answer(getattr(client, operation)(**asked))
            except ClientError as error:
                return _S3Answer(error.response)
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
    def __init__(self, response: Mapping[str, Any]) -> None:
        self.response = response
        said = response.get("ResponseMetadata", {})
        self.status = int(said.get("HTTPStatusCode", 0))
        self.headers = {name.lower(): str(value) for name, value in said.get("HTTPHeaders", {}).items()}
        self._body = response.get("Body")

    def blocks(self) -> Iterator[bytes | memoryview]:
        from botocore.exceptions import BotoCoreError

        if self._body is None:
            return
        try:
            # what boto3 wraps is urllib3's answer, as the web transport has it
            yield from received(getattr(self._body, "_raw_stream", self._body))
        except BotoCoreError:
            raise Dropped("the connection broke off") from None

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
