"""Plain files on a web server."""

from __future__ import annotations

from pathlib import Path

import pytest

from project_cache.errors import ConfigurationError, ContentError, MissingObjectError, ServerError
from project_cache.manifest.keys import Key
from project_cache.sources.base import Source
from project_cache.sources.http import HttpSource
from project_cache.store.part import Part
from project_cache.testing import faults
from project_cache.testing.server import ObjectServer
from project_cache.transfer.retry import Clock, Policy

PATHS = {
    Key("units"): "units.csv",
    Key("session_nwb", (7,)): "session_7/session 7%.nwb",
    Key("up"): "../x.csv",
    Key("absolute"): "/etc/passwd",
    Key("empty"): "",
}


def test_files_come_from_below_the_address(tmp_path: Path) -> None:
    nwb = b"\x89HDF\r\n\x1a\n" + bytes(1000)
    with ObjectServer({"/base/session_7/session%207%25.nwb?sig=S": nwb}) as server:
        source = HttpSource("bucket", server.url("/base/?sig=S"), PATHS.get, headers={"X-Api-Key": "k"})
        assert isinstance(source, Source)
        assert "sig=S" not in repr(source)
        with Part(tmp_path / "a") as part:
            filled = source.fill(Key("session_nwb", (7,)), part)
            part.close()
            assert part.path.read_bytes() == nwb
        assert filled.origin == server.url("/base/session_7/session%207%25.nwb?sig=***")
        assert server.log[0].headers["x-api-key"] == "k"


@pytest.mark.parametrize("key", [Key("up"), Key("absolute"), Key("empty")])
def test_paths_stay_below_the_address(key: Key) -> None:
    with pytest.raises(ConfigurationError):
        HttpSource("bucket", "http://h/base", PATHS.get).url(key)


def test_keys_it_does_not_have(tmp_path: Path) -> None:
    source = HttpSource("bucket", "http://h/base", PATHS.get)
    assert not source.has(Key("probes"))
    with Part(tmp_path / "a") as part, pytest.raises(MissingObjectError):
        source.fill(Key("probes"), part)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_files_that_are_not_there_are_missing(status: int, tmp_path: Path) -> None:
    with ObjectServer() as server, Part(tmp_path / "a") as part:
        server.misbehave("/units.csv", faults.status(status))
        with pytest.raises(MissingObjectError, match=str(status)):
            HttpSource("bucket", server.url(), PATHS.get).fill(Key("units"), part)


def test_other_errors_are_not_missing_files(tmp_path: Path) -> None:
    clock = Clock(sleep=lambda _: None)
    with ObjectServer() as server, Part(tmp_path / "a") as part:
        source = HttpSource("bucket", server.url(), PATHS.get, policy=Policy(tries=2), clock=clock)
        server.misbehave("/units.csv", faults.status(500), first=2)
        with pytest.raises(ServerError):
            source.fill(Key("units"), part)
        server.misbehave("/units.csv", faults.html_page())
        with pytest.raises(ContentError):
            source.fill(Key("units"), part)


@pytest.mark.parametrize("address", ["ftp://h/x", "h/x", "http://", "file:///x"])
def test_addresses_that_are_not_the_webs(address: str) -> None:
    with pytest.raises(ConfigurationError):
        HttpSource("bucket", address, PATHS.get)
