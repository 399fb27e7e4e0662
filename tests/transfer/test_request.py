"""One request, made again while the line or the server fails."""

from __future__ import annotations

import pytest

from project_cache.errors import ServerError, TransferError
from project_cache.testing import faults
from project_cache.testing.server import ObjectServer
from project_cache.transfer.request import ask
from project_cache.transfer.retry import Budget, Clock, Policy
from project_cache.transfer.transport import Answer, WebTransport

QUICK = Policy(tries=3, silence_s=1.0)


def asked(server: ObjectServer, clock: Clock) -> bytes:
    def take(answer: Answer) -> bytes:
        assert answer.status == 200
        return b"".join(map(bytes, answer.blocks()))

    with WebTransport(QUICK) as line:
        budget = Budget(QUICK, clock)
        return ask(lambda: line.get(server.url("/a.nwb"), {}), take, shown="the object", budget=budget)


@pytest.mark.parametrize(
    "fault", [faults.status(503), faults.status(429), faults.reset(1000), faults.truncated(1000)]
)
def test_what_passes_is_asked_again(
    fault: faults.Fault, server: ObjectServer, clock: Clock, naps: list[float], versions: list[bytes]
) -> None:
    server.misbehave("/a.nwb", fault, first=2)
    assert asked(server, clock) == versions[0]
    assert len(server.log) == 3
    assert naps == [0.5, 1.0]


def test_in_the_end_it_says_what_the_server_said(server: ObjectServer, clock: Clock) -> None:
    server.misbehave("/a.nwb", faults.status(503))
    with pytest.raises(ServerError, match="the object could not be read: the server answered 503") as caught:
        asked(server, clock)
    assert caught.value.status == 503
    assert len(server.log) == 3


def test_in_the_end_it_says_what_became_of_the_line(server: ObjectServer, clock: Clock) -> None:
    server.misbehave("/a.nwb", faults.truncated(1000))
    with pytest.raises(TransferError, match="the object could not be read: the connection broke off"):
        asked(server, clock)


def test_the_server_says_how_long_to_wait(server: ObjectServer, clock: Clock, naps: list[float]) -> None:
    server.misbehave("/a.nwb", faults.status(503, retry_after="7"), nth=1)
    asked(server, clock)
    assert naps == [7.5]
