"""Ranges of remote objects: how many requests, of what version, and what is said when the server goes wrong."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from project_cache.errors import ContentError, MissingObjectError, ServerError, TransferError
from project_cache.testing.faults import (
    Fault,
    changed,
    compressed,
    html_page,
    ignored_range,
    reset,
    status,
    truncated,
    wrong_range,
)
from project_cache.testing.server import ObjectServer, Served
from project_cache.transfer import remote
from project_cache.transfer.ranges import Address
from project_cache.transfer.remote import BLOCK, RemoteBytes
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import WebTransport

DATA = random.Random(5).randbytes(40 * BLOCK + 77)


class Kept(dict[int, bytes]):
    """Blocks that outlive the object that fetched them."""

    def read(self, block: int, length: int) -> bytes | None:
        return self.get(block)

    def write(self, block: int, data: bytes) -> None:
        self[block] = data


@pytest.fixture
def server() -> ObjectServer:  # type: ignore[misc]
    with ObjectServer({"/a.nwb": DATA}) as server:
        yield server


@pytest.fixture
def opened(server: ObjectServer, clock: Clock) -> Callable[..., RemoteBytes]:
    def open_it(path: str = "/a.nwb", **options: object) -> RemoteBytes:
        policy = Policy()
        return RemoteBytes(Address(server.url(path), WebTransport(policy), {}, policy, clock), **options)  # type: ignore[arg-type]

    return open_it


def test_any_range_is_what_the_object_has(opened: Callable[..., RemoteBytes]) -> None:
    chance = random.Random(0)
    for readahead in (True, False):
        remote_bytes = opened()
        remote_bytes.readahead = readahead
        for _ in range(100):
            start = chance.randrange(len(DATA))
            stop = start + chance.choice([0, 1, 100, BLOCK, 5 * BLOCK])
            assert remote_bytes.read_at(start, stop) == DATA[start:stop]
        assert remote_bytes.size == len(DATA)


def test_what_was_read_is_not_asked_for_again(
    opened: Callable[..., RemoteBytes], server: ObjectServer
) -> None:
    remote_bytes = opened()
    remote_bytes.read_at(0, 1000)
    remote_bytes.read_at(20, 5000)
    assert len(server.log) == remote_bytes.requests == 1


def test_reading_in_a_row_takes_ever_fewer_requests(opened: Callable[..., RemoteBytes]) -> None:
    remote_bytes = opened()
    found = b"".join(remote_bytes.read_at(at, at + 50_000) for at in range(0, len(DATA), 50_000))
    assert found == DATA
    assert remote_bytes.requests <= 5


def test_without_readahead_nothing_comes_that_was_not_asked_for(opened: Callable[..., RemoteBytes]) -> None:
    remote_bytes = opened(size=len(DATA))
    remote_bytes.readahead = False
    remote_bytes.read_at(10 * BLOCK + 5, 10 * BLOCK + 6)
    assert remote_bytes.received == BLOCK


def test_neighbours_come_together_and_the_rest_side_by_side(
    opened: Callable[..., RemoteBytes], server: ObjectServer
) -> None:
    remote_bytes = opened()
    remote_bytes.begin()
    remote_bytes.fetch([(3 * BLOCK, 3 * BLOCK + 1), (4 * BLOCK, 5 * BLOCK), (30 * BLOCK, 31 * BLOCK)])
    assert len(server.log) == 3
    assert remote_bytes.read_at(4 * BLOCK, 5 * BLOCK) == DATA[4 * BLOCK : 5 * BLOCK]
    assert remote_bytes.read_at(30 * BLOCK, 31 * BLOCK) == DATA[30 * BLOCK : 31 * BLOCK]
    assert len(server.log) == 3


def test_much_is_read_whole_though_the_memory_is_small(
    opened: Callable[..., RemoteBytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MEMORY", 4 * BLOCK)
    monkeypatch.setattr(remote, "WINDOW", 6 * BLOCK)
    into = bytearray(len(DATA) - 9)
    remote_bytes = opened()
    remote_bytes.read_into(9, memoryview(into))
    assert into == DATA[9:]
    assert remote_bytes.read_at(0, len(DATA)) == DATA


def test_beyond_the_end(opened: Callable[..., RemoteBytes]) -> None:
    remote_bytes = opened()
    assert remote_bytes.read_at(len(DATA) - 5, len(DATA) + 5) == DATA[-5:]
    assert remote_bytes.read_at(len(DATA), len(DATA) + 5) == b""
    with pytest.raises(ContentError, match="more were to be read"):
        remote_bytes.read_into(len(DATA) - 5, memoryview(bytearray(6)))


def test_many_threads_at_once(opened: Callable[..., RemoteBytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MEMORY", 8 * BLOCK)
    remote_bytes = opened()
    starts = random.Random(1).sample(range(len(DATA)), 60)
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda at: remote_bytes.read_at(at, at + BLOCK), starts))
    assert found == [DATA[at : at + BLOCK] for at in starts]


# One version --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [changed(DATA[::-1]), changed(DATA[::-1] + b"!"), changed(DATA[:BLOCK])])
def test_an_object_that_changes_on_the_way_is_not_mixed(
    opened: Callable[..., RemoteBytes], server: ObjectServer, fault: Fault
) -> None:
    remote_bytes = opened()
    remote_bytes.begin()
    server.misbehave("/a.nwb", fault, nth=1)
    with pytest.raises(ContentError, match="was changed while it was read"):
        remote_bytes.read_at(30 * BLOCK, 31 * BLOCK)


def test_a_server_that_does_not_know_the_condition_is_seen_through(
    opened: Callable[..., RemoteBytes], server: ObjectServer
) -> None:
    remote_bytes = opened()
    remote_bytes.begin()
    server.misbehave("/a.nwb", Fault(ignore_if_range=True))
    server.put("/a.nwb", DATA[::-1])
    with pytest.raises(ContentError, match="was changed"):
        remote_bytes.read_at(30 * BLOCK, 31 * BLOCK)


def test_without_an_etag_dates_and_sizes_are_compared(
    opened: Callable[..., RemoteBytes], server: ObjectServer
) -> None:
    server.put("/a.nwb", Served(DATA, etag=""))
    server.misbehave("/a.nwb", Fault(headers=(("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"),)), nth=1)
    remote_bytes = opened()
    remote_bytes.begin()
    with pytest.raises(ContentError, match="was changed"):
        remote_bytes.read_at(30 * BLOCK, 31 * BLOCK)


def test_another_version_than_the_one_that_was_meant(opened: Callable[..., RemoteBytes]) -> None:
    with pytest.raises(ContentError, match="another version"):
        opened(size=len(DATA) + 1).begin()
    with pytest.raises(ContentError, match="another version"):
        opened(size=len(DATA), validator='"other"').begin()


def test_blocks_that_are_not_what_they_should_be_are_refused(opened: Callable[..., RemoteBytes]) -> None:
    def check(block: int, data: bytes) -> None:
        if data != DATA[block * BLOCK : (block + 1) * BLOCK] or block == 7:
            raise ContentError(f"block {block}")

    kept = Kept()
    remote_bytes = opened(check=check, keep=lambda _: kept)
    assert remote_bytes.read_at(0, BLOCK) == DATA[:BLOCK]
    with pytest.raises(ContentError, match="block 7"):
        remote_bytes.read_at(7 * BLOCK, 7 * BLOCK + 1)
    assert 7 not in kept
    assert remote_bytes.read_at(len(DATA) - 3, len(DATA)) == DATA[-3:]


# Bad servers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [truncated(1000), reset(100), status(503), status(429, retry_after=1), compressed()]
)
def test_a_bad_line_is_tried_again(
    opened: Callable[..., RemoteBytes], server: ObjectServer, naps: list[float], fault: Fault
) -> None:
    if fault.gzip:
        server.misbehave("/a.nwb", fault)
        with pytest.raises(ContentError, match="something else"):
            opened().begin()
        return
    server.misbehave("/a.nwb", fault, first=2)
    assert opened().read_at(5, 50) == DATA[5:50]
    assert len(naps) == 2


def test_patience_ends(opened: Callable[..., RemoteBytes], server: ObjectServer) -> None:
    server.misbehave("/a.nwb", status(503))
    with pytest.raises(TransferError, match="answered 503"):
        opened().begin()


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (ignored_range(), ContentError, "does not send parts"),
        (html_page(), ContentError, "does not send parts"),
        (wrong_range(), ContentError, "something else"),
        (status(404), MissingObjectError, "There is no"),
        (status(403), ServerError, "403"),
        (Fault(headers=(("Content-Range", "bytes 0-131071/" + "9" * 5000),)), ContentError, "something else"),
        (Fault(headers=(("Content-Range", "bytes 0-131071/*"),)), ContentError, "something else"),
        (Fault(length_off=10), TransferError, "could not be read"),
    ],
)
def test_what_servers_should_not_answer(
    opened: Callable[..., RemoteBytes], server: ObjectServer, fault: Fault, error: type[Exception], words: str
) -> None:
    server.misbehave("/a.nwb", fault)
    with pytest.raises(error, match=words):
        opened().begin()


def test_secrets_are_not_told(opened: Callable[..., RemoteBytes], server: ObjectServer) -> None:
    remote_bytes = opened("/b.nwb?X-Amz-Signature=hunter2")
    with pytest.raises(MissingObjectError) as caught:
        remote_bytes.begin()
    assert "hunter2" not in str(caught.value) + repr(remote_bytes) + remote_bytes.shown


# Beyond one process --------------------------------------------------------------------------------


def test_blocks_that_are_kept_are_not_fetched_again(
    opened: Callable[..., RemoteBytes], server: ObjectServer
) -> None:
    kept, asked = Kept(), []

    def keep(remote_bytes: RemoteBytes) -> Kept | None:
        asked.append(remote_bytes.validator)
        return kept if remote_bytes.validator else None

    assert opened(keep=keep).read_at(0, len(DATA)) == DATA
    before = len(server.log)
    again = opened(size=len(DATA), validator=server._find("/a.nwb").validator, keep=keep)  # type: ignore[union-attr]
    assert again.read_at(0, len(DATA)) == DATA
    assert len(server.log) == before
    assert len(kept) == 41


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_line_of_its_own(opened: Callable[..., RemoteBytes]) -> None:
    remote_bytes = opened()
    remote_bytes.begin()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, remote_bytes.read_at(20 * BLOCK, 20 * BLOCK + 8))
        os._exit(0)
    assert remote_bytes.read_at(30 * BLOCK, 30 * BLOCK + 8) == DATA[30 * BLOCK : 30 * BLOCK + 8]
    os.waitpid(child, 0)
    assert os.read(read, 100) == DATA[20 * BLOCK : 20 * BLOCK + 8]
    os.close(read)
    os.close(write)


def test_transports_can_be_taken_to_another_process() -> None:
    transport = WebTransport(Policy(connections=3))
    assert pickle.loads(pickle.dumps(transport))._policy == transport._policy
