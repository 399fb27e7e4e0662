"""What a user gets from a server that goes wrong: the right bytes, or one clear error."""

from __future__ import annotations

import dataclasses
import random
import socket
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from project_cache.errors import (
    ContentError,
    ServerError,
    TransferError,
    TransferTimeoutError,
)
from project_cache.sources.base import Filled
from project_cache.store.journal import Journal
from project_cache.store.part import Part
from project_cache.testing import faults
from project_cache.testing.faults import Fault
from project_cache.testing.server import ObjectServer, Served
from project_cache.transfer.download import download, read
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import WebTransport

QUICK = Policy(tries=4, silence_s=0.3, connect_s=5.0, worth=32 << 10)


def fetch(url: str, part: Part, clock: Clock, policy: Policy = QUICK, **more: Any) -> Filled:
    with WebTransport(policy) as transport:
        return download(url, part, transport=transport, expect="binary", policy=policy, clock=clock, **more)


def bytes_of(part: Part) -> bytes:
    part.close()
    return part.path.read_bytes()


def test_a_good_server_is_asked_once(
    server: ObjectServer, part: Part, clock: Clock, versions: list[bytes], naps: list[float]
) -> None:
    seen: list[tuple[int, int | None]] = []
    filled = fetch(server.url("/a.nwb"), part, clock, progress=lambda done, total: seen.append((done, total)))
    assert bytes_of(part) == versions[0]
    assert filled == Filled(server.url("/a.nwb"), len(versions[0]), Served(versions[0]).validator)
    assert [each.status for each in server.log] == [200]
    assert server.log[0].headers["accept-encoding"] == "identity"
    assert "range" not in server.log[0].headers
    assert seen[0] == (0, len(versions[0]))
    assert seen[-1] == (len(versions[0]), len(versions[0]))
    assert naps == []


HEALED = {
    # name: (fault, answers' statuses, most bytes sent as a share of the object)
    "truncated": (faults.truncated(600_000), [200, 206], 1.1),
    "reset": (faults.reset(300_000), [200, 206], 1.4),
    "reset at once": (faults.reset(0), [0, 200], 1.1),
    "stalled": (faults.stalled(600_000), [200, 206], 1.5),  # of the block that does not end, nothing is kept
    "silent": (faults.stalled(-1), [0, 200], 1.1),
    "500": (faults.status(500), [500, 200], 1.1),
    "503": (faults.status(503, retry_after=7), [503, 200], 1.1),
    "429": (faults.status(429), [429, 200], 1.1),
    "408": (faults.status(408), [408, 200], 1.1),
    "slow": (faults.slow(4_000_000), [200], 1.1),
    "length too long": (faults.lying_length(100), [200, 416, 200], 2.1),
    "compressed": (faults.compressed(), [200], 1.1),
    "no length": (Fault(no_length=True), [200], 1.1),
    "part in place of all": (Fault(headers=(("Content-Range", "bytes 5-10/99"),)), [200, 200], 2.1),
    "truncated, compressed": (Fault(gzip=True, cut_at=500_000), [200, 200], 1.6),
    "wrong Content-Encoding": (Fault(headers=(("Content-Encoding", "gzip"),)), [200, 200], 2.1),
}


@pytest.mark.parametrize("name", HEALED)
def test_one_fault_is_healed(
    name: str, server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    fault, statuses, share = HEALED[name]
    server.misbehave("/a.nwb", fault, first=1)
    fetch(server.url("/a.nwb"), part, clock)
    assert bytes_of(part) == versions[0]
    assert [each.status for each in server.log] == statuses
    assert server.sent <= share * len(versions[0])


def test_the_rest_is_asked_for_bound_to_the_etag(
    server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    server.misbehave("/a.nwb", faults.truncated(600_000), first=1)
    fetch(server.url("/a.nwb"), part, clock)
    assert server.log[1].headers["range"] == "bytes=600000-"
    assert server.log[1].headers["if-range"] == Served(versions[0]).validator
    assert server.sent < 1.1 * len(versions[0])


SECOND = {
    # what goes wrong with the request for the rest: (fault, statuses)
    "range ignored": (faults.ignored_range(), [200, 200]),
    "wrong range": (faults.wrong_range(), [200, 206, 200]),
    "other range said, right one sent": (
        Fault(headers=(("Content-Range", "bytes 0-399999/1000000"),)),
        [200, 206, 200],
    ),
    "no Content-Range": (Fault(headers=(("Content-Range", ""),)), [200, 206, 200]),
    "another size": (
        Fault(headers=(("Content-Range", "bytes 600000-999999/2000000"),)),
        [200, 206, 200],
    ),
    "no ETag": (Fault(etag=""), [200, 200]),
    "part without ETag": (Fault(headers=(("ETag", ""),)), [200, 206, 200]),
    "416": (faults.status(416), [200, 416, 200]),
    "length of the part lies": (faults.lying_length(-7), [200, 206, 200]),
    "compressed part": (faults.compressed(), [200, 206, 200]),
    "truncated again": (faults.truncated(300_000), [200, 206, 206]),
    "later": (faults.status(503), [200, 503, 206]),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_fault_in_the_rest_is_healed(
    name: str, server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    fault, statuses = SECOND[name]
    server.misbehave("/a.nwb", faults.truncated(600_000), nth=1)
    server.misbehave("/a.nwb", fault, nth=2)
    fetch(server.url("/a.nwb"), part, clock)
    assert bytes_of(part) == versions[0]
    assert [each.status for each in server.log] == statuses


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_an_object_that_changes_meanwhile_begins_anew(
    heeds_if_range: bool, server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    server.misbehave("/a.nwb", faults.truncated(600_000), nth=1)
    server.misbehave("/a.nwb", Fault(replace=versions[1], ignore_if_range=not heeds_if_range), nth=2)
    filled = fetch(server.url("/a.nwb"), part, clock)
    assert bytes_of(part) == versions[1]
    assert filled.validator == Served(versions[1]).validator
    assert [each.status for each in server.log] == ([200, 200] if heeds_if_range else [200, 206, 200])


@pytest.mark.parametrize("etag", ['W/"weak"', "", "unquoted"])
def test_without_a_strong_etag_nothing_is_resumed(
    etag: str, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    with ObjectServer({"/a.nwb": Served(versions[0], etag=etag)}) as server:
        server.misbehave("/a.nwb", faults.truncated(600_000), first=1)
        fetch(server.url("/a.nwb"), part, clock)
    assert bytes_of(part) == versions[0]
    assert [each.headers.get("range") for each in server.log] == [None, None]


ERRORS = {
    # name: (fault, error, requests, words)
    "web page": (faults.html_page("Sign in"), ContentError, 1, "a web page ('Sign in')"),
    "JSON": (Fault(body=b'{"error": "gone"}'), ContentError, 1, "a JSON message"),
    "plain text": (Fault(body=b"Service unavailable\n"), ContentError, 1, "plain text"),
    "nothing": (Fault(body=b""), ContentError, 1, "nothing at all"),
    "404": (faults.status(404), ServerError, 1, "answered 404"),
    "403": (faults.status(403), ServerError, 1, "answered 403"),
    "416": (faults.status(416), ServerError, 1, "answered 416"),
    "204": (faults.status(204), ServerError, 1, "answered 204"),
    "304": (faults.status(304), ServerError, 1, "answered 304"),
    "500": (faults.status(500), ServerError, 4, "answered 500"),
    "503": (faults.status(503, retry_after=1), ServerError, 4, "answered 503"),
    "reset": (faults.reset(0), TransferError, 4, "connection"),
    "silent": (faults.stalled(-1), TransferTimeoutError, 4, "in time"),
    "loop": (faults.redirect("/a.nwb"), TransferError, 11, "circle"),
    "file": (faults.redirect("file:///etc/passwd"), TransferError, 1, "not a web address"),
    "no location": (faults.status(302), ServerError, 1, "answered 302"),
    "brotli": (Fault(headers=(("Content-Encoding", "br"),)), ContentError, 1, "encoded as 'br'"),
    "length too long": (faults.lying_length(100), ContentError, 4, "promised 1000100 bytes"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_lasting_fault_is_one_clear_error(
    name: str, server: ObjectServer, part: Part, clock: Clock
) -> None:
    fault, kind, requests, words = ERRORS[name]
    server.misbehave("/a.nwb", fault)
    with pytest.raises(TransferError) as caught:
        fetch(server.url("/a.nwb"), part, clock)
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert server.url("/a.nwb") in str(caught.value)
    assert len(server.log) == requests
    if kind is ContentError and requests == 1:
        assert not part.path.exists()
    if isinstance(caught.value, ServerError) and fault.status:
        assert caught.value.status == fault.status


def test_a_web_page_does_not_cost_what_is_there(
    server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    server.misbehave("/a.nwb", faults.truncated(600_000), nth=1)
    server.misbehave("/a.nwb", faults.html_page(), nth=2)
    with pytest.raises(ContentError):
        fetch(server.url("/a.nwb"), part, clock)
    assert part.position == 600_000
    fetch(server.url("/a.nwb"), part, clock)
    assert bytes_of(part) == versions[0]
    assert server.sent < 1.1 * len(versions[0])


def test_retry_after_is_waited(server: ObjectServer, part: Part, clock: Clock, naps: list[float]) -> None:
    server.misbehave("/a.nwb", faults.status(503, retry_after=7), nth=1)
    # 1,000,000,000 s after 1970 and a minute
    server.misbehave("/a.nwb", faults.status(503, retry_after="Sun, 09 Sep 2001 01:47:40 GMT"), nth=2)
    server.misbehave("/a.nwb", faults.status(503, retry_after=86_400), nth=3)
    fetch(server.url("/a.nwb"), part, clock)
    assert naps == pytest.approx([7.5, 60.5, 300.5])


def test_waits_grow_and_are_drawn(server: ObjectServer, part: Part, naps: list[float]) -> None:
    server.misbehave("/a.nwb", faults.status(502), first=3)
    fetch(server.url("/a.nwb"), part, Clock(sleep=naps.append, draw=lambda: 0.5))
    assert naps == [0.25, 0.5, 1.0]


def test_tries_are_good_again_while_bytes_arrive(
    server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    server.misbehave("/a.nwb", faults.truncated(70_000), first=14)
    fetch(server.url("/a.nwb"), part, clock, dataclasses.replace(QUICK, tries=2))
    assert bytes_of(part) == versions[0]
    assert len(server.log) == 15
    assert server.sent < 1.1 * len(versions[0])


def test_dropping_for_ever_what_cannot_be_resumed_ends(
    part: Part, clock: Clock, versions: list[bytes]
) -> None:
    with ObjectServer({"/a.nwb": Served(versions[0], etag="")}) as server:
        server.misbehave("/a.nwb", faults.truncated(600_000))
        with pytest.raises(TransferError, match=r"gave up after 4 requests.*Try again later"):
            fetch(server.url("/a.nwb"), part, clock)


def test_changing_for_ever_ends(
    server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    for n in range(1, 30):
        server.misbehave("/a.nwb", Fault(replace=versions[n % 2], cut_at=600_000), nth=n)
    with pytest.raises(TransferError, match=r"gave up after 4 requests"):
        fetch(server.url("/a.nwb"), part, clock)


def test_too_slow_for_too_long_is_given_up(server: ObjectServer, part: Part) -> None:
    ticks = iter(range(0, 10_000_000, 400))
    server.misbehave("/a.nwb", faults.slow(1_000_000))
    policy = dataclasses.replace(QUICK, worth=1 << 30, patience_s=1200.0)
    with pytest.raises(TransferTimeoutError, match=r"too slowly.*goes on where"):
        fetch(server.url("/a.nwb"), part, Clock(now=lambda: float(next(ticks)), sleep=lambda _: None), policy)
    assert len(server.log) == 1


def test_slow_but_moving_is_never_stopped(server: ObjectServer, part: Part, versions: list[bytes]) -> None:
    # each look at the clock is 400 s later: AllenSDK's 1,200 s for the whole file are over in no time
    ticks = iter(range(0, 10_000_000, 400))
    server.misbehave("/a.nwb", faults.slow(4_000_000))
    policy = dataclasses.replace(QUICK, worth=1, patience_s=1200.0)
    fetch(server.url("/a.nwb"), part, Clock(now=lambda: float(next(ticks)), sleep=lambda _: None), policy)
    assert bytes_of(part) == versions[0]


def test_ctrl_c_leaves_what_can_be_gone_on_with(
    server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done > 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url("/a.nwb"), part, clock, progress=interrupt)
    journal = Journal.read(part.path.with_suffix(".journal"))
    assert journal is not None
    assert journal.front == part.position > 200_000
    assert journal.validator == Served(versions[0]).validator
    fetch(server.url("/a.nwb"), part, clock)
    assert bytes_of(part) == versions[0]
    assert server.log[1].headers["range"] == f"bytes={journal.front}-"


def test_a_whole_part_is_not_asked_for_again(
    server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    first = fetch(server.url("/a.nwb"), part, clock)
    assert fetch(server.url("/a.nwb"), part, clock) == first
    assert len(server.log) == 1


def test_a_part_from_elsewhere_begins_anew(
    server: ObjectServer, part: Part, clock: Clock, versions: list[bytes]
) -> None:
    part.restart(
        origin="http://elsewhere/a.nwb", validator=Served(versions[0]).validator, size=len(versions[0])
    )
    part.write(b"other bytes")
    fetch(server.url("/a.nwb"), part, clock)
    assert bytes_of(part) == versions[0]
    assert "range" not in server.log[0].headers


def test_content_is_always_one_version(versions: list[bytes], clock: Clock, part: Part) -> None:
    """Whatever goes wrong, in whatever order: bytes of one version, or an error."""
    chance = random.Random(7)
    policy = dataclasses.replace(QUICK, tries=5)
    outcomes = []
    for _ in range(40):
        with ObjectServer({"/a.nwb": versions[0]}) as server:
            for n in range(1, 6):
                kind = chance.randrange(8)
                server.misbehave(
                    "/a.nwb",
                    Fault(
                        cut_at=chance.randrange(1_000_000) if chance.random() < 0.7 else None,
                        replace=versions[chance.randrange(3)] if chance.random() < 0.4 else None,
                        ignore_if_range=chance.random() < 0.5,
                        whole=kind == 0,
                        range_off=10 if kind == 1 else 0,
                        gzip=kind == 2,
                        length_off=50 if kind == 3 else 0,
                        etag='W/"w"' if kind == 4 else None,
                        status=503 if kind == 5 else 0,
                    ),
                    nth=n,
                )
            try:
                fetch(server.url("/a.nwb"), part, clock, policy)
            except TransferError:
                outcomes.append("error")
            else:
                outcomes.append("good")
                assert bytes_of(part) in versions
        part.discard()
        part = Part(part.final)
    part.discard()
    assert outcomes.count("good") >= 30


def test_secrets_are_never_told(server: ObjectServer, part: Part, clock: Clock) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{closed.getsockname()[1]}"
        secret = "/a.nwb?X-Amz-Signature=SECRET&token=SECRET"
        server.misbehave(lambda path: "n=2" in path, faults.redirect(f"http://me:SECRET@{dead}{secret}"))
        for url in (
            f"http://me:SECRET@{dead}{secret}",
            f"http://me:SECRET@{server.address}{secret}",
            f"http://me:SECRET@{server.address}{secret}&n=2",
            f"http://me:SECRET@[bad{secret}",
            f"ftp://me:SECRET@h{secret}",
        ):
            with pytest.raises(TransferError) as caught:
                fetch(url, part, clock)
            assert "SECRET" not in "".join(traceback.format_exception(caught.value))
            assert caught.value.__context__ is None or "SECRET" not in str(caught.value.__context__)


def test_no_network_is_said_in_words(part: Part, clock: Clock) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a.nwb"
        with pytest.raises(TransferError, match=r"connection refused \(gave up after 4 requests"):
            fetch(url, part, clock)


@dataclasses.dataclass
class _Said:
    """An answer that no server's library would let through."""

    headers: Mapping[str, str]
    data: list[bytes]
    status: int = 200

    def blocks(self) -> Iterator[bytes]:
        yield from self.data

    def close(self) -> None:
        pass


class _Wire(WebTransport):
    def __init__(self, *answers: _Said) -> None:
        super().__init__()
        self.answers = list(answers)

    def get(self, url: str, headers: Mapping[str, str]) -> _Said:
        return self.answers.pop(0)


def test_more_bytes_than_promised_is_an_error(part: Part, clock: Clock) -> None:
    wire = _Wire(_Said({"content-length": "600", "etag": '"a"'}, [b"\x89" * 600, b"\x89" * 5]))
    with pytest.raises(ContentError, match="more bytes than the 600"):
        download("http://h/a.nwb", part, transport=wire, expect="binary", clock=clock)


def test_a_part_that_is_sent_in_parts_is_put_together(
    part: Part, clock: Clock, versions: list[bytes]
) -> None:
    data = versions[0][:3000]
    wire = _Wire(
        _Said({"content-length": "3000", "etag": '"a"'}, [data[:1000]]),
        _Said({"content-range": "bytes 1000-1999/3000", "etag": '"a"'}, [data[1000:2000]], 206),
        _Said({"content-range": "bytes 2000-2999/*", "etag": '"a"'}, [data[2000:]], 206),
    )
    download("http://h/a.nwb", part, transport=wire, expect="binary", clock=clock)
    assert bytes_of(part) == data


def test_read_returns_what_is_there(server: ObjectServer, clock: Clock) -> None:
    server.put("/q.json", b'{"a": 1}')
    server.misbehave("/q.json", faults.status(500), nth=1)
    server.misbehave("/q.json", faults.truncated(3), nth=2)
    with WebTransport(QUICK) as transport:
        assert read(server.url("/q.json"), transport=transport, policy=QUICK, clock=clock) == b'{"a": 1}'
        server.misbehave("/q.json", faults.html_page())
        with pytest.raises(ContentError, match="web page"):
            read(server.url("/q.json"), transport=transport, expect="json", policy=QUICK, clock=clock)
