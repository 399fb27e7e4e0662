"""Publishing: what others open, what two publishers at once do to each other, and what is left of half a version."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.cache import ProjectCache
from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    DependencyError,
    ManifestError,
    OfflineError,
    PublishConflictError,
    ServerError,
    TransferError,
    UnknownObjectError,
)
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest, SourceEntry
from project_cache.nwb.skeleton import Skeleton
from project_cache.nwb.streamed import skeleton_key
from project_cache.publishing.destination import destination_of
from project_cache.publishing.publication import publish
from project_cache.testing.object_stores import SeaweedServer
from project_cache.testing.server import ObjectServer

SESSION = 715093703


def nwb(path: Path, seed: int, size: int = 20_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["x"] = np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def lab(folder: Path, *sessions: int, size: int = 20_000) -> ProjectCache:
    """A lab's own project: a table, and a file for each session."""
    folder.mkdir(exist_ok=True)
    layout = {"sessions": "sessions.csv", "session_nwb": "session_{0}/session_{0}.nwb"}
    about = {
        "format": "project_cache/1",
        "project": "lab",
        "version": "1",
        "layout": layout,
        "session_class": "Session",
    }
    (folder / "manifest.json").write_text(json.dumps(about))
    (folder / "sessions.csv").write_text("id,sex\n" + "".join(f"{n},F\n" for n in sessions))
    for n in sessions:
        if not (folder / f"session_{n}" / f"session_{n}.nwb").exists():
            nwb(folder / f"session_{n}" / f"session_{n}.nwb", n, size)
    return ProjectCache.open(folder, offline=True)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def objects(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in (folder / "objects").rglob("*") if p.is_file()
    }


# What is there ---------------------------------------------------------------------------------


def test_others_open_what_was_published(drive: Path, tmp_path: Path) -> None:
    own = ProjectCache.open(drive, offline=True)
    done = own.publish(tmp_path / "pub")
    assert (done.new, done.version.version, done.objects, done.uploaded) == (True, "1", 12, 12)
    theirs = ProjectCache.open(tmp_path / "pub", offline=True)
    for name in ("get_session_table", "get_probes", "get_channels", "get_units"):
        pd.testing.assert_frame_equal(getattr(theirs, name)(), getattr(own, name)())
    pd.testing.assert_frame_equal(
        theirs.get_unit_analysis_metrics_for_session(SESSION),
        own.get_unit_analysis_metrics_for_session(SESSION),
    )
    pd.testing.assert_frame_equal(
        theirs.get_unit_analysis_metrics_by_session_type("brain_observatory_1.1"),
        own.get_unit_analysis_metrics_by_session_type("brain_observatory_1.1"),
    )
    session = theirs.get_session_data(SESSION)
    pd.testing.assert_frame_equal(session.units, own.get_session_data(SESSION).units)
    assert [v.state for v in theirs.verify()] == ["good"] * 12


def test_the_manifest_names_each_object_with_its_digest_and_where_it_is(drive: Path, tmp_path: Path) -> None:
    ProjectCache.open(drive, offline=True).publish(tmp_path / "pub", description="All of it.")
    found = Manifest.read(tmp_path / "pub" / "manifest.json")
    assert found.description == "All of it."
    for entry in found.objects:
        path = tmp_path / "pub" / str(entry.path)
        assert (path.stat().st_size, digest_of(path)) == (entry.size, entry.digest)
    tables = {str(e.key): e.path for e in found.objects if str(e.path).endswith(".parquet")}
    assert set(tables) >= {"sessions", "probes", "channels", "units"}


def test_each_hdf5_file_comes_with_its_skeleton(drive: Path, tmp_path: Path) -> None:
    ProjectCache.open(drive, offline=True).publish(tmp_path / "pub")
    found = Manifest.read(tmp_path / "pub" / "manifest.json")
    key = Key("session_nwb", (SESSION,))
    skeleton = Skeleton.from_bytes(found.locate(skeleton_key(key)).read_bytes())
    assert skeleton.digest == found.entry(key).digest
    assert skeleton.size == found.entry(key).size


def test_a_table_that_parquet_cannot_hold_stays_csv(tmp_path: Path) -> None:
    cache = lab(tmp_path / "lab", 1)
    (tmp_path / "lab" / "sessions.csv").write_text("id,name\n" + "1,7\n" * 400_000 + "2,a\n")
    with pytest.warns(pd.errors.DtypeWarning):
        cache.publish(tmp_path / "pub")
    assert str(Manifest.read(tmp_path / "pub" / "manifest.json").entry(Key("sessions")).path).endswith(
        "sessions.csv"
    )


def test_some_sessions_and_tables_only(tmp_path: Path) -> None:
    lab(tmp_path / "lab", 1, 2, 3).publish(tmp_path / "pub", sessions=[2], tables=["sessions"])
    found = Manifest.read(tmp_path / "pub" / "manifest.json")
    assert sorted(str(e.key) for e in found.objects) == [
        "session_nwb/2",
        "sessions",
        "skeleton/session_nwb/2",
    ]
    theirs = ProjectCache.open(tmp_path / "pub")
    with pytest.raises(UnknownObjectError, match="no session_nwb/1; it names 1 objects of that kind"):
        theirs.store.get(Key("session_nwb", (1,)))


def test_of_a_session_that_was_built_twice_the_last_is_published_under_its_id(tmp_path: Path) -> None:
    folder = tmp_path / "built"
    for n, recipe in enumerate(("aaaa", "bbbb")):
        path = folder / "session_668755_2023-08-31" / f"session_668755_2023-08-31_{recipe}.nwb"
        nwb(path, n)
        os.utime(path, (1_600_000_000 + n, 1_600_000_000 + n))
    layout = {"session_nwb": "session_{0}/session_{0}_{1}.nwb"}
    about = {"format": "project_cache/1", "project": "built", "version": "1", "layout": layout}
    (folder / "manifest.json").write_text(json.dumps(about))
    ProjectCache.open(folder, offline=True).publish(tmp_path / "pub")
    theirs = ProjectCache.open(tmp_path / "pub")
    assert sorted(map(str, theirs.store.present())) == [
        "session_nwb/668755_2023-08-31", "skeleton/session_nwb/668755_2023-08-31",
    ]  # fmt: skip
    assert theirs.store.get(Key("session_nwb", ("668755_2023-08-31",))).read_bytes() == path.read_bytes()


def test_nothing_is_published_of_nothing(tmp_path: Path) -> None:
    cache = lab(tmp_path / "lab")
    (tmp_path / "lab" / "sessions.csv").unlink()
    with pytest.raises(ConfigurationError, match="nothing to publish"):
        cache.publish(tmp_path / "pub")
    assert not (tmp_path / "pub").exists()


# Versions --------------------------------------------------------------------------------------


def test_a_version_adds_what_changed_and_the_old_one_stays(tmp_path: Path) -> None:
    lab(tmp_path / "lab", 1, 2).publish(tmp_path / "pub")
    before = objects(tmp_path / "pub")
    nwb(tmp_path / "lab/session_2/session_2.nwb", 22)
    done = lab(tmp_path / "lab", 1, 2, 3).publish(tmp_path / "pub")
    # the table, two files and their skeletons
    assert (done.version.version, done.objects, done.uploaded) == ("2", 7, 5)
    after = objects(tmp_path / "pub")
    assert {name: after[name] for name in before} == before
    one, two = (ProjectCache.open(tmp_path / "pub" / f"manifest-{n}.json") for n in (1, 2))
    assert len(one.tables.session_ids()) == 2
    assert len(two.tables.session_ids()) == 3
    key = Key("session_nwb", (2,))
    assert one.store.get(key).read_bytes() != two.store.get(key).read_bytes()
    assert two.store.get(key).read_bytes() == (tmp_path / "lab/session_2/session_2.nwb").read_bytes()
    assert ProjectCache.open(tmp_path / "pub").manifest.version == "2"
    assert [v.version for v in ProjectCache.published_versions(tmp_path / "pub")] == ["1", "2"]


def test_what_is_there_already_is_not_published_again(tmp_path: Path) -> None:
    cache = lab(tmp_path / "lab", 1)
    first = cache.publish(tmp_path / "pub")
    before = (tmp_path / "pub/manifest.json").read_bytes()
    again = cache.publish(tmp_path / "pub")
    assert (again.new, again.version, again.uploaded) == (False, first.version, 0)
    assert (tmp_path / "pub/manifest.json").read_bytes() == before
    assert "was published already" in str(again)


def test_an_object_that_got_lost_there_goes_up_again(tmp_path: Path) -> None:
    cache = lab(tmp_path / "lab", 1)
    cache.publish(tmp_path / "pub")
    found = Manifest.read(tmp_path / "pub/manifest.json")
    for key in (Key("session_nwb", (1,)), skeleton_key(Key("session_nwb", (1,)))):
        found.locate(key).unlink()
    again = cache.publish(tmp_path / "pub")
    assert (again.new, again.uploaded) == (False, 2)
    assert [v.state for v in ProjectCache.open(tmp_path / "pub").verify()] == ["good"] * 3


def test_versions_are_counted_on_or_named(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    assert lab(folder, 1).publish(tmp_path / "pub", "2026.09").version.version == "2026.09"
    assert lab(folder, 1, 2).publish(tmp_path / "pub").version.version == "2026.10"
    assert lab(folder, 1, 2, 3).publish(tmp_path / "pub", "final").version.version == "final"
    with pytest.raises(ConfigurationError, match="Say what follows it"):
        lab(folder, 1, 2, 3, 4).publish(tmp_path / "pub")
    with pytest.raises(ConfigurationError, match="has a version 2026.10 already"):
        lab(folder, 1, 2, 3, 4).publish(tmp_path / "pub", "2026.10")
    with pytest.raises(ConfigurationError, match="cannot be called"):
        lab(folder, 1).publish(tmp_path / "pub", "../2")


def test_what_is_only_at_the_destination_stays_in_the_next_version(tmp_path: Path) -> None:
    lab(tmp_path / "lab", 1, 2).publish(tmp_path / "pub")
    # a colleague opens it, has one session of it, and adds one
    mine = tmp_path / "mine"
    text = (tmp_path / "pub/manifest.json").read_text()
    data = json.loads(text)
    data["sources"] = [{"name": "pub", "kind": "directory", "url": str(tmp_path / "pub")}]
    mine.mkdir()
    (mine / "manifest.json").write_text(json.dumps(data))
    cache = ProjectCache.open(mine)
    cache.store.get(Key("session_nwb", (1,)))
    cache.publish(tmp_path / "pub")
    found = Manifest.read(tmp_path / "pub/manifest.json")
    assert found.version == "1"
    assert len(list(found.objects)) == 5


def test_a_place_that_is_something_else_is_left_alone(tmp_path: Path, drive: Path) -> None:
    cache = lab(tmp_path / "lab", 1)
    before = names(drive)
    with pytest.raises(ConfigurationError, match="somebody's cache"):
        cache.publish(drive)
    assert names(drive) == before
    cache.publish(tmp_path / "pub")
    with pytest.raises(ConfigurationError, match="has the project lab, not drive"):
        ProjectCache.open(drive, offline=True).publish(tmp_path / "pub")
    with pytest.raises(ConfigurationError, match="to a folder or to s3://"):
        cache.publish("https://me:secret@example.org/p?sig=secret")
    with pytest.raises(ManifestError, match="Nothing is published"):
        ProjectCache.published_versions(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_changed_in_silence_is_not_published(tmp_path: Path) -> None:
    cache = lab(tmp_path / "lab", 1)
    cache.verify()  # from now on its digest is known
    path = tmp_path / "lab/session_1/session_1.nwb"
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 255
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(CorruptObjectError, match="not what it"):
        cache.publish(tmp_path / "pub")
    assert not (tmp_path / "pub/manifest.json").exists()


def test_a_file_that_changes_on_its_way_up_gets_no_name(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"other bytes")
    place = destination_of(tmp_path / "pub")
    with pytest.raises(CorruptObjectError, match="was not published"):
        place.upload("objects/x.csv", tmp_path / "x.csv", "blake3:" + "0" * 64, lambda count: None)
    assert [p for p in (tmp_path / "pub").rglob("*") if p.is_file()] == []


# Two at once, and half a version ---------------------------------------------------------------


def test_of_two_at_once_one_loses_and_overwrites_nothing(tmp_path: Path) -> None:
    one, other = lab(tmp_path / "one", 1), lab(tmp_path / "other", 1, 2)
    lab(tmp_path / "first", 9).publish(tmp_path / "pub")
    quicker = []

    def meanwhile(done: int, total: int | None) -> None:
        if not quicker:
            quicker.append(other.publish(tmp_path / "pub"))

    with pytest.raises(PublishConflictError, match="Somebody else published"):
        publish(one.store, tmp_path / "pub", progress=meanwhile)
    assert ProjectCache.open(tmp_path / "pub").manifest.version == "2"
    assert len(ProjectCache.open(tmp_path / "pub").tables.session_ids()) == 2
    # what went up stays, so only the manifest is missing
    again = one.publish(tmp_path / "pub")
    assert (again.version.version, again.uploaded) == ("3", 0)


def test_whoever_opens_it_meanwhile_sees_the_old_version_whole(tmp_path: Path) -> None:
    lab(tmp_path / "lab", 1).publish(tmp_path / "pub")
    nwb(tmp_path / "lab/session_1/session_1.nwb", 11)
    cache = lab(tmp_path / "lab", 1, 2, 3)
    seen = []

    def look(done: int, total: int | None) -> None:
        found = Manifest.read(tmp_path / "pub/manifest.json")
        seen.append(found.version)
        assert all(found.locate(e.key).stat().st_size == e.size for e in found.objects)

    publish(cache.store, tmp_path / "pub", progress=look)
    assert len(seen) > 5
    assert set(seen) == {"1"}


PUBLISHER = """
    import sys
    from pathlib import Path
    from project_cache.cache import ProjectCache
    from project_cache.errors import PublishConflictError
    cache = ProjectCache.open(sys.argv[1], offline=True)
    print("ready", flush=True)
    sys.stdin.readline()
    lost = 0
    while True:
        try:
            print(cache.publish(sys.argv[2]).version.version, lost, flush=True)
            break
        except PublishConflictError:
            lost += 1
"""


def publisher(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PUBLISHER), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def raced(count: int, tmp_path: Path, destination: object) -> list[int]:
    """Let processes publish at once, each until it has, and return the versions that they made."""
    running = []
    for n in range(count):
        lab(tmp_path / f"lab{n}", n)
        running.append(publisher(tmp_path / f"lab{n}", destination))
    made = []
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        made.append(int(out.split()[0]))
    return sorted(made)


def test_processes_that_race_each_get_a_version_of_their_own(tmp_path: Path) -> None:
    assert raced(4, tmp_path, tmp_path / "pub") == [1, 2, 3, 4]
    assert [v.version for v in ProjectCache.published_versions(tmp_path / "pub")] == ["1", "2", "3", "4"]
    seen = set()
    for n in (1, 2, 3, 4):
        found = Manifest.read(tmp_path / "pub" / f"manifest-{n}.json")
        assert found.version == str(n)
        [key] = [e.key for e in found.objects if e.key.kind == "session_nwb"]
        assert (
            found.locate(key).read_bytes()
            == (
                tmp_path / f"lab{key.args[0]}/session_{key.args[0]}" / f"session_{key.args[0]}.nwb"
            ).read_bytes()
        )
        seen.add(key)
    assert len(seen) == 4
    assert (tmp_path / "pub/manifest.json").read_bytes() == (tmp_path / "pub/manifest-4.json").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_publisher_that_is_killed_leaves_the_old_version_and_the_next_run_adds_what_is_missing(
    tmp_path: Path,
) -> None:
    lab(tmp_path / "lab", 1).publish(tmp_path / "pub")
    before = (tmp_path / "pub/manifest.json").read_bytes()
    cache = lab(tmp_path / "lab", *range(1, 25), size=4_000_000)
    process = publisher(tmp_path / "lab", tmp_path / "pub")
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "pub/objects").glob("session_*/*/*.nwb"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert names(tmp_path / "pub") == ["manifest-1.json", "manifest.json", "objects"]
    assert (tmp_path / "pub/manifest.json").read_bytes() == before
    arrived = len(list((tmp_path / "pub/objects").glob("session_*/*/*.nwb")))
    done = cache.publish(tmp_path / "pub")
    # all 24 files, all 24 skeletons and the table, without what is there
    assert done.version.version == "2"
    assert done.uploaded <= 49 - arrived
    assert {v.state for v in ProjectCache.open(tmp_path / "pub").verify()} == {"good"}


def test_a_version_that_was_made_and_not_yet_the_newest_is_helped_on(tmp_path: Path) -> None:
    lab(tmp_path / "lab", 1).publish(tmp_path / "pub")
    old = (tmp_path / "pub/manifest.json").read_bytes()
    cache = lab(tmp_path / "lab", 1, 2)
    cache.publish(tmp_path / "pub")
    (tmp_path / "pub/manifest.json").write_bytes(old)  # as if it had been killed between the two
    assert [v.version for v in ProjectCache.published_versions(tmp_path / "pub")] == ["1", "2"]
    again = cache.publish(tmp_path / "pub")
    assert (again.new, again.version.version) == (False, "2")
    assert Manifest.read(tmp_path / "pub/manifest.json").version == "2"


def test_half_a_manifest_is_nobodys_version(tmp_path: Path) -> None:
    cache = lab(tmp_path / "lab", 1)
    cache.publish(tmp_path / "pub")
    (tmp_path / "pub/manifest-2.json").write_text('{"format": "project_ca')
    with pytest.raises(ManifestError, match="not whole"):
        cache.publish(tmp_path / "pub")


def test_without_hard_links_a_name_is_still_taken_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def linkless(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", linkless)
    place = destination_of(tmp_path / "pub")
    assert place.create("manifest-1.json", b"one")
    assert not place.create("manifest-1.json", b"two")
    assert place.read("manifest-1.json") is not None
    assert names(tmp_path / "pub") == ["manifest-1.json"]


# Buckets ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """A real S3 server."""
    try:
        server = SeaweedServer(tmp_path_factory.mktemp("weed"))
    except DependencyError as error:
        pytest.skip(str(error))
    with server:
        server.make_bucket("public")
        yield server


@pytest.fixture
def bucket(weed: SeaweedServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A prefix of a bucket that nobody else writes to, with the rights to do so."""
    for name, value in weed.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://public/{request.node.name[:40]}/a project"


@pytest.mark.slow
def test_a_bucket_keeps_versions_as_a_folder_does(tmp_path: Path, bucket: str, weed: SeaweedServer) -> None:
    first = lab(tmp_path / "lab", 1, 2, size=11_000_000).publish(bucket)
    assert (first.version.version, first.uploaded) == ("1", 5)
    done = lab(tmp_path / "lab", 1, 2, 3).publish(bucket)
    assert (done.version.version, done.uploaded) == ("2", 3)
    assert lab(tmp_path / "lab", 1, 2, 3).publish(bucket).uploaded == 0
    assert [v.manifest for v in ProjectCache.published_versions(bucket)] == [
        "manifest-1.json",
        "manifest-2.json",
    ]
    client = weed.client()
    prefix = bucket.removeprefix("s3://public/") + "/"
    texts = {
        name: client.get_object(Bucket="public", Key=prefix + name)["Body"].read()
        for name in ("manifest.json", "manifest-1.json", "manifest-2.json")
    }
    assert texts["manifest.json"] == texts["manifest-2.json"]
    for name in ("manifest-1.json", "manifest-2.json"):
        for entry in Manifest.parse(texts[name].decode(), folder=tmp_path / "c", origin=bucket).objects:
            (tmp_path / "body").write_bytes(
                client.get_object(Bucket="public", Key=prefix + str(entry.path))["Body"].read()
            )
            assert (digest_of(tmp_path / "body"), (tmp_path / "body").stat().st_size) == (
                entry.digest,
                entry.size,
            )
    client.close()


@pytest.mark.slow
def test_processes_that_race_for_a_bucket_each_get_a_version(tmp_path: Path, bucket: str) -> None:
    assert raced(3, tmp_path, bucket) == [1, 2, 3]
    assert [v.version for v in ProjectCache.published_versions(bucket)] == ["1", "2", "3"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_publisher_to_a_bucket_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, bucket: str, weed: SeaweedServer
) -> None:
    lab(tmp_path / "lab", 1).publish(bucket)
    cache = lab(tmp_path / "lab", *range(1, 17), size=9_000_000)
    process = publisher(tmp_path / "lab", bucket)
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    client = weed.client()
    prefix = bucket.removeprefix("s3://public/")

    def there() -> list[str]:
        found = client.list_objects_v2(Bucket="public", Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in found]

    deadline = time.monotonic() + 60
    while sum(name.endswith(".nwb") for name in there()) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [name.rpartition("/")[2] for name in there() if name.endswith(".json")] == [
        "manifest-1.json",
        "manifest.json",
    ]
    arrived = sum("/objects/" in name for name in there())
    done = cache.publish(bucket)
    client.close()
    assert done.version.version == "2"
    # 16 files, 16 skeletons and two tables in all
    assert done.uploaded == 34 - arrived


@pytest.mark.slow
def test_a_file_that_changed_makes_no_object_in_the_bucket(
    tmp_path: Path, bucket: str, weed: SeaweedServer
) -> None:
    (tmp_path / "x.nwb").write_bytes(bytes(20_000_000))
    place = destination_of(bucket)
    with pytest.raises(CorruptObjectError, match="was not published"):
        place.upload("objects/x.nwb", tmp_path / "x.nwb", "blake3:" + "0" * 64, lambda count: None)
    assert not place.holds("objects/x.nwb", 20_000_000, "blake3:" + "0" * 64)
    place.close()


@pytest.mark.slow
def test_a_bucket_says_no_in_one_sentence(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = lab(tmp_path / "lab", 1)
    with pytest.raises(ServerError, match="There is no bucket"):
        cache.publish("s3://no-such-bucket/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-SECRET")
    with pytest.raises(ServerError, match="403") as said:
        cache.publish(bucket)
    assert "SECRET" not in str(said.value)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(TransferError, match="AWS_PROFILE"):
        cache.publish(bucket)


class Overwriting(BaseHTTPRequestHandler):
    """A server that takes everything and knows no conditions."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_server_that_knows_no_conditions_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    cache = lab(tmp_path / "lab", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Overwriting) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            with pytest.raises(TransferError, match="overwrites what it was asked not to"):
                cache.publish("s3://bucket/p", endpoint_url=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def test_conditions_are_kept_by_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto")
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto.mock_aws():
        import boto3

        boto3.client("s3").create_bucket(Bucket="lab")
        place = destination_of("s3://lab/p")
        assert place.read("manifest.json") is None
        assert place.create("manifest-1.json", b"one")
        assert not place.create("manifest-1.json", b"two")
        assert place.swap("manifest.json", b"one", None)
        assert not place.swap("manifest.json", b"two", None)
        found = place.read("manifest.json")
        assert found is not None
        assert place.swap("manifest.json", b"two", found[1])
        assert not place.swap("manifest.json", b"three", found[1])
        now = place.read("manifest.json")
        assert now is not None
        assert now[0] == b"two"
        place.close()


# Locks -----------------------------------------------------------------------------------------


def test_a_lock_opens_what_was_used_and_nothing_else(drive: Path, tmp_path: Path) -> None:
    cache = ProjectCache.open(drive, offline=True)
    units = cache.get_session_data(SESSION).units
    lock = cache.freeze(tmp_path / "analysis.lock.json")
    again = ProjectCache.open(lock, offline=True)
    pd.testing.assert_frame_equal(again.get_session_data(SESSION).units, units)
    frozen = {str(key) for key in again.store.present()}
    assert frozen == {str(e.key) for e in again.manifest.objects}
    assert f"session_nwb/{SESSION}" in frozen
    probe = Key("probe_lfp_nwb", (SESSION, 811458797))
    assert cache.store.find(probe) is not None
    assert again.store.find(probe) is None
    with pytest.raises(UnknownObjectError, match="not among the .* objects that the lock"):
        again.store.get(probe)


def test_a_lock_holds_after_both_were_moved(drive: Path, tmp_path: Path) -> None:
    cache = ProjectCache.open(drive, offline=True)
    assert cache.get_session_data(SESSION).num_units == 26
    lock = cache.freeze(tmp_path / "analysis.lock.json")
    assert str(tmp_path) not in lock.read_text()
    (tmp_path / "elsewhere").mkdir()
    for each in (drive, lock):
        each.rename(tmp_path / "elsewhere" / each.name)
    again = ProjectCache.open(tmp_path / "elsewhere" / lock.name, offline=True)
    assert again.get_session_data(SESSION).num_units == 26


def test_a_lock_takes_no_other_bytes(drive: Path, tmp_path: Path) -> None:
    cache = ProjectCache.open(drive, offline=True)
    cache.get_session_data(SESSION)
    lock = cache.freeze(tmp_path / "analysis.lock.json")
    path = drive / f"session_{SESSION}" / f"session_{SESSION}.nwb"
    data = bytearray(path.read_bytes())
    data[5_000_000] ^= 255
    path.write_bytes(data)
    # the open project takes it, as nothing says what it should be; the lock knows
    assert ProjectCache.open(drive, offline=True).store.find(Key("session_nwb", (SESSION,))) == path
    with pytest.raises(CorruptObjectError, match="not what was frozen"):
        ProjectCache.open(lock, offline=True).get_session_data(SESSION)


def test_a_lock_fetches_from_where_the_project_came(tmp_path: Path) -> None:
    lab(tmp_path / "origin", 1, 2)
    about = json.loads((tmp_path / "origin/manifest.json").read_text())
    about["sources"] = [{"name": "drive", "kind": "directory", "url": "../origin"}]
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/manifest.json").write_text(json.dumps(about))
    cache = ProjectCache.open(tmp_path / "cache")
    key = Key("session_nwb", (1,))
    lock = cache.freeze(tmp_path / "a" / "analysis.lock.json", [key])
    shutil.rmtree(tmp_path / "cache")
    again = ProjectCache.open(lock)
    assert again.manifest.folder == Path(os.environ["PROJECT_CACHE_DIR"]) / "lab"
    assert again.store.get(key).read_bytes() == (tmp_path / "origin/session_1/session_1.nwb").read_bytes()
    # another version there: what was frozen is not to be had any more, and nothing else is taken for it
    again.store.get(key).unlink()
    nwb(tmp_path / "origin/session_1/session_1.nwb", 99)
    with pytest.raises(CorruptObjectError, match="other bytes than the manifest says"):
        ProjectCache.open(lock).store.get(key)


def served(folder: Path) -> dict[str, bytes]:
    return {f"/{p.relative_to(folder).as_posix()}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_published_folder_is_opened_from_a_web_server_and_so_is_its_lock(
    drive: Path, tmp_path: Path
) -> None:
    own = ProjectCache.open(drive, offline=True)
    own.publish(tmp_path / "pub")
    (tmp_path / "pub" / "units.csv").write_text("nothing of the project")
    with ObjectServer(served(tmp_path / "pub")) as server:
        theirs = ProjectCache.open(server.url("/"))
        pd.testing.assert_frame_equal(theirs.get_units(), own.get_units())
        # metrics that are here are among a session's units
        theirs.get_unit_analysis_metrics_for_session(SESSION)
        pd.testing.assert_frame_equal(
            theirs.get_session_data(SESSION).units, own.get_session_data(SESSION).units
        )
        lock = theirs.freeze(tmp_path / "analysis.lock.json")
        shutil.rmtree(theirs.manifest.folder)
        again = ProjectCache.open(lock)
        pd.testing.assert_frame_equal(
            again.get_session_data(SESSION).units, own.get_session_data(SESSION).units
        )
        assert again.manifest.folder != theirs.manifest.folder


def test_an_old_version_is_opened_from_a_web_server(tmp_path: Path) -> None:
    lab(tmp_path / "lab", 1).publish(tmp_path / "pub")
    nwb(tmp_path / "lab/session_1/session_1.nwb", 11)
    lab(tmp_path / "lab", 1, 2).publish(tmp_path / "pub")
    key = Key("session_nwb", (1,))
    with ObjectServer(served(tmp_path / "pub")) as server:
        old, new = (ProjectCache.open(server.url(path)) for path in ("/manifest-1.json", "/manifest.json"))
        assert (old.manifest.version, new.manifest.version) == ("1", "2")
        assert old.manifest.folder == new.manifest.folder
        one, two = old.store.get(key), new.store.get(key)
        assert one != two
        assert two.read_bytes() == (tmp_path / "lab/session_1/session_1.nwb").read_bytes()
        assert one.read_bytes() != two.read_bytes()


def test_nothing_used_is_nothing_to_freeze(tmp_path: Path) -> None:
    cache = lab(tmp_path / "lab", 1)
    with pytest.raises(ConfigurationError, match="nothing to freeze"):
        cache.freeze(tmp_path / "analysis.lock.json")
    assert not (tmp_path / "analysis.lock.json").exists()


def test_an_object_that_was_streamed_is_frozen_by_the_manifests_digest(tmp_path: Path) -> None:
    lab(tmp_path / "lab", 1).publish(tmp_path / "pub")
    text = (tmp_path / "pub/manifest.json").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/manifest.json").write_text(text)
    cache = ProjectCache.open(tmp_path / "mine", offline=True)
    key = Key("session_nwb", (1,))
    with pytest.raises((OfflineError, FileNotFoundError)):
        cache.store.get(key)
    cache.store.hand_out(key)
    found = Manifest.read(cache.freeze(tmp_path / "analysis.lock.json"))
    assert found.entry(key).digest == cache.manifest.entry(key).digest
    unknown = lab(tmp_path / "lab", 1)
    (tmp_path / "lab/session_1/session_1.nwb").unlink()
    unknown.store.hand_out(key)
    with pytest.raises(ConfigurationError, match="was streamed"):
        unknown.freeze(tmp_path / "other.lock.json")


def test_no_secret_is_written_down(tmp_path: Path) -> None:
    cache = lab(tmp_path / "lab", 1)
    secret = SourceEntry(
        "web", "http", "https://me:hunter2@example.org/p?X-Amz-Signature=hunter2&versionId=3"
    )
    cache.manifest = dataclasses.replace(cache.manifest, sources=(secret,))
    cache.store.get(Key("sessions"))
    text = cache.freeze(tmp_path / "analysis.lock.json").read_text()
    assert "https://example.org/p" in text
    assert "hunter2" not in text
    cache.publish(tmp_path / "pub")
    assert "hunter2" not in (tmp_path / "pub/manifest.json").read_text()
