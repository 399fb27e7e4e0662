"""What the tests of transfers share: an object, a clock that does not wait, and no proxies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from project_cache.store.part import Part
from project_cache.testing.server import ObjectServer
from project_cache.transfer.retry import Clock

SIZE = 1_000_000


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def versions() -> list[bytes]:
    """Three versions of one object, which differ in every block."""
    return [b"\x89HDF\r\n\x1a\n" + random.Random(n).randbytes(SIZE - 8) for n in range(3)]


@pytest.fixture
def naps() -> list[float]:
    """How long the transfer would have waited, each time."""
    return []


@pytest.fixture
def clock(naps: list[float]) -> Clock:
    return Clock(sleep=naps.append, draw=lambda: 1.0, wall=lambda: 1_000_000_000.0)


@pytest.fixture
def server(versions: list[bytes]) -> Iterator[ObjectServer]:
    with ObjectServer({"/a.nwb": versions[0]}) as server:
        yield server


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    with Part(tmp_path / "a.nwb") as part:
        yield part
