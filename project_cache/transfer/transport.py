"""The web: one request and its answer. Tests swap this, and nothing else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from project_cache._version import __version__
from project_cache.errors import TransferError
from project_cache.transfer.address import after_redirect, redacted, same_origin
from project_cache.transfer.retry import Policy

if TYPE_CHECKING:
    import requests

__all__ = ["Answer", "Dropped", "Transport", "WebTransport", "received"]

#: what is asked of a body at once: little on a slow line, as a drop may take it along, and more on a fast one
_LEAST, _MOST = 32 << 10, 1 << 20
#: seconds that a block should take, at least and at most
_SHORT_S, _LONG_S = 0.005, 0.05
_REDIRECTS = {301, 302, 303, 307, 308}
#: what goes to another host than the one that was meant; credentials and cookies are not among it
_HARMLESS = {"accept", "accept-encoding", "connection", "if-range", "range", "user-agent"}


class Dropped(Exception):  # noqa: N818
    """The line failed; another try may go better. The text says how, without any URL."""

    def __init__(self, reason: str, *, timeout: bool = False) -> None:
        super().__init__(reason)
        self.timeout = timeout


class Answer(Protocol):
    """An answer whose body has not been read yet."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case."""

    def blocks(self) -> Iterator[bytes | memoryview]:
        """Yield the body as it arrives, not decoded; raise Dropped where it ends too early.

        A block stays as it is for as long as somebody holds it.
        """

    def close(self) -> None:
        """Let go of the connection."""


class Transport(Protocol):
    """What makes requests; from several threads at once.

    Attributes
    ----------
    condition : {"If-Range", "If-Match"}
        The header by which a part is bound to a version (:class:`~project_cache.transfer.plan.Asked`).
    """

    condition: str

    def __enter__(self) -> Transport:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what is open."""

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a GET request, redirects followed.

        Raises
        ------
        Dropped
            No answer; another try may bring one.
        TransferError
            No answer, and no use in trying again.
        """


class WebTransport:
    """Requests by the ``requests`` library: proxies, CA bundles and netrc as the environment has them.

    Certificates are verified. Redirects are followed one by one: to another host (or port, or scheme) go no
    credentials, cookies or headers of the user's own, and from https to http goes nothing.

    Parameters
    ----------
    policy : Policy
        Its timeouts and its number of redirects.
    session : requests.Session, optional
        With the user's own headers or credentials; it is not closed here.
    """

    condition = "If-Range"

    def __init__(self, policy: Policy | None = None, session: requests.Session | None = None) -> None:
        self._policy = policy or Policy()
        self._own = session is None
        self._session = session
        self._guard = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        # connections are not taken along, to another process or to a copy
        return {**self.__dict__, "_guard": None, "_session": None if self._own else self._session}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._guard = threading.Lock()

    def __enter__(self) -> WebTransport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own and self._session is not None:
            self._session.close()
            self._session = None

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a GET request, redirects followed."""
        target = url
        for _ in range(self._policy.redirects + 1):
            answer = self._send(target, headers, foreign=target is not url and not same_origin(url, target))
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            answer.close()
            target = after_redirect(target, location)
        if not self._policy.redirects:
            raise TransferError(
                f"{redacted(url)} redirects to {redacted(target)}, and was to be had from where it was asked for. Give that "
                f"address, if it is the right one."
            )
        raise TransferError(
            f"{redacted(url)} redirects in a circle ({self._policy.redirects} times); the server is misconfigured."
        )

    def _begun(self) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter

        with self._guard:
            if self._session is None:
                self._session = requests.Session()
                # as many as a transfer may have, kept for the next piece
                adapter = HTTPAdapter(pool_maxsize=max(10, self._policy.connections))
                self._session.mount("http://", adapter)
                self._session.mount("https://", adapter)
            return self._session

    def _send(self, url: str, headers: Mapping[str, str], *, foreign: bool) -> _WebAnswer:
        import requests

        session = self._begun()
        failure: Exception
        try:
            own = {"User-Agent": f"project-cache/{__version__}", "Accept": "*/*", **headers}
            prepared = session.prepare_request(requests.Request("GET", url, headers=own))
            if foreign:
                for name in [n for n in prepared.headers if n.lower() not in _HARMLESS]:
                    del prepared.headers[name]
            settings = session.merge_environment_settings(prepared.url, {}, True, None, None)
            response = session.send(
                prepared,
                timeout=(self._policy.connect_s, self._policy.silence_s),
                allow_redirects=False,
                **settings,
            )
            return _WebAnswer(response)
        except (requests.RequestException, OSError, ValueError) as error:
            failure = _translated(error, url)
        # raised here, not above: the original's text holds the URL with all its secrets, and would be shown
        raise failure


class _WebAnswer:
    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    def blocks(self) -> Iterator[memoryview]:
        return received(self._response.raw)

    def close(self) -> None:
        self._response.close()


class _Memory:
    """Memory for blocks, which is used again as soon as nobody holds a view of it any longer.

    New pages for every block would cost more than receiving into them.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._buffers: list[bytearray] = []

    def free(self) -> bytearray:
        """Return a buffer that nobody looks at."""
        for buffer in self._buffers:
            try:
                buffer.append(0)  # Python refuses while there is a view
            except BufferError:
                continue
            del buffer[-1]
            return buffer
        buffer = bytearray(self._size + 1)
        del buffer[-1]
        self._buffers.append(buffer)
        return buffer


def received(raw: Any) -> Iterator[memoryview]:
    """Yield the body of an answer of urllib3's as it arrives, not decoded.

    It is http.client's answer that is read here, which urllib3 holds: its own ``readinto`` makes a copy.

    Raises
    ------
    Dropped
        The body ends too early.
    """
    from http.client import HTTPException, HTTPResponse

    import urllib3

    answer: Any = getattr(raw, "_fp", None)
    body: Any = answer if hasattr(answer, "readinto") else raw
    size = min(_MOST, getattr(answer, "length", None) or _MOST)
    memory = _Memory(size)
    amount = min(_LEAST, size)
    while True:
        reason = None
        buffer = memory.free()
        began = time.monotonic()
        try:
            with memoryview(buffer) as whole, whole[:amount] as view:
                count = body.readinto(view)
        except (TimeoutError, urllib3.exceptions.ReadTimeoutError):
            reason = Dropped("no byte came for too long", timeout=True)
        except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            reason = Dropped(_words(error) or "the connection broke off")
        if reason is None and not count and getattr(body, "length", None):
            reason = Dropped("the connection broke off")
        if reason is not None:
            raise reason
        seconds = time.monotonic() - began
        if isinstance(answer, HTTPResponse) and answer.isclosed():
            raw.release_conn()  # all is here: the connection is the next request's
        if not count:
            return
        yield memoryview(buffer)[:count]
        if seconds < _SHORT_S:
            amount = min(2 * amount, size)
        elif seconds > _LONG_S:
            amount = max(amount // 2, min(_LEAST, size))


def _translated(error: Exception, url: str) -> Exception:
    """Return our error for one of requests', with nothing of its text."""
    import requests

    if isinstance(error, requests.Timeout):
        return Dropped("the server did not answer in time", timeout=True)
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return TransferError(
            f"The certificate of {redacted(url)} could not be verified, so nothing was fetched. If a proxy of "
            f"your institution signs for it, set REQUESTS_CA_BUNDLE to that proxy's CA file."
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return Dropped(
            "the proxy (HTTP_PROXY, HTTPS_PROXY) did not let the request through" + _because(error)
        )
    if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        return Dropped("the connection failed" + _because(error))
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return Dropped("the connection failed" + _because(error))
    return TransferError(f"{redacted(url)} cannot be asked for: {type(error).__name__}. Check the address.")


def _because(error: BaseException) -> str:
    words = _words(error)
    return f": {words}" if words else ""


def _words(error: BaseException) -> str:
    """Return what the operating system said, somewhere inside an error; empty if it said nothing."""
    queue: list[object] = [error]
    for _ in range(40):
        if not queue:
            break
        each = queue.pop(0)
        if isinstance(each, socket.gaierror):
            return "the host's name is not known (no network?)"
        if type(each).__module__ == "builtins" and isinstance(each, OSError) and each.strerror:
            return each.strerror.lower()
        if isinstance(each, BaseException):
            queue += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    return ""
