"""Sessions that are read where they are: over HTTP and from S3, with their skeleton and without."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from project_cache import ProjectCache
from project_cache.errors import ContentError, DependencyError, MissingObjectError, OfflineError
from project_cache.files import digest_of, hidden
from project_cache.manifest.keys import Key
from project_cache.nwb.skeleton import skeleton_of
from project_cache.nwb.streamed import BLOCKS, skeleton_key
from project_cache.sources.http import HttpSource
from project_cache.testing.object_stores import SeaweedServer
from project_cache.testing.server import ObjectServer

pytestmark = pytest.mark.filterwarnings("ignore:The structures and coordinates of channels")
SESSION = 900001


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as it lies on a server: one session, its LFP, the tables, skeletons."""
    folder = tmp_path_factory.mktemp("served")
    os.environ["PROJECT_CACHE_DIR"] = str(folder)
    try:
        cache = ProjectCache.open("demo", progress=False)
        cache.fetch([SESSION], lfp=True)
        cache.get_units()
        cache.get_session_table()
    finally:
        del os.environ["PROJECT_CACHE_DIR"]
    served = folder / "demo"
    objects = []
    for path in sorted((served / f"session_{SESSION}").glob("*.nwb")):
        probe = path.name.split("_")[1]
        key = (
            Key("session_nwb", (SESSION,))
            if path.name.startswith("session")
            else Key("probe_lfp_nwb", (SESSION, int(probe)))
        )
        digest = digest_of(path)
        objects.append({"key": str(key), "size": path.stat().st_size, "digest": digest})
        skeleton = served / "objects" / f"{path.stem}.skeleton"
        skeleton.parent.mkdir(exist_ok=True)
        skeleton.write_bytes(skeleton_of(path, digest).to_bytes())
        objects.append(
            {
                "key": str(skeleton_key(key)),
                "path": f"objects/{skeleton.name}",
                "size": skeleton.stat().st_size,
                "digest": digest_of(skeleton),
            }
        )
    (folder / "objects.json").write_text(json.dumps(objects))
    return served


@pytest.fixture
def server(project: Path) -> Iterator[ObjectServer]:
    files = {f"/{p.relative_to(project).as_posix()}": p for p in project.rglob("*") if p.is_file()}
    with ObjectServer(files) as server:
        yield server


@pytest.fixture
def local(project: Path) -> Any:
    return ProjectCache.open(project, offline=True).get_session_data(SESSION)


@pytest.fixture
def opened(project: Path, server: ObjectServer, tmp_path: Path) -> Callable[..., ProjectCache]:
    """Return what opens an empty cache of the project."""

    def open_it(
        said: str = "all", folder: str = "cache", source: dict[str, str] | None = None, **options: Any
    ) -> ProjectCache:
        objects = json.loads((project.parent / "objects.json").read_text())
        if said == "no skeletons":
            objects = [each for each in objects if not each["key"].startswith("skeleton")]
        data = {
            "format": "project_cache/1",
            "project": "streamed",
            "version": "1",
            "session_class": "EcephysSession",
            "sources": [source or {"name": "here", "kind": "http", "url": server.url()}],
            "objects": [] if said == "nothing" else objects,
        }
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        (place / "manifest.json").write_text(json.dumps(data))
        return ProjectCache.open(place, progress=False, **options)

    return open_it


Opened = Callable[..., ProjectCache]


def nwb_requests(server: ObjectServer) -> int:
    return sum(each.path.endswith(".nwb") for each in server.log)


@pytest.mark.parametrize("said", ["all", "no skeletons", "nothing"])
def test_a_streamed_session_is_the_session(opened: Opened, local: Any, said: str) -> None:
    cache = opened(said)
    session = cache.get_session_data(SESSION, stream=True)
    pd.testing.assert_frame_equal(session.units, local.units)
    pd.testing.assert_frame_equal(session.stimulus_presentations, local.stimulus_presentations)
    pd.testing.assert_frame_equal(session.running_speed, local.running_speed)
    assert session.metadata == local.metadata
    for unit in list(local.spike_times)[:5]:
        np.testing.assert_array_equal(session.spike_times[unit], local.spike_times[unit])
        np.testing.assert_array_equal(session.mean_waveforms[unit], local.mean_waveforms[unit])
    probe = session.probes.index[0]
    np.testing.assert_array_equal(
        session.get_lfp(probe).isel(time=slice(100, 900), channel=[1, 3]),
        local.get_lfp(probe).isel(time=slice(100, 900), channel=[1, 3]),
    )
    pd.testing.assert_series_equal(
        session.presentationwise_spike_times().unit_id, local.presentationwise_spike_times().unit_id
    )
    assert not list(cache.manifest.folder.glob("session_*/*.nwb"))


def test_with_its_skeleton_one_unit_is_two_requests(opened: Opened, server: ObjectServer) -> None:
    session = opened().get_session_data(SESSION, stream=True)
    assert [each.path for each in server.log] == [f"/objects/session_{SESSION}.skeleton"]
    unit = next(iter(session._spike_times._where))
    assert len(session.spike_times[unit])
    assert nwb_requests(server) == 1
    assert len(server.log) == 2


def test_the_second_time_nothing_is_asked_for(opened: Opened, server: ObjectServer) -> None:
    def used() -> Any:
        session = opened().get_session_data(SESSION, stream=True)
        return session.spike_times[next(iter(session._spike_times._where))]

    first = used()
    server.log.clear()
    np.testing.assert_array_equal(used(), first)
    assert server.log == []


def test_without_skeletons_few_requests(opened: Opened, server: ObjectServer) -> None:
    session = opened("nothing").get_session_data(SESSION, stream=True)
    session.spike_times[next(iter(session._spike_times._where))]
    assert len(server.log) <= 10
    server.log.clear()
    again = opened("nothing").get_session_data(SESSION, stream=True)
    again.spike_times[next(iter(again._spike_times._where))]
    assert len(server.log) == 1  # whether it is still the same


def test_what_is_in_the_cache_is_read_there(opened: Opened, server: ObjectServer) -> None:
    cache = opened()
    cache.store.get(Key("session_nwb", (SESSION,)))
    server.log.clear()
    session = cache.get_session_data(SESSION, stream=True)
    assert session.path.is_file()
    assert len(session.units)
    assert nwb_requests(server) == 0


def test_offline_nothing_is_streamed(opened: Opened) -> None:
    with pytest.raises(OfflineError, match="network"):
        opened(offline=True).get_session_data(SESSION, stream=True)


def test_what_no_source_has(opened: Opened) -> None:
    with pytest.raises(MissingObjectError, match="session_5"):
        opened().get_session_data(5, stream=True)


def test_sources_that_cannot_be_streamed_from_say_so(opened: Opened, project: Path) -> None:
    cache = opened(source={"name": "disk", "kind": "directory", "url": str(project)})
    with pytest.raises(MissingObjectError, match="stream=False"):
        cache.get_session_data(SESSION, stream=True)


def test_pynwb_sees_it_too(opened: Opened, local: Any, server: ObjectServer) -> None:
    pytest.importorskip("pynwb")
    with opened().get_session_data(SESSION, stream=True) as session, local:
        theirs, ours = local.nwb, session.nwb
        assert nwb_requests(server) == 0
        assert ours.identifier == theirs.identifier
        np.testing.assert_array_equal(ours.units["spike_times"][3], theirs.units["spike_times"][3])
        assert nwb_requests(server) <= 2
    with opened("nothing").get_session_data(SESSION, stream=True) as session:
        assert session.nwb.identifier == theirs.identifier


def test_lfp_is_read_in_slices(opened: Opened, local: Any, server: ObjectServer) -> None:
    session = opened().get_session_data(SESSION, stream=True)
    probe = session.probes.index[0]
    lfp = session.get_lfp(probe)
    server.log.clear()
    part = lfp.isel(time=slice(5000, 5100)).to_numpy()
    assert len(server.log) == 1
    np.testing.assert_array_equal(part, local.get_lfp(probe).isel(time=slice(5000, 5100)).to_numpy())


@pytest.mark.parametrize("said", ["all", "nothing"])
def test_times_on_a_grid_are_not_read(opened: Opened, local: Any, server: ObjectServer, said: str) -> None:
    session = opened(said).get_session_data(SESSION, stream=True)
    probe = session.probes.index[0]
    times = local.get_lfp(probe).time.to_numpy()
    server.log.clear()
    found = session.get_lfp(probe).time.to_numpy()
    assert found.tobytes() == times.tobytes()
    moved = sum(each.sent for each in server.log if each.path.endswith(".nwb"))
    assert (moved == 0) == (said == "all")


def test_it_can_be_taken_to_another_process(opened: Opened) -> None:
    session = opened().get_session_data(SESSION, stream=True)
    unit = next(iter(session._spike_times._where))
    again = pickle.loads(pickle.dumps(session))
    assert not again._reader.local
    np.testing.assert_array_equal(again.spike_times[unit], session.spike_times[unit])
    spikes = pickle.loads(pickle.dumps(session._spike_times))
    np.testing.assert_array_equal(spikes[unit], session.spike_times[unit])


# Versions ---------------------------------------------------------------------------------------------


def test_a_skeleton_of_another_version_is_not_used(
    opened: Opened, server: ObjectServer, project: Path
) -> None:
    cache = opened()
    place = hidden(cache.manifest.locate(Key("session_nwb", (SESSION,))), "skeleton")
    place.parent.mkdir()
    other = next((project / f"session_{SESSION}").glob("probe_*.nwb"))
    for contents in (skeleton_of(other).to_bytes(), b"no skeleton", skeleton_of(other).to_bytes()[:500]):
        place.write_bytes(contents)
        server.log.clear()
        session = cache.get_session_data(SESSION, stream=True)
        assert session.identifier == str(SESSION)
        assert place.read_bytes() == (project / "objects" / f"session_{SESSION}.skeleton").read_bytes()


def test_a_published_skeleton_that_is_not_what_the_manifest_says(
    opened: Opened, server: ObjectServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(f"/objects/session_{SESSION}.skeleton", b"x" * 100)
    session = opened().get_session_data(SESSION, stream=True)
    assert session.identifier == str(SESSION)
    assert session._reader.skeleton is None
    assert "without its skeleton" in caplog.text


def test_a_server_with_another_version_is_refused(
    opened: Opened, server: ObjectServer, project: Path
) -> None:
    path = f"session_{SESSION}/session_{SESSION}.nwb"
    other = bytearray((project / path).read_bytes())
    for at in range(100_000, len(other), 50_000):
        other[at] ^= 1
    server.put(f"/{path}", bytes(other))
    session = opened().get_session_data(SESSION, stream=True)
    with pytest.raises(ContentError, match="another version"):
        dict(session.spike_times.items())
    server.put(f"/{path}", bytes(other) + b"more")
    for said in ("all", "no skeletons"):
        with pytest.raises(ContentError, match="another version"):
            dict(opened(said, said).get_session_data(SESSION, stream=True).spike_times.items())


def test_a_new_version_is_seen_the_next_time(opened: Opened, server: ObjectServer, project: Path) -> None:
    path = f"session_{SESSION}/session_{SESSION}.nwb"
    session = opened("nothing").get_session_data(SESSION, stream=True)
    train = session.spike_times[next(iter(session._spike_times._where))]
    other = (project / path).read_bytes().replace(np.asarray(train).tobytes(), (train + 1).tobytes())
    server.put(f"/{path}", other)
    with pytest.raises(ContentError, match="was changed"):
        dict(session.spike_times.items())
    session = opened("nothing").get_session_data(SESSION, stream=True)
    np.testing.assert_array_equal(session.spike_times[next(iter(session._spike_times._where))], train + 1)


# Where it is kept -------------------------------------------------------------------------------------


def test_a_cache_folder_that_cannot_be_written_to_is_gone_without(
    opened: Opened, server: ObjectServer, unprivileged: list[str]
) -> None:
    folder = opened().manifest.folder
    code = (
        "import sys; from project_cache import ProjectCache\n"
        "session = ProjectCache.open(sys.argv[1], progress=False).get_session_data(int(sys.argv[2]), stream=True)\n"
        "print(len(session.spike_times[next(iter(session._spike_times._where))]))"
    )
    folder.chmod(0o555)
    try:
        command = [*unprivileged, sys.executable, "-W", "ignore", "-c", code, str(folder), str(SESSION)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    assert len(server.log) == 2


def test_the_cache_may_be_moved(opened: Opened, server: ObjectServer, tmp_path: Path) -> None:
    session = opened().get_session_data(SESSION, stream=True)
    unit = next(iter(session._spike_times._where))
    train = session.spike_times[unit]
    shutil.move(tmp_path / "cache", tmp_path / "moved")
    server.log.clear()
    session = ProjectCache.open(tmp_path / "moved").get_session_data(SESSION, stream=True)
    np.testing.assert_array_equal(session.spike_times[unit], train)
    assert server.log == []


def test_blocks_are_known_by_their_digest_wherever_they_come_from(
    opened: Opened, server: ObjectServer
) -> None:
    session = opened().get_session_data(SESSION, stream=True)
    unit = next(iter(session._spike_times._where))
    train = session.spike_times[unit]
    server.log.clear()
    again = opened(source={"name": "mirror", "kind": "http", "url": f"http://localhost:{server.port}/"})
    np.testing.assert_array_equal(again.get_session_data(SESSION, stream=True).spike_times[unit], train)
    assert server.log == []
    assert len(list((again.manifest.folder / BLOCKS).glob("*.blocks"))) == 1


def test_a_streamed_session_does_not_come_into_the_way_of_fetching_it(opened: Opened, local: Any) -> None:
    cache = opened()
    assert len(cache.get_session_data(SESSION, stream=True).units)
    session = cache.get_session_data(SESSION)
    assert session.path.is_file()
    pd.testing.assert_frame_equal(session.units, local.units)


def test_headers_go_with_the_requests(project: Path, server: ObjectServer, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(
        json.dumps(
            {"format": "project_cache/1", "project": "p", "version": "1", "session_class": "EcephysSession"}
        )
    )
    relative = f"session_{SESSION}/session_{SESSION}.nwb"
    source = HttpSource("s", server.url(), lambda _: relative, headers={"X-Key": "k"})
    cache = ProjectCache(source, manifest=tmp_path / "manifest.json")
    assert cache.get_session_data(SESSION, stream=True).identifier == str(SESSION)
    assert {each.headers.get("x-key") for each in server.log} == {"k"}


# Published and frozen ---------------------------------------------------------------------------------


def test_what_was_published_is_streamed_and_frozen(
    opened: Opened, local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = opened("nothing")
    cache.fetch([SESSION])
    cache.publish(tmp_path / "published", project="lab")
    files = {
        f"/{path.relative_to(tmp_path / 'published').as_posix()}": path
        for path in (tmp_path / "published").rglob("*")
        if path.is_file()
    }
    with ObjectServer(files) as server:
        there = ProjectCache.open(server.url("/"), cache_dir=tmp_path / "mine", progress=False)
        session = there.get_session_data(SESSION, stream=True)
        unit = next(iter(session._spike_times._where))
        np.testing.assert_array_equal(session.spike_times[unit], local.spike_times[unit])
        assert nwb_requests(server) == 1
        lock = there.freeze(tmp_path / "analysis.lock.json")
        shutil.rmtree(tmp_path / "mine")
        other = tmp_path / "other"
        other.mkdir()
        frozen = ProjectCache.open(shutil.copy(lock, other / lock.name), progress=False)
        again = frozen.get_session_data(SESSION, stream=True)
        np.testing.assert_array_equal(again.spike_times[unit], local.spike_times[unit])
        data = json.loads(lock.read_text())
        data["objects"] = [each for each in data["objects"] if not each["key"].startswith("skeleton")]
        bare = tmp_path / "bare"
        bare.mkdir()
        (bare / lock.name).write_text(json.dumps(data))
        monkeypatch.setenv("PROJECT_CACHE_DIR", str(tmp_path / "fresh"))
        with pytest.raises(MissingObjectError, match="a lock takes no other bytes"):
            ProjectCache.open(bare / lock.name, progress=False).get_session_data(SESSION, stream=True)


# S3 ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[SeaweedServer]:
    try:
        server = SeaweedServer(tmp_path_factory.mktemp("weed"))
    except DependencyError as error:
        pytest.skip(str(error))
    with server:
        server.make_bucket("public")
        client = server.client()
        for path in project.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                client.upload_file(str(path), "public", f"demo/{path.relative_to(project).as_posix()}")
        client.close()
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("said", ["all", "nothing"])
def test_from_s3(
    opened: Opened, weed: SeaweedServer, local: Any, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    for name, value in weed.environment.items():
        monkeypatch.setenv(name, value)
    cache = opened(said, source={"name": "bucket", "kind": "s3", "url": "s3://public/demo"})
    session = cache.get_session_data(SESSION, stream=True)
    pd.testing.assert_frame_equal(session.units, local.units)
    for unit, train in session.spike_times.items():
        np.testing.assert_array_equal(train, local.spike_times[unit])
    assert str(session.path).startswith("s3://public/demo/session_")
    assert session._reader.remote.requests <= 12


@pytest.mark.slow
def test_an_object_in_s3_that_changes_on_the_way(
    opened: Opened, weed: SeaweedServer, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in weed.environment.items():
        monkeypatch.setenv(name, value)
    client = weed.client()
    key = f"changing/session_{SESSION}/session_{SESSION}.nwb"
    contents = (project / f"session_{SESSION}" / f"session_{SESSION}.nwb").read_bytes()
    client.put_object(Bucket="public", Key=key, Body=contents)
    cache = opened("nothing", source={"name": "bucket", "kind": "s3", "url": "s3://public/changing"})
    session = cache.get_session_data(SESSION, stream=True)
    client.put_object(Bucket="public", Key=key, Body=contents[:-1] + b"!")
    client.close()
    with pytest.raises(ContentError, match="was changed"):
        dict(session.spike_times.items())
