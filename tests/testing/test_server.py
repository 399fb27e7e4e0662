"""The misbehaving server, as another lab's tests would use it: with nothing of this package's on the other side."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from project_cache.testing import faults
from project_cache.testing.server import ObjectServer, Served

DATA = bytes(range(256)) * 1000


def ask(
    server: ObjectServer, path: str = "/a", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        try:
            body = answer.read()
        except http.client.IncompleteRead as error:
            body = error.partial
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body
    finally:
        connection.close()


def test_a_good_server() -> None:
    with ObjectServer({"/a": DATA}) as server:
        status, headers, body = ask(server)
        assert (status, body) == (200, DATA)
        etag = headers["etag"]
        assert etag.startswith('"')
        status, headers, body = ask(server, Range="bytes=10-19")
        assert (status, body, headers["content-range"]) == (206, DATA[10:20], f"bytes 10-19/{len(DATA)}")
        assert ask(server, Range="bytes=255990-")[2] == DATA[255990:]
        assert ask(server, Range="bytes=10-", If_Range=etag)[0] == 206
        assert ask(server, Range="bytes=10-", If_Range='"other"')[0] == 200
        assert ask(server, Range=f"bytes={len(DATA)}-")[0] == 416
        status, headers, body = ask(server, method="HEAD")
        assert (status, headers["content-length"], body) == (200, str(len(DATA)), b"")
        assert ask(server, "/other")[0] == 404


def test_weak_etags_make_no_ranges() -> None:
    with ObjectServer({"/a": Served(DATA, etag='W/"1"')}) as server:
        assert ask(server, Range="bytes=10-", If_Range='W/"1"')[0] == 200


def test_files_are_served_from_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(DATA)
    with ObjectServer({"/a": path}) as server:
        assert ask(server, Range="bytes=5-9")[2] == DATA[5:10]


def test_faults_hit_the_requests_that_they_are_meant_for() -> None:
    with ObjectServer({"/a": DATA, "/b": DATA}) as server:
        server.misbehave("/a", faults.status(500), nth=2)
        server.misbehave("/b", faults.status(404), first=2)
        assert [ask(server)[0] for _ in range(3)] == [200, 500, 200]
        assert [ask(server, "/b")[0] for _ in range(3)] == [404, 404, 200]
        server.misbehave(lambda path: True, faults.status(503, retry_after=9))
        assert ask(server)[1]["retry-after"] == "9"
        server.behave()
        assert ask(server)[0] == 200
        assert len(server.requests("/b")) == 3


def test_each_fault_is_what_it_says() -> None:
    def body(fault: faults.Fault, **headers: str) -> bytes:
        server.behave()
        server.misbehave("/a", fault)
        return ask(server, **headers)[2]

    with ObjectServer({"/a": DATA}) as server:
        assert body(faults.truncated(1234)) == DATA[:1234]
        assert server.log[-1].sent == 1234
        assert b"Sign in" in body(faults.html_page())
        assert body(faults.lying_length(-10)) == DATA[:-10]
        assert body(faults.lying_length(10)) == DATA
        assert body(faults.ignored_range(), Range="bytes=10-") == DATA
        assert body(faults.wrong_range(5), Range="bytes=10-") == DATA[15:]
        assert gzip.decompress(body(faults.compressed())) == DATA
        assert body(faults.redirect("/b")) == b""
        with pytest.raises(ConnectionResetError):
            body(faults.reset())
        assert body(faults.changed(b"new")) == b"new"
        server.behave()
        assert ask(server)[2] == b"new"


def test_slow_is_slow() -> None:
    with ObjectServer({"/a": DATA[:20_000]}) as server:
        server.misbehave("/a", faults.slow(100_000))
        begun = time.monotonic()
        assert ask(server)[2] == DATA[:20_000]
        assert time.monotonic() - begun > 0.15


def test_it_stops_at_once_whatever_goes_on() -> None:
    before = threading.active_count()
    with ObjectServer({"/a": DATA}) as server:
        server.misbehave("/a", faults.stalled(100))
        idle = socket.create_connection(("127.0.0.1", server.port))
        stuck = socket.create_connection(("127.0.0.1", server.port))
        stuck.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert stuck.recv(10)
        begun = time.monotonic()
    assert time.monotonic() - begun < 50  # of the 100 s that it stalls
    idle.close()
    stuck.close()
    deadline = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_it_can_run_again() -> None:
    server = ObjectServer({"/a": DATA})
    for _ in range(2):
        with server:
            assert urllib.request.urlopen(server.url("/a")).read() == DATA
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/a")
