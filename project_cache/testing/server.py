"""An HTTP server on this machine that serves objects well, and badly when told to.

>>> from project_cache.testing.faults import status
>>> from urllib.request import urlopen
>>> with ObjectServer({"/a.bin": b"12345"}) as server:
...     server.misbehave("/a.bin", status(503), nth=2)
...     urlopen(server.url("/a.bin")).read()
b'12345'
>>> server.log
[Exchange(path='/a.bin', status=200, sent=5)]
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from project_cache.testing.faults import Fault

__all__ = ["Exchange", "ObjectServer", "Served"]

_BLOCK = 64 << 10
#: SO_LINGER: throw away what was not sent, and reset
_AT_ONCE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """An object as a server has it.

    Parameters
    ----------
    data : bytes or pathlib.Path
        Its bytes, or the file that they are in.
    content_type : str
        What the server says that it is.
    etag : str, optional
        Default: made from the bytes, or from the file's size and time. Empty: the server gives none.
    """

    data: bytes | Path
    content_type: str = "application/octet-stream"
    etag: str | None = None

    @property
    def size(self) -> int:
        """How many bytes."""
        return len(self.data) if isinstance(self.data, bytes) else self.data.stat().st_size

    @property
    def validator(self) -> str:
        """The ETag."""
        if self.etag is not None:
            return self.etag
        if isinstance(self.data, bytes):
            return f'"{hashlib.sha256(self.data).hexdigest()[:20]}"'
        status = self.data.stat()
        return f'"{status.st_size:x}-{status.st_mtime_ns:x}"'

    def open(self) -> BinaryIO:
        """Return the bytes as a file."""
        return io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data.open("rb")


@dataclasses.dataclass(slots=True)
class Exchange:
    """A request that was made, and what became of it.

    Attributes
    ----------
    path : str
        With its query, as it was sent.
    headers : dict
        The request's, names in lower case.
    status : int
        What was answered; 0 where the connection was closed without a word.
    sent : int
        How many bytes of a body were handed to the network.
    """

    path: str
    headers: dict[str, str] = dataclasses.field(repr=False)
    status: int = 0
    sent: int = 0


@dataclasses.dataclass(slots=True)
class _Rule:
    matches: Callable[[str], bool]
    fault: Fault
    first: int
    last: int | None
    seen: int = 0

    def fires(self) -> bool:
        """Count a request; return whether this one is hit."""
        self.seen += 1
        return self.first <= self.seen and (self.last is None or self.seen <= self.last)


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away in the middle are what this server is for."""


class ObjectServer:
    """A server on loopback, in threads of this process; it runs inside its ``with`` block.

    Ranges, If-Range and strong ETags are answered as RFC 9110 says, unless a fault says otherwise. Connections are
    closed after each answer.

    Parameters
    ----------
    objects : mapping or callable, optional
        Bytes, files or :class:`Served` by path (``"/a.nwb"``); or what returns the object for a path with its query,
        None where there is none.
    host : str
        The name that it goes by in :meth:`url`; ``"localhost"`` is another host than ``"127.0.0.1"`` to cookies
        and credentials.

    Attributes
    ----------
    log : list of Exchange
        All requests so far.
    """

    def __init__(
        self,
        objects: Mapping[str, bytes | Path | Served] | Callable[[str], Served | None] | None = None,
        *,
        host: str = "127.0.0.1",
    ) -> None:
        self.log: list[Exchange] = []
        self.host = host
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._objects: dict[str, Served] = {}
        self._find: Callable[[str], Served | None] = self._objects.get
        if callable(objects):
            self._find = objects
        else:
            for path, data in (objects or {}).items():
                self.put(path, data)
        self._server: _Threads | None = None
        self._thread: threading.Thread | None = None
        self._open: set[socket.socket] = set()
        self.stopping = threading.Event()

    def __enter__(self) -> ObjectServer:
        self.stopping.clear()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Threads(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 2.0
        while self._open and time.monotonic() < deadline:
            time.sleep(0.002)
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None, "the server runs inside its with block"
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    def url(self, path: str = "/") -> str:
        """Return the address of an object."""
        return f"http://{self.address}{path}"

    def put(self, path: str, data: bytes | Path | Served) -> None:
        """Serve an object at ``path``, from now on."""
        self._objects[path] = data if isinstance(data, Served) else Served(data)

    def misbehave(
        self,
        path: str | Callable[[str], bool],
        fault: Fault,
        *,
        nth: int | None = None,
        first: int | None = None,
    ) -> None:
        """Answer with a fault.

        Parameters
        ----------
        path : str or callable
            Of which object; or what returns whether a path with its query is meant.
        fault : Fault
            One of :mod:`project_cache.testing.faults`.
        nth, first : int, optional
            Only the n-th request for it from now on, or only the first so many. Default: all. Of several faults
            that are due, the one that was named first is taken.
        """
        matches = path if callable(path) else path.__eq__
        low, high = (nth, nth) if nth is not None else (1, first)
        with self._lock:
            self._rules.append(_Rule(matches, fault, low, high))

    def behave(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._rules.clear()

    def requests(self, path: str) -> list[Exchange]:
        """Return the requests for one object so far."""
        return [each for each in self.log if each.path == path]

    @property
    def sent(self) -> int:
        """How many bytes of bodies went out in all."""
        return sum(each.sent for each in self.log)

    def _begin(self, path: str, headers: dict[str, str]) -> tuple[Exchange, Fault]:
        exchange = Exchange(path, {name.lower(): value for name, value in headers.items()})
        with self._lock:
            self.log.append(exchange)
            due = [rule.fault for rule in self._rules if rule.matches(path) and rule.fires()]
        fault = due[0] if due else Fault()
        if fault.replace is not None:
            self.put(path, fault.replace)
        return exchange, fault


@dataclasses.dataclass(slots=True)
class _Reply:
    """An answer that is ready to be sent."""

    status: int
    headers: dict[str, str]
    body: BinaryIO
    start: int
    length: int


class _Handler(BaseHTTPRequestHandler):
    owner: ObjectServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self) -> None:
        with self.owner._lock:
            self.owner._open.add(self.request)
        super().setup()

    def finish(self) -> None:
        try:
            with contextlib.suppress(OSError):
                super().finish()
        finally:
            with self.owner._lock:
                self.owner._open.discard(self.request)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the log is the owner's."""

    def do_HEAD(self) -> None:  # noqa: N802
        self._answer(with_body=False)

    def do_GET(self) -> None:  # noqa: N802
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.close_connection = True
        exchange, fault = self.owner._begin(self.path, dict(self.headers.items()))
        served = self.owner._find(self.path)
        reply = _reply(served, fault, exchange.headers)
        with contextlib.closing(reply.body):
            if fault.stall_at is not None and fault.stall_at < 0:
                self.owner.stopping.wait(fault.stall_s)
                return
            if fault.reset_at == 0:
                self._reset()
                return
            exchange.status = reply.status
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self._send_body(reply, fault, exchange)

    def _send_body(self, reply: _Reply, fault: Fault, exchange: Exchange) -> None:
        ends = [at for at in (fault.cut_at, fault.reset_at, fault.stall_at) if at is not None]
        for block in _blocks(reply, min([*ends, reply.length]), fault.bytes_per_second):
            exchange.sent += len(block)
            self.wfile.write(block)
            self.wfile.flush()
            if fault.bytes_per_second and self.owner.stopping.wait(len(block) / fault.bytes_per_second):
                return
        if fault.stall_at is not None:
            self.owner.stopping.wait(fault.stall_s)
        elif fault.reset_at is not None and fault.reset_at <= reply.length:
            self._reset()

    def _reset(self) -> None:
        # what was sent must be there before the reset, or the kernel throws it away
        time.sleep(0.02)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.connection.close()


def _blocks(reply: _Reply, length: int, bytes_per_second: float | None) -> Iterator[bytes]:
    reply.body.seek(reply.start)
    size = _BLOCK if bytes_per_second is None else max(1, min(_BLOCK, int(bytes_per_second / 20)))
    while length > 0:
        block = reply.body.read(min(size, length))
        if not block:
            return
        length -= len(block)
        yield block


def _reply(served: Served | None, fault: Fault, asked: Mapping[str, str]) -> _Reply:
    """Return the answer to a request: the right one, but for the fault."""
    if fault.body is not None or fault.status:
        body = fault.body or b""
        headers = {"Content-Type": fault.content_type or "text/plain"}
        reply = _Reply(fault.status or 200, headers, io.BytesIO(body), 0, len(body))
    elif served is None:
        reply = _Reply(404, {"Content-Type": "text/plain"}, io.BytesIO(b"no such object\n"), 0, 15)
    else:
        reply = _object_reply(served, fault, asked)
    if fault.gzip:
        with reply.body as body_file:
            body_file.seek(reply.start)
            packed = gzip.compress(body_file.read(reply.length), mtime=0)
        reply.body, reply.start, reply.length = io.BytesIO(packed), 0, len(packed)
        reply.headers["Content-Encoding"] = "gzip"
    if not fault.no_length:
        reply.headers["Content-Length"] = str(reply.length + fault.length_off)
    reply.headers["Connection"] = "close"
    for name, value in fault.headers:
        reply.headers[name] = value
    reply.headers = {name: value for name, value in reply.headers.items() if value}
    return reply


def _object_reply(served: Served, fault: Fault, asked: Mapping[str, str]) -> _Reply:
    size = served.size
    etag = served.validator if fault.etag is None else fault.etag
    headers = {"Content-Type": served.content_type, "Accept-Ranges": "bytes", "ETag": etag}
    start, end = 0, size
    found = _RANGE.fullmatch(asked.get("range", ""))
    same = fault.ignore_if_range or asked.get("if-range") in (None, etag if _is_strong(etag) else "")
    if found is None or fault.whole or not same:
        return _Reply(200, headers, served.open(), 0, size)
    start = int(found[1])
    end = min(size, int(found[2]) + 1) if found[2] else size
    if start >= size or end <= start:
        headers["Content-Range"] = f"bytes */{size}"
        return _Reply(416, headers, io.BytesIO(b""), 0, 0)
    start = min(start + fault.range_off, end - 1)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return _Reply(206, headers, served.open(), start, end - start)


def _is_strong(etag: str) -> bool:
    return etag.startswith('"')
