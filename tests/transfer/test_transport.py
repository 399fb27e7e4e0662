"""Redirects, credentials, proxies and certificates: what leaves this machine, and to whom."""

from __future__ import annotations

import io
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from project_cache.errors import TransferError
from project_cache.store.part import Part
from project_cache.testing import faults
from project_cache.testing.faults import Fault
from project_cache.testing.server import ObjectServer
from project_cache.transfer.address import after_redirect, redacted, same_origin
from project_cache.transfer.download import download
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import Dropped, WebTransport, received

SECRETS = ("authorization", "cookie", "x-api-key", "proxy-authorization")


def told(server: ObjectServer, path: str) -> set[str]:
    """The secrets that a server was told with its last request for a path."""
    return {name for name in server.requests(path)[-1].headers if name in SECRETS}


def get(url: str, *, session: requests.Session | None = None, **headers: str) -> tuple[int, bytes]:
    with WebTransport(Policy(connect_s=5.0, silence_s=5.0), session) as transport:
        answer = transport.get(url, {name.replace("_", "-"): value for name, value in headers.items()})
        try:
            return answer.status, b"".join(answer.blocks())
        finally:
            answer.close()


def test_a_redirect_on_the_same_host_keeps_credentials(server: ObjectServer, versions: list[bytes]) -> None:
    server.put("/b.nwb", b"there")
    server.misbehave("/a.nwb", faults.redirect("/b.nwb"))
    assert get(server.url("/a.nwb"), Authorization="Bearer x", X_Api_Key="k") == (200, b"there")
    assert told(server, "/b.nwb") == {"authorization", "x-api-key"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_redirect_to_another_host_or_port_takes_nothing_along(server: ObjectServer, host: str) -> None:
    with ObjectServer({"/b.nwb": b"there"}, host=host) as other, requests.Session() as session:
        session.headers["X-Api-Key"] = "k"
        session.auth = ("me", "pw")
        # cookies know no ports: without care, 127.0.0.1's would go along
        session.cookies.set("login", "x")
        server.misbehave("/a.nwb", faults.redirect(other.url("/b.nwb")))
        url = server.url("/a.nwb").replace("//", "//user:pw@")
        assert get(url, session=session, Range="bytes=2-", If_Range="x") == (200, b"there")
        assert told(server, "/a.nwb") == {"authorization", "cookie", "x-api-key"}
        assert told(other, "/b.nwb") == set()
        assert other.log[0].headers["range"] == "bytes=2-"


def test_a_redirect_back_has_credentials_again(server: ObjectServer) -> None:
    with ObjectServer(host="localhost") as other:
        server.put("/b.nwb", b"there")
        other.misbehave("/hop", faults.redirect(server.url("/b.nwb")))
        server.misbehave("/a.nwb", faults.redirect(other.url("/hop")))
        assert get(server.url("/a.nwb"), Authorization="Bearer x") == (200, b"there")


def test_netrc_is_for_its_host_alone(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin me\npassword pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with ObjectServer({"/b.nwb": b"there"}, host="localhost") as other:
        server.misbehave("/a.nwb", faults.redirect(other.url("/b.nwb")))
        get(server.url("/a.nwb"))
        assert told(server, "/a.nwb") == {"authorization"}
        assert told(other, "/b.nwb") == set()


def test_proxies_come_from_the_environment(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url(""))
    server.put("http://data.example/b.nwb", b"by the proxy")
    assert get("http://data.example/b.nwb") == (200, b"by the proxy")


def test_redirects_end(server: ObjectServer) -> None:
    server.misbehave("/a.nwb", faults.redirect("/a.nwb"))
    with pytest.raises(TransferError, match="in a circle"):
        get(server.url("/a.nwb"))
    assert len(server.log) == Policy().redirects + 1


@pytest.mark.parametrize(
    ("url", "location", "words"),
    [
        ("https://h/a", "http://h/b", "without encryption"),
        ("https://h/a", "file:///etc/passwd", "not a web address"),
        ("https://h/a", "javascript:alert(1)", "not a web address"),
        ("https://h/a", "http:///b", "not a web address"),
        ("https://h/a", "https://[bad/b", "not a URL"),
        ("https://h/a", "https://h:port/b", "not a URL"),
    ],
)
def test_redirects_that_are_not_followed(url: str, location: str, words: str) -> None:
    with pytest.raises(TransferError, match=words):
        after_redirect(url, location)


def test_redirects_that_are_followed() -> None:
    assert after_redirect("http://h/a/b", "c?d") == "http://h/a/c?d"
    assert after_redirect("http://h/a/b", "//other/c") == "http://other/c"
    assert after_redirect("http://h/a", "https://h/a") == "https://h/a"


def test_redacted_urls_still_say_which_file() -> None:
    azure = "https://u@h.net/c/a.nwb?sv=2020&sig=S&se=2030"
    assert redacted(azure) == "https://h.net/c/a.nwb?sv=2020&sig=***&se=2030"
    query = "http://h/api?criteria=model::EcephysUnit,rma::options[num_rows$eq5]"
    assert redacted(query) == query
    for secret in (
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "AWSAccessKeyId",
        "Signature",
        "api_key",
        "password",
    ):
        assert "S3cr" not in redacted(f"https://h/a?{secret}=S3cr")
    assert redacted("https://h/a?token") == "https://h/a?token"


def test_origins() -> None:
    assert same_origin("https://h:443/a", "https://h/b")
    assert not same_origin("http://h/a", "http://h:8080/a")
    assert not same_origin("http://h/a", "http://h.evil/a")


def test_a_name_that_nobody_knows_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def unknown(*args: object, **kwargs: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Dropped, match="name is not known"):
        get("http://nowhere.example/a")


def test_certificates_are_verified(
    tmp_path: Path, part: Part, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "own.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += [
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(pem),
        "-out",
        str(tmp_path / "crt.pem"),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl is not there to make a certificate")

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"\x89HDF\r\n\x1a\n!")

        def log_message(self, format: str, *args: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt.pem", pem)
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        server.handle_error = lambda *args: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"https://localhost:{server.server_address[1]}/a.nwb"
            with WebTransport() as transport, pytest.raises(TransferError, match="REQUESTS_CA_BUNDLE"):
                download(url, part, transport=transport, clock=clock)
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "crt.pem"))
            with WebTransport() as transport:
                assert download(url, part, transport=transport, clock=clock).size == 9
        finally:
            server.shutdown()
            thread.join()


def test_a_body_that_breaks_off_is_not_taken_for_whole(server: ObjectServer) -> None:
    server.misbehave("/a.nwb", faults.truncated(10))
    with pytest.raises(Dropped):
        get(server.url("/a.nwb"))
    server.behave()
    server.misbehave("/a.nwb", Fault(no_length=True, cut_at=10))
    assert len(get(server.url("/a.nwb"))[1]) == 10  # nobody can tell; the store's verification does


class KeptOpen(BaseHTTPRequestHandler):
    """A server that does not hang up."""

    protocol_version = "HTTP/1.1"
    body = bytes(range(256)) * 12_000
    came_from: list[int] = []  # noqa: RUF012 - of the class, as the server makes an object for each connection

    def do_GET(self) -> None:
        self.came_from.append(self.client_address[1])
        self.send_response(200)
        if self.path == "/chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(self.body), 100_000):
                block = self.body[start : start + 100_000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(self.body)))
            self.end_headers()
            self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def kept_open() -> Iterator[str]:
    KeptOpen.came_from.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), KeptOpen) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/sized", "/chunks"])
def test_a_body_comes_in_memory_that_is_used_again_and_so_is_its_connection(
    kept_open: str, path: str
) -> None:
    with WebTransport() as transport:
        for _ in range(3):
            answer = transport.get(kept_open + path, {})
            copies, memories, sizes = [], set(), []
            for block in answer.blocks():
                assert isinstance(block, memoryview)
                copies.append(bytes(block))
                memories.add(id(block.obj))
                sizes.append(len(block))
            assert b"".join(copies) == KeptOpen.body
            assert len(memories) == 2
            assert max(sizes) > 4 * sizes[0]  # a fast line is asked for more at once
            answer.close()
    assert len(set(KeptOpen.came_from)) == 1


def test_blocks_that_are_held_stay_as_they_are(kept_open: str) -> None:
    with WebTransport() as transport:
        answer = transport.get(f"{kept_open}/sized", {})
        held = list(answer.blocks())
        assert len({id(block.obj) for block in held if isinstance(block, memoryview)}) == len(held) > 3
        assert b"".join(held) == KeptOpen.body
        answer.close()


def test_without_http_clients_answer_the_bytes_are_the_same() -> None:
    class Raw(io.BytesIO):
        _fp = None

    assert b"".join(received(Raw(KeptOpen.body))) == KeptOpen.body


def test_a_body_that_ends_early_has_dropped(server: ObjectServer) -> None:
    server.misbehave("/a.nwb", faults.truncated(300_000))
    with WebTransport() as transport:
        answer = transport.get(server.url("/a.nwb"), {})
        came: list[int] = []
        with pytest.raises(Dropped):
            came.extend(len(block) for block in answer.blocks())
        answer.close()
    assert sum(came) == 300_000
