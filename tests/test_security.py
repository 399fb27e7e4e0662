"""What strangers can do: secrets that are told, sizes that are lies, manifests that reach for what is not theirs.

Here are the tests of the whole. Those of the parts lie with them: addresses, redirects and certificates
(``tests/transfer/test_transport.py``), signatures (``tests/sources/test_s3.py``), paths
(``tests/manifest/test_keys_and_trust.py``), links to other files (``tests/nwb/test_remote.py``).
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import traceback
import tracemalloc
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h5py
import pytest

from project_cache.cache import ProjectCache
from project_cache.errors import ContentError, DiskFullError, ManifestError, ProjectCacheError
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest, SourceEntry
from project_cache.sources.http import HttpSource
from project_cache.sources.s3 import S3Source
from project_cache.store.blocks import BlockCache
from project_cache.store.store import Store
from project_cache.testing import faults
from project_cache.testing.faults import Fault
from project_cache.testing.server import ObjectServer, Served
from project_cache.transfer.download import read
from project_cache.transfer.remote import RemoteBytes
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import WebTransport

NWB = Key("session_nwb", (7,))
HUGE = 10**17
CLOCK = Clock(sleep=lambda _: None, draw=lambda: 0.0)
POLICY = Policy(tries=2, silence_s=5.0)


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def project(tmp_path: Path) -> dict[str, bytes]:
    """The files of a small project, by name."""
    path = tmp_path / "7.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        file["identifier"] = "mine"
        file["x"] = list(range(5000))
    session = path.read_bytes()
    return {"manifest.json": manifest(session), "s/7.nwb": session}


def manifest(session: bytes, **more: Any) -> bytes:
    digest = "blake2b:" + blake2b(session).hexdigest()
    said = {
        "format": "project_cache/1", "project": "mine", "version": "1", "session_class": "Session", "layout": {},
        "objects": [{"key": "session_nwb/7", "path": "s/7.nwb", "size": len(session), "digest": digest}],
    }  # fmt: skip
    return json.dumps(said | more).encode()


class Guarded:
    """A server that serves to those who know the password and the token."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.told = files, []  # type: tuple[dict[str, bytes], list[str]]
        self.served = {f"/p/{name}": Served(data) for name, data in files.items()}

    def find(self, path: str) -> Served | None:
        self.told.append(path)
        return self.served.get(urlsplit(path).path) if "token=HUSH" in path else None


# Secrets ---------------------------------------------------------------------------------------


def written_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        yield path, path.name.encode() + (path.read_bytes() if path.is_file() else b"")


def test_the_secrets_of_an_address_stay_in_memory(
    project: dict[str, bytes],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROJECT_CACHE_DIR", str(tmp_path / "home"))
    guarded = Guarded(project)
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG, "project_cache"), ObjectServer(guarded.find) as server:
        url = f"http://me:HUSH@{server.address}/p?token=HUSH&X-Amz-Signature=HUSH"
        cache = ProjectCache.open(url)
        shown += [repr(cache), str(cache), repr(cache.manifest), repr(cache.store.sources)]
        # first in the middle of the transfer, then whole
        server.misbehave(lambda path: True, faults.truncated(9_000))
        with pytest.raises(ProjectCacheError) as caught:
            Store(cache.manifest, (), [patient(cache, url)]).get(NWB)
        shown += ["".join(traceback.format_exception(caught.value)), repr(caught.value.__context__)]
        shown.append(repr(pickle.loads(pickle.dumps(caught.value))))
        left = list(written_below(tmp_path / "home"))
        server.behave()
        path = cache.store.get(NWB)
        assert path.read_bytes() == project["s/7.nwb"]
        assert all("token=HUSH" in each for each in guarded.told)
        shown.append(repr(cache.get_session_data(7)))
        shown.append(cache.freeze(tmp_path / "lock.json").read_text())
        # … and when it has gone
        path.unlink()
        guarded.served.clear()
        with pytest.raises(ProjectCacheError) as caught:
            ProjectCache.open(url).store.get(NWB)
        shown.append("".join(traceback.format_exception(caught.value)))
    assert "HUSH" not in "".join(shown)
    assert "HUSH" not in caplog.text
    assert left
    for path, contents in [*left, *written_below(tmp_path / "home")]:
        assert b"HUSH" not in contents, path


def patient(cache: ProjectCache, url: str) -> HttpSource:
    return HttpSource("web", url, cache.manifest.relative, policy=POLICY, clock=CLOCK)


def test_what_holds_a_secret_does_not_show_it() -> None:
    headers = {"Authorization": "Bearer HUSH"}
    source = HttpSource("web", "https://me:HUSH@h/p?token=HUSH", lambda key: "a.nwb", headers=headers)
    address = source.stream(NWB)
    assert "HUSH" in address.url
    shown = [
        repr(source), repr(address), str(address), repr(RemoteBytes(address)),
        repr(SourceEntry("web", "http", "https://me:HUSH@h/p?token=HUSH")),
        repr(S3Source("bucket", "s3://lab/p", lambda key: "a.nwb", endpoint_url="https://me:HUSH@h")),
    ]  # fmt: skip
    assert "HUSH" not in "".join(shown)


def test_a_token_in_a_redirect_is_not_told(
    project: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ObjectServer() as store, ObjectServer() as server, caplog.at_level(logging.DEBUG, "project_cache"):
        signed = "/7.nwb?X-Amz-Credential=HUSH&X-Amz-Signature=HUSH&sig=HUSH"
        store.put(signed, project["s/7.nwb"])
        server.misbehave(lambda path: True, faults.redirect(f"http://me:HUSH@{store.address}{signed}"))
        source = HttpSource(
            "web",
            server.url("/p"),
            lambda key: "7.nwb",
            headers={"Authorization": "mine"},
            policy=POLICY,
            clock=CLOCK,
        )
        made = Store(Manifest.visual_coding(tmp_path / "cache/manifest.json"), (), [source])
        path = made.get(NWB)
        path.unlink()
        store.misbehave(signed, faults.status(500))
        with pytest.raises(ProjectCacheError) as caught:
            made.get(NWB)
        told = [each.headers for each in store.log]
        # what is asked for with a token is asked for with no other credentials
        assert told
        assert all("mine" not in each.values() for each in told)
        store.behave()
        # no more is promised than there is
        assert RemoteBytes(source.stream(NWB)).read_at(0, HUGE) == project["s/7.nwb"]
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "HUSH" not in shown
    for path, contents in written_below(tmp_path / "cache"):
        assert b"HUSH" not in contents, path


# Sizes that are lies ---------------------------------------------------------------------------


@pytest.fixture
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 600 << 20
    finally:
        tracemalloc.stop()


def store_of(server: ObjectServer, folder: Path, *, size: int | None = None) -> Store:
    folder.mkdir(exist_ok=True)
    objects = [{"key": "session_nwb/7", "size": size}] if size is not None else []
    said = {"format": "project_cache/1", "project": "p", "version": "1", "objects": objects}
    (folder / "manifest.json").write_text(json.dumps(said))
    source = HttpSource("web", server.url("/"), lambda key: "7.nwb", policy=POLICY, clock=CLOCK)
    return Store(Manifest.read(folder / "manifest.json"), (), [source])


def held(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")


@pytest.mark.parametrize("size", [10**15, HUGE, 10**18])
def test_an_object_of_a_million_terabytes_is_refused(
    tmp_path: Path, little_memory: None, project: dict[str, bytes], size: int
) -> None:
    with ObjectServer({"/7.nwb": project["s/7.nwb"]}) as server:
        server.misbehave("/7.nwb", faults.lying_length(size))
        # no length has 19 digits
        with pytest.raises(DiskFullError if size <= HUGE else ProjectCacheError, match="are free|broke off"):
            store_of(server, tmp_path / "cache").get(NWB)
        assert held(tmp_path / "cache") < 100_000


@pytest.mark.parametrize("how", ["endless", "bomb"])
def test_no_more_is_written_than_the_manifest_says(
    tmp_path: Path, little_memory: None, project: dict[str, bytes], how: str
) -> None:
    body = project["s/7.nwb"] + bytes(64 << 20)
    with ObjectServer({"/7.nwb": body}) as server:
        server.misbehave("/7.nwb", Fault(no_length=True) if how == "endless" else faults.compressed())
        watched: list[int] = []
        made = store_of(server, tmp_path / "cache", size=len(project["s/7.nwb"]))
        fill = made.sources[0].fill

        def noted(key: Key, part: Any, progress: Any) -> Any:
            try:
                return fill(key, part, progress)
            finally:
                watched.append(part.path.stat().st_size if part.path.exists() else 0)

        made.sources[0].fill = noted  # type: ignore[method-assign]
        with pytest.raises(ContentError, match="manifest"):
            made.get(NWB)
    assert watched
    assert max(watched) <= len(project["s/7.nwb"]) + (1 << 20)
    assert held(tmp_path / "cache") < 100_000


@pytest.mark.parametrize("how", ["length", "bomb", "endless"])
def test_a_manifest_is_never_more_than_memory_takes(
    little_memory: None, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("project_cache.transfer.download.MEMORY_LIMIT", 8 << 20)
    with ObjectServer({"/m.json": b"{" + b" " * (16 << 20)}) as server:
        if how == "length":
            server.misbehave("/m.json", Fault(length_off=HUGE, cut_at=1000))
        else:
            server.misbehave("/m.json", faults.compressed() if how == "bomb" else Fault(no_length=True))
        with WebTransport() as transport, pytest.raises(ProjectCacheError):
            read(server.url("/m.json"), transport=transport, policy=POLICY, clock=CLOCK)


def test_a_huge_object_can_be_looked_at_and_takes_no_room(tmp_path: Path, little_memory: None) -> None:
    """The first blocks of an object that says it is a million terabytes: no room is made for the rest."""
    blocks = BlockCache(tmp_path / "blocks").of("blake3:0", HUGE, 128 << 10)
    assert blocks is None or blocks.read(0, 10) is None
    with ObjectServer({"/a.nwb": bytes(300_000)}) as server:
        server.misbehave("/a.nwb", Fault(headers=(("Content-Range", f"bytes 0-131071/{HUGE}"),)))
        source = HttpSource("web", server.url("/"), lambda key: "a.nwb", policy=POLICY, clock=CLOCK)

        def keep(remote: RemoteBytes) -> Any:
            return BlockCache(tmp_path / "blocks").of("x", remote.size, 128 << 10)

        remote = RemoteBytes(source.stream(NWB), keep=keep)
        remote.readahead = False
        remote.begin()
        assert remote.size == HUGE
        assert remote.read_at(0, 10) == bytes(10)
    assert sum(p.stat().st_blocks * 512 for p in (tmp_path / "blocks").glob("*")) < 1 << 20


# What a server's manifest reaches for ----------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"objects": [{"key": "units", "path": "manifest.json"}]},
        {"objects": [{"key": "units", "path": "Manifest.JSON"}]},
        {"tables": {"units": "manifest.json"}},
        {"layout": {"units": "manifest.json"}},
        {"layout": {"units": "{0}"}},
        {"objects": {"parquet": "manifest.json"}},
        {"objects": {"parquet": "s.nwb"}},
        {"raw": {"roots": ["/home/somebody"]}},
        {"raw": {"roots": ["s3://bucket/x"], "registry": "../sessions.yaml"}},
    ],
)
def test_what_a_server_says_takes_no_place_of_the_users(tmp_path: Path, more: dict[str, Any]) -> None:
    """Who opens the folder later takes the manifest in it for the user's own."""
    said = {"format": "project_cache/1", "project": "p", "version": "1", **more}
    with pytest.raises(ManifestError):
        Manifest.parse(json.dumps(said), folder=tmp_path, origin="https://x").locate(
            Key("units", ("Manifest.json",) if "{0}" in str(more) else ())
        )


@pytest.mark.parametrize("session", ["..", "../x", "a/b", "..\\x", "C:", "CON", "x:y", ".hidden", "a\0"])
def test_an_id_is_one_step_of_a_path(tmp_path: Path, session: str) -> None:
    said = json.dumps({"format": "project_cache/1", "project": "p", "version": "1"})
    made = Manifest.parse(said, folder=tmp_path, origin="https://x")
    with pytest.raises(ProjectCacheError, match="cannot be"):
        made.locate(Key("session_nwb", (session,)))


def test_an_object_is_not_written_through_a_link(
    tmp_path: Path, project: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that somebody has put into the cache, and that leads elsewhere."""
    monkeypatch.setenv("PROJECT_CACHE_DIR", str(tmp_path / "home"))
    outside = tmp_path / "outside"
    outside.mkdir()
    with ObjectServer({f"/p/{name}": data for name, data in project.items()}) as server:
        cache = ProjectCache.open(server.url("/p"))
        (cache.manifest.folder / "s").symlink_to(outside)
        with pytest.raises(ManifestError, match="leads out"):
            cache.store.get(NWB)
    assert list(outside.iterdir()) == []


def test_a_lying_mirror_is_not_believed(
    tmp_path: Path, project: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right size, the right ETag, other bytes: nothing is stored, and nothing of it is given out."""
    monkeypatch.setenv("PROJECT_CACHE_DIR", str(tmp_path / "home"))
    wrong = bytearray(project["s/7.nwb"])
    wrong[-1] ^= 1
    files = {f"/p/{name}": data for name, data in project.items()} | {"/p/s/7.nwb": bytes(wrong)}
    with ObjectServer(files) as server:
        cache = ProjectCache.open(server.url("/p"))
        with pytest.raises(ProjectCacheError, match="other bytes"):
            cache.store.get(NWB)
        assert not cache.manifest.locate(NWB).exists()


@pytest.mark.skipif(os.name != "posix", reason="of POSIX")
def test_a_pipe_in_place_of_an_object_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "session_7").mkdir()
    os.mkfifo(tmp_path / "session_7/session_7.nwb")
    store = Store(Manifest.visual_coding(tmp_path / "manifest.json"))
    with pytest.raises(ProjectCacheError):
        store.get(NWB)
