"""Opening a project: by its name, its folder, its address, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import h5py
import pytest

from project_cache import EcephysProjectCache, Key, ProjectCache
from project_cache.errors import (
    ConfigurationError,
    DependencyError,
    ManifestError,
    MissingObjectError,
    OfflineError,
    TransferError,
)
from project_cache.projects import cache_dir
from project_cache.sources.directory import DirectorySource
from project_cache.testing import faults
from project_cache.testing.object_stores import SeaweedServer
from project_cache.testing.server import ObjectServer
from project_cache.testing.warehouse import LoopbackWarehouse

SESSION = 715093703


def visible(folder: Path) -> list[str]:
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    )


# By name and by folder -------------------------------------------------------------------------


def test_without_a_manifest_the_users_cache_folder_is_used_and_allensdks_manifest_written() -> None:
    cache = EcephysProjectCache.from_warehouse()
    folder = cache_dir() / "visual-coding-neuropixels"
    assert cache.manifest_path == str(folder / "manifest.json")
    data = json.loads((folder / "manifest.json").read_text())
    assert data["manifest"][0] == {"type": "manifest_version", "value": "0.3.0"}
    assert visible(folder) == ["manifest.json"]
    assert [s.name for s in cache.store.sources] == ["warehouse", "aws"]


def test_the_users_cache_folder_is_the_platforms_and_others_can_be_let_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PROJECT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert cache_dir() == tmp_path / "project_cache"
        EcephysProjectCache.from_warehouse()
        umask = os.umask(0)
        os.umask(umask)
        assert (tmp_path / "project_cache").stat().st_mode & 0o777 == 0o777 & ~umask


def test_allensdks_default_file_is_honoured_where_it_is(monkeypatch: pytest.MonkeyPatch, drive: Path) -> None:
    (drive / "manifest.json").rename(drive / "ecephys_project_manifest.json")
    monkeypatch.chdir(drive)
    assert ProjectCache().manifest_path == str(drive / "ecephys_project_manifest.json")


def test_a_warehouse_is_named_as_in_allensdk(tmp_path: Path) -> None:
    cache = ProjectCache.from_warehouse("http", "127.0.0.1:9", manifest=tmp_path / "m.json")
    (source,) = cache.store.sources
    assert "127.0.0.1:9" in repr(source.__dict__)
    assert (cache.fetch_api, cache.fetch_tries, cache.stream_writer) == (source, 2, None)


def test_asynchronous_is_the_same_download(drive: Path, tmp_path: Path) -> None:
    with LoopbackWarehouse(drive) as warehouse:
        cache = ProjectCache.from_warehouse(
            "http", warehouse.host, asynchronous=True, manifest=tmp_path / "own" / "manifest.json"
        )
        assert cache.get_session_data(SESSION).ecephys_session_id == SESSION


def test_a_slow_share_is_copied_from(drive: Path, tmp_path: Path, no_network: None) -> None:
    cache = ProjectCache.from_directory(drive, manifest=tmp_path / "own" / "manifest.json")
    assert isinstance(cache.store.sources[0], DirectorySource)
    session = cache.get_session_data(SESSION)
    assert session.path.is_relative_to(tmp_path / "own")
    assert session.path.read_bytes() == (drive / f"session_{SESSION}" / f"session_{SESSION}.nwb").read_bytes()
    with pytest.raises(MissingObjectError):
        cache.store.get(Key("natural_movie", (1,)))


def test_a_shipped_project_goes_by_its_name_and_its_advice_works(no_network: None) -> None:
    cache = ProjectCache.open("visual-coding-neuropixels", offline=True)
    assert cache.manifest_path == str(cache_dir() / "visual-coding-neuropixels" / "manifest.json")
    with pytest.raises(
        OfflineError, match="project-cache fetch sessions --manifest visual-coding-neuropixels$"
    ):
        cache.get_session_table()
    demo = pickle.loads(pickle.dumps(ProjectCache.open("demo")))
    assert demo.store.get(Key("sessions")).is_relative_to(cache_dir() / "demo")


def test_more_that_cannot_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="LIMS"):
        ProjectCache.from_lims()
    with pytest.raises(ManifestError, match="There is no manifest"):
        ProjectCache.fixed(tmp_path / "none.json")
    with pytest.raises(ManifestError, match="There is no manifest"):
        ProjectCache.from_warehouse(manifest=tmp_path / "none.json", offline=True)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ManifestError, match="Leave version= out"):
        ProjectCache(manifest=tmp_path / "none.json", version="0.2.1")
    with pytest.raises(ManifestError, match="demo, dynamic-routing, visual-"):
        ProjectCache.open("no-such-project")
    monkeypatch.setenv("PROJECT_CACHE_OFFLINE", "perhaps")
    with pytest.raises(ConfigurationError, match="can be 1 or 0"):
        ProjectCache(manifest=tmp_path / "m.json")


# By address ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    try:
        server = SeaweedServer(tmp_path_factory.mktemp("weed"), public=("lab",))
    except DependencyError as reason:
        pytest.skip(str(reason))
    with server:
        server.make_bucket("lab")
        yield server


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nobody's credentials, and no machine that could give some."""
    nowhere = tmp_path_factory.mktemp("aws")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nowhere / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere / "none either"))


@pytest.fixture
def bucket(server: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> SeaweedServer:
    """The server, as all S3 of this process."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint_url)
    return server


def nwb(folder: Path) -> bytes:
    path = folder / "mine.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.5.0"
        file["identifier"] = "mine"
    return path.read_bytes()


def own(folder: Path, **more: Any) -> dict[str, bytes]:
    """Return the files of a small project in this package's own words."""
    session, units = nwb(folder), b"id,snr\n1,2.0\n"
    objects = []
    for key, path, content in (("session_nwb/7", "s/7.nwb", session), ("units", "units.csv", units)):
        objects.append({"key": key, "path": path, "digest": "blake2b:" + blake2b(content).hexdigest()})
    manifest: dict[str, Any] = {
        "format": "project_cache/1",
        "project": "mine",
        "version": "3",
        "session_class": "Session",
    }
    manifest |= {"layout": {}, "objects": objects, **more}
    return {"manifest.json": json.dumps(manifest).encode(), "s/7.nwb": session, "units.csv": units}


def test_a_project_in_a_bucket(
    bucket: SeaweedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = bucket.client()
    for name, content in own(tmp_path).items():
        client.put_object(Bucket="lab", Key=f"my project/{name}", Body=content)
    client.close()
    for args in (
        ("s3://lab/my%20project",),
        ("s3://lab/my%20project/manifest.json",),
        ("lab", "my%20project"),
    ):
        cache = ProjectCache.from_s3(*args, cache_dir=tmp_path / "cache")
        assert cache.get_session_data(7).identifier == "mine"
    assert ProjectCache.open("s3://lab/my%20project").get_session_data(7).identifier == "mine"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")  # nothing listens there
    cache = ProjectCache.open("s3://lab/my%20project", offline=True)
    assert cache.get_session_data(7).identifier == "mine"
    with pytest.raises(MissingObjectError, match="never opened"):
        ProjectCache.open("s3://lab/other", offline=True)


def test_no_project_in_a_bucket(bucket: SeaweedServer) -> None:
    with pytest.raises(MissingObjectError, match="No project is published at s3://lab/nothing"):
        ProjectCache.from_s3("lab", "nothing")
    with pytest.raises(ConfigurationError, match="no address"):
        ProjectCache.from_s3("ftp://host/project")


def test_a_project_on_a_web_server(tmp_path: Path) -> None:
    with ObjectServer({f"/p/{name}": content for name, content in own(tmp_path).items()}) as server:
        cache = ProjectCache.open(server.url("/p/"))
        assert cache.get_session_data(7).identifier == "mine"
        assert cache.manifest.version == "3"


def test_a_manifest_is_not_taken_from_elsewhere(tmp_path: Path) -> None:
    with (
        ObjectServer({f"/p/{name}": content for name, content in own(tmp_path).items()}) as other,
        ObjectServer() as server,
    ):
        server.misbehave(lambda path: True, faults.redirect(other.url("/p/manifest.json")))
        with pytest.raises(TransferError, match="was to be had from where it was asked for"):
            ProjectCache.open(server.url("/p"))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"kind": "directory", "url": "/etc"}, "names a directory of this machine"),
        ({"kind": "s3", "url": "s3://bucket/p", "requester_pays": True}, "pay for"),
    ],
)
def test_a_servers_manifest_cannot_have_everything(tmp_path: Path, source: dict[str, Any], why: str) -> None:
    files = own(tmp_path, sources=[source])
    with (
        ObjectServer({f"/p/{name}": content for name, content in files.items()}) as server,
        pytest.raises(ManifestError, match=why),
    ):
        ProjectCache.open(server.url("/p"))


def test_a_servers_bucket_gets_no_signature(tmp_path: Path) -> None:
    files = own(
        tmp_path, sources=[{"kind": "s3", "url": "s3://bucket/p", "endpoint_url": "http://127.0.0.1:9"}]
    )
    with ObjectServer({f"/p/{name}": content for name, content in files.items()}) as server:
        cache = ProjectCache.open(server.url("/p"))
    # the server itself, and the bucket that it names
    assert [source.anonymous for source in cache.manifest.sources] == [None, True]
