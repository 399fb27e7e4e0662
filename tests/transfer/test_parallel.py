"""Several connections for one object: what a user gets on a slow line, and from servers that go wrong meanwhile."""

from __future__ import annotations

import dataclasses
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from project_cache.errors import ServerError, TransferError
from project_cache.files import digest_of
from project_cache.sources.base import Filled
from project_cache.store.journal import Journal
from project_cache.store.part import Part
from project_cache.testing import faults
from project_cache.testing.faults import Fault
from project_cache.testing.server import ObjectServer, Served
from project_cache.transfer.download import download
from project_cache.transfer.pieces import Pulse
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import WebTransport

SIZE = 24_000_000
#: one connection of that speed would take four seconds
RATE = 6e6
QUICK = Policy(tries=4, silence_s=2.0, connect_s=5.0, part_bytes=1 << 20)


@pytest.fixture(scope="session")
def large() -> list[bytes]:
    """Two versions of an object that is worth several connections."""
    return [b"\x89HDF\r\n\x1a\n" + random.Random(n).randbytes(SIZE - 8) for n in range(2)]


@pytest.fixture
def server(large: list[bytes]) -> Iterator[ObjectServer]:
    with ObjectServer({"/a.nwb": large[0]}) as server:
        yield server


def fetch(server: ObjectServer, part: Part, clock: Clock, policy: Policy = QUICK, **more: Any) -> Filled:
    with WebTransport(policy) as transport:
        return download(
            server.url("/a.nwb"),
            part,
            transport=transport,
            expect="binary",
            policy=policy,
            clock=clock,
            **more,
        )


def assert_whole(part: Part, data: bytes) -> None:
    part.close()
    assert part.position == len(data)
    assert part.digest == digest_of(part.path)
    assert part.path.read_bytes() == data


def test_a_slow_line_gets_more_connections(
    server: ObjectServer, part: Part, clock: Clock, large: list[bytes]
) -> None:
    server.misbehave("/a.nwb", faults.slow(RATE))
    seen: list[int] = []
    threads = set()

    def progress(done: int, total: int | None) -> None:
        seen.append(done)
        threads.add(threading.current_thread())

    filled = fetch(server, part, clock, progress=progress)
    assert_whole(part, large[0])
    assert filled.validator == Served(large[0]).validator
    assert "range" not in server.log[0].headers
    assert len(server.log) > 8
    assert {each.headers["if-range"] for each in server.log[1:]} == {Served(large[0]).validator}
    assert server.sent < 1.2 * SIZE
    assert seen == sorted(seen)
    assert seen[-1] == SIZE
    assert threads == {threading.main_thread()}


def test_a_fast_line_keeps_one(
    server: ObjectServer, part: Part, clock: Clock, large: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pulse, "FAST", 1e6)  # so that this machine's is fast, whatever else it does
    fetch(server, part, clock)
    assert_whole(part, large[0])
    assert len(server.log) == 1


@pytest.mark.parametrize("policy", [{"connections": 1}, {"part_bytes": 20_000_000}])
def test_small_objects_and_those_who_want_one_have_one(
    policy: dict[str, int], server: ObjectServer, part: Part, clock: Clock, large: list[bytes]
) -> None:
    server.misbehave("/a.nwb", faults.slow(4 * RATE))
    fetch(server, part, clock, dataclasses.replace(QUICK, **policy))
    assert_whole(part, large[0])
    assert len(server.log) == 1


def sent_since(server: ObjectServer, requests: int) -> int:
    """How many bytes went out for the requests after the first so many."""
    return sum(each.sent for each in server.log[requests:])


TROUBLE = {
    # of the third and the fifth request, which are for pieces
    "truncated": Fault(cut_at=100_000),
    "reset": Fault(reset_at=50_000),
    "at once": Fault(reset_at=0),
    "later": faults.status(503, retry_after=3),
    "too many": faults.status(429),
    "wrong range": faults.wrong_range(),
    "no Content-Range": Fault(headers=(("Content-Range", ""),)),
    "another size": Fault(headers=(("Content-Range", "bytes 0-1/7"),)),
    "no ETag": Fault(headers=(("ETag", ""),)),
    "range ignored": faults.ignored_range(),
    "lying": faults.lying_length(-7),
    "compressed": faults.compressed(),
    "nothing there": faults.status(416),
    "changed, they say": faults.status(412),
    "silence": faults.stalled(1000, 30.0),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_with_a_piece_is_healed(
    name: str, server: ObjectServer, part: Part, clock: Clock, large: list[bytes]
) -> None:
    server.misbehave("/a.nwb", TROUBLE[name], nth=3)
    server.misbehave("/a.nwb", TROUBLE[name], nth=4)
    server.misbehave("/a.nwb", faults.slow(2 * RATE))
    fetch(server, part, clock, dataclasses.replace(QUICK, stalled_s=0.3))
    assert_whole(part, large[0])


def test_nobody_waits_for_connections_that_have_come_to_a_stop(
    server: ObjectServer, part: Part, clock: Clock, large: list[bytes]
) -> None:
    for n in (2, 4, 6):
        server.misbehave("/a.nwb", faults.stalled(200_000, 60.0), nth=n)
    server.misbehave("/a.nwb", faults.slow(2 * RATE))
    began = time.monotonic()
    fetch(server, part, clock, dataclasses.replace(QUICK, silence_s=30.0, stalled_s=0.3))
    assert time.monotonic() - began < 25.0  # of the 30 s of silence that would be borne
    assert_whole(part, large[0])
    assert server.sent < 1.2 * SIZE


def test_a_server_that_knows_no_ranges_is_not_asked_for_them_for_ever(
    server: ObjectServer, part: Part, clock: Clock, large: list[bytes]
) -> None:
    server.misbehave("/a.nwb", Fault(whole=True, bytes_per_second=4 * RATE))
    fetch(server, part, clock)
    assert_whole(part, large[0])
    assert len(server.log) <= 10
    assert server.sent < 2 * SIZE


def test_a_server_that_says_so_is_not_asked_at_all(
    server: ObjectServer, part: Part, clock: Clock, large: list[bytes]
) -> None:
    server.misbehave("/a.nwb", Fault(headers=(("Accept-Ranges", "none"),), bytes_per_second=4 * RATE))
    fetch(server, part, clock)
    assert_whole(part, large[0])
    assert len(server.log) == 1


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_an_object_that_changes_meanwhile_begins_anew(
    heeds_if_range: bool, server: ObjectServer, part: Part, clock: Clock, large: list[bytes]
) -> None:
    server.misbehave("/a.nwb", Fault(replace=large[1], ignore_if_range=not heeds_if_range), nth=6)
    server.misbehave("/a.nwb", faults.slow(RATE), first=12)
    server.misbehave("/a.nwb", Fault(ignore_if_range=not heeds_if_range))
    fetch(server, part, clock)
    assert_whole(part, large[1])


def test_a_refusal_in_the_middle_is_told_and_what_came_is_kept(
    server: ObjectServer, part: Part, clock: Clock, large: list[bytes]
) -> None:
    server.misbehave("/a.nwb", faults.slow(RATE), first=10)
    server.misbehave("/a.nwb", faults.status(403))  # a signature that has run out
    with pytest.raises(ServerError, match="403"):
        fetch(server, part, clock)
    held = part.held
    assert held > 1_000_000
    server.behave()
    before = len(server.log)
    fetch(server, part, clock)
    assert_whole(part, large[0])
    assert sent_since(server, before) == SIZE - held


def test_dropping_for_ever_ends(server: ObjectServer, part: Part, clock: Clock) -> None:
    server.misbehave("/a.nwb", faults.slow(RATE), first=6)
    server.misbehave("/a.nwb", faults.reset(0))
    with pytest.raises(TransferError, match=r"gave up after \d+ requests.*goes on where"):
        fetch(server, part, clock)
    journal = Journal.read(part.path.with_suffix(".journal"))
    assert journal is not None
    assert journal.held == part.held > 0


def test_ctrl_c_is_heeded_at_once_and_loses_nothing(
    server: ObjectServer, part: Part, clock: Clock, large: list[bytes]
) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done > SIZE // 2:
            raise KeyboardInterrupt

    server.misbehave("/a.nwb", faults.slow(RATE))
    with pytest.raises(KeyboardInterrupt):
        fetch(server, part, clock, progress=interrupt)
    assert part.held > SIZE // 2
    part.release()
    claimed = Part.claim(part.final)
    assert claimed.held >= SIZE // 2
    server.behave()
    before = len(server.log)
    fetch(server, claimed, clock)
    assert_whole(claimed, large[0])
    assert sent_since(server, before) < SIZE // 2
    claimed.discard()


def test_the_limit_is_for_all_connections_together(
    server: ObjectServer, part: Part, large: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.misbehave("/a.nwb", faults.slow(RATE))
    began = time.monotonic()
    fetch(server, part, Clock(), dataclasses.replace(QUICK, bytes_per_second=16e6))
    assert_whole(part, large[0])
    assert time.monotonic() - began > SIZE / 16e6


# Between processes -----------------------------------------------------------------------------

WORKER = """
    import dataclasses, sys
    from pathlib import Path
    from project_cache.store.part import Part
    from project_cache.transfer.download import download
    from project_cache.transfer.retry import Policy
    from project_cache.transfer.transport import WebTransport

    def progress(done, total):
        print(done, flush=True)

    part = Part.claim(Path({final!r}))
    with WebTransport() as transport:
        download({url!r}, part, transport=transport, policy=Policy(part_bytes=1 << 20), progress=progress)
"""


@pytest.fixture
def killed(server: ObjectServer, tmp_path: Path) -> Callable[[float], Path]:
    """Kills a process that has a share of the object; returns where the object was to be."""

    def run(share: float) -> Path:
        final = tmp_path / "k.nwb"
        code = textwrap.dedent(WORKER).format(final=str(final), url=server.url("/a.nwb"))
        server.misbehave("/a.nwb", faults.slow(RATE / 6))
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= share * SIZE:
                    break
            process.send_signal(signal.SIGKILL)
        server.behave()
        return final

    return run


def test_after_a_kill_at_60_percent_less_than_half_is_fetched(
    killed: Callable[[float], Path], server: ObjectServer, clock: Clock, large: list[bytes]
) -> None:
    final = killed(0.6)
    part, before = Part.claim(final), len(server.log)
    fetch(server, part, clock)
    assert_whole(part, large[0])
    assert sent_since(server, before) < 0.5 * SIZE
    part.discard()


def test_what_was_spoilt_meanwhile_is_fetched_again_and_only_that(
    killed: Callable[[float], Path], server: ObjectServer, clock: Clock, large: list[bytes]
) -> None:
    part = Part.claim(killed(0.7))
    part.release()
    journal = part.journal
    assert journal.extents, "pieces beyond a gap"
    with part.path.open("r+b") as file:
        file.seek(journal.extents[0].start)
        file.write(b"\0\0\0\0")
    again, before = Part.claim(part.final), len(server.log)
    fetch(server, again, clock)
    assert_whole(again, large[0])
    spoilt = journal.extents[0].end - journal.extents[0].start
    assert sent_since(server, before) == SIZE - journal.held + spoilt
    again.discard()


def test_what_was_spoilt_at_the_front_costs_what_is_behind_it(tmp_path: Path) -> None:
    data = random.Random(5).randbytes(40 << 20)
    part = Part(tmp_path / "x.nwb")
    part.restart(origin="o", validator='"v"', size=len(data))
    for at in range(0, len(data), 1 << 20):
        part.write(data[at : at + (1 << 20)])
    part.release()
    with part.path.open("r+b") as file:
        file.seek(20 << 20)
        file.write(b"\0\0\0\0")
    claimed = Part.claim(part.final)
    assert claimed.position == 16 << 20
    claimed.write(data[claimed.position :])
    assert claimed.digest == "blake3:" + __import__("blake3").blake3(data).hexdigest()
    claimed.discard()


def test_two_that_fetch_the_same_object_do_not_disturb_one_another(
    server: ObjectServer, tmp_path: Path, clock: Clock, large: list[bytes]
) -> None:
    server.misbehave("/a.nwb", faults.slow(2 * RATE))
    parts = [Part.claim(tmp_path / "r.nwb") for _ in range(2)]
    threads = [threading.Thread(target=fetch, args=(server, part, clock)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for part in parts:
        assert_whole(part, large[0])
        part.discard()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".r.nwb")]
