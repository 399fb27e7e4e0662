"""Single ranges: joined and cut, got by one request each, of one version."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from project_cache.errors import ContentError, TransferError
from project_cache.testing.faults import changed, status, truncated
from project_cache.testing.server import ObjectServer
from project_cache.transfer.ranges import Address, Ranges, coalesced
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import WebTransport

DATA = random.Random(7).randbytes(300_000)


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with ObjectServer({"/a.nwb": DATA}) as server:
        yield server


@pytest.fixture
def ranges(server: ObjectServer, clock: Clock) -> Ranges:
    policy = Policy()
    return Ranges(Address(server.url("/a.nwb"), WebTransport(policy), {}, policy, clock))


def test_a_range_is_one_request_and_tells_size_and_version(ranges: Ranges, server: ObjectServer) -> None:
    assert (ranges.size, ranges.validator, ranges.met) == (-1, None, False)
    assert ranges.get(5, 50) == DATA[5:50]
    assert ranges.get(299_990, 400_000) == DATA[299_990:]
    assert (ranges.size, ranges.met) == (len(DATA), True)
    assert ranges.validator is not None
    assert (ranges.requests, ranges.received) == (2, 55)
    assert len(server.log) == 2


def test_what_fails_counts_as_a_request_too(ranges: Ranges, server: ObjectServer, naps: list[float]) -> None:
    server.misbehave("/a.nwb", truncated(100), first=2)
    assert ranges.get(0, 1000) == DATA[:1000]
    assert (ranges.requests, len(naps)) == (3, 2)
    server.misbehave("/a.nwb", status(503))
    with pytest.raises(TransferError, match="answered 503"):
        ranges.get(0, 1000)


def test_all_of_them_are_of_one_version(ranges: Ranges, server: ObjectServer) -> None:
    ranges.get(0, 1000)
    server.misbehave("/a.nwb", changed(DATA[::-1]), nth=1)
    with pytest.raises(ContentError, match="was changed while it was read"):
        ranges.get(1000, 2000)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], []),
        ([(5, 5)], []),
        ([(0, 10), (20, 30)], [(0, 30)]),
        ([(0, 10), (21, 30)], [(0, 10), (21, 30)]),
        ([(20, 30), (0, 10), (5, 25)], [(0, 30)]),
        ([(0, 130)], [(0, 100), (100, 130)]),
    ],
)
def test_ranges_are_joined_and_cut(ranges: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert coalesced(ranges, gap=10, piece=100) == expected
