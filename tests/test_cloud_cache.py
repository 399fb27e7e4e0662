"""Projects in versions: from a real S3 server where there is one, and from folders as AllenSDK leaves them."""

from __future__ import annotations

import functools
import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import pytest

from project_cache import ProjectCache, VisualBehaviorNeuropixelsProjectCache
from project_cache.cloud_folder import OutdatedManifestWarning
from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    DependencyError,
    ManifestError,
    MissingObjectError,
    OfflineError,
    TransferError,
    UnknownObjectError,
)
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.manifest.schema import shipped_manifest
from project_cache.opening import RELEASED
from project_cache.store.links import hard_link, kept_once, relative_link
from project_cache.testing.object_stores import SeaweedServer

Cache = VisualBehaviorNeuropixelsProjectCache
PROJECT = "visual-behavior-neuropixels"
BUCKET = "visual-behavior-neuropixels-data"
OLD, NEW = (f"{PROJECT}_project_manifest_v{version}.json" for version in ("0.9.0", "0.10.0"))
S1, S2, S3 = 1001, 1002, 1003
SAME = f"behavior_ecephys_sessions/{S1}/ecephys_session_{S1}.nwb"
CHANGED = f"behavior_ecephys_sessions/{S1}/probe_probeA_lfp.nwb"


# A project ------------------------------------------------------------------------------------


def nwb(folder: Path, name: str) -> bytes:
    path = folder / f"{name}.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.5.0"
        file["identifier"] = name
        file["filler"] = list(range(2000))
    return path.read_bytes()


def csv(rows: list[dict[str, Any]]) -> bytes:
    return pd.DataFrame(rows).to_csv(index=False).encode()


def files_of(folder: Path, version: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the tables by name and the data files by file id."""
    lfp = "lfp of old" if version == "0.9.0" else "lfp"
    data = {
        "1": (SAME, nwb(folder, "session 1")),
        "2": (CHANGED, nwb(folder, lfp)),
        "3": (f"behavior_only_sessions/{77}/behavior_session_{77}.nwb", nwb(folder, "training")),
        "4": ("elsewhere/thing.nwb", nwb(folder, "odd")),
    }
    session = {"date_of_acquisition": "2020-08-19", "unit_count": 2.0, "abnormal_activity": None}
    tables = {
        "ecephys_sessions": csv(
            [
                {"ecephys_session_id": S1, **session, "abnormal_histology": None, "file_id": 1},
                {"ecephys_session_id": S2, **session, "abnormal_histology": "['x']", "file_id": 4},
                {"ecephys_session_id": S3, **session, "abnormal_histology": None, "file_id": -999},
            ]
        ),
        "behavior_sessions": csv(
            [
                {"behavior_session_id": 77, "ecephys_session_id": None, "file_id": 3, "image_set": "None"},
                {"behavior_session_id": 78, "ecephys_session_id": S1, "file_id": -999, "image_set": "G"},
                {"behavior_session_id": 79, "ecephys_session_id": None, "file_id": -999, "image_set": None},
            ]
        ),
        "probes": csv(
            [
                {"ecephys_probe_id": 5, "ecephys_session_id": S1, "name": "probeA", "has_lfp_data": True}
                | {"lfp_sampling_rate": 1250.0, "file_id": 2},
                {"ecephys_probe_id": 6, "ecephys_session_id": S1, "name": "probeB", "has_lfp_data": False}
                | {"lfp_sampling_rate": 1250.0, "file_id": -999},
            ]
        ),
        "channels": csv([{"ecephys_channel_id": 9, "ecephys_probe_id": 5}]),
        "units": csv([{"unit_id": n, "ecephys_channel_id": 9, "snr": n / 3} for n in range(50)]),
    }
    if version == "0.9.0":
        tables["channels"] = csv([{"ecephys_channel_id": 8, "ecephys_probe_id": 5}])
    return {f"project_metadata/{name}.csv": each for name, each in tables.items()}, data  # type: ignore[return-value]


def manifest_of(version: str, tables: dict[str, bytes], data: Any, ids: dict[str, str]) -> bytes:
    def entry(place: str, content: bytes) -> dict[str, str]:
        url = f"https://{BUCKET}.s3.us-west-2.amazonaws.com/{PROJECT}/{place}"
        return {"url": url, "version_id": ids.get(place, ""), "file_hash": blake2b(content).hexdigest()}

    return json.dumps(
        {
            "project_name": PROJECT,
            "manifest_version": version,
            "metadata_file_id_column_name": "file_id",
            "data_pipeline": [{"name": "AllenSDK", "version": "2.16.2"}],
            "metadata_files": {Path(place).stem: entry(place, each) for place, each in tables.items()},
            "data_files": {n: entry(*each) for n, each in data.items()},
        }
    ).encode()


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, bytes], Any]]:
    folder = tmp_path_factory.mktemp("made")
    return {version: files_of(folder, version) for version in ("0.9.0", "0.10.0")}


@pytest.fixture
def filled(versions: dict[str, Any], tmp_path: Path) -> Path:
    """A folder as AllenSDK leaves it, with absolute links from the newer version to the older."""
    folder = tmp_path / "allen"
    for version, (tables, data) in versions.items():
        for place, content in [*tables.items(), *data.values()]:
            path = folder / f"{PROJECT}-{version}" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            twin = folder / f"{PROJECT}-0.9.0" / place
            if twin.exists() and twin.read_bytes() == content:
                path.symlink_to(twin)
            else:
                path.write_bytes(content)
        name = f"{PROJECT}_project_manifest_v{version}.json"
        (folder / name).write_bytes(manifest_of(version, tables, data, {}))
    (folder / "_manifest_last_used.txt").write_text(NEW)
    return folder


@pytest.fixture(scope="module")
def server(versions: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    try:
        server = SeaweedServer(tmp_path_factory.mktemp("weed"), public=(BUCKET, "lab"))
    except DependencyError as reason:
        pytest.skip(str(reason))
    with server:
        server.make_bucket(BUCKET, versions=True)
        server.make_bucket("lab")
        client = server.client()
        ids: dict[str, str] = {}
        for version, (tables, data) in versions.items():
            for place, content in [*tables.items(), *data.values()]:
                said = client.put_object(Bucket=BUCKET, Key=f"{PROJECT}/{place}", Body=content)
                ids[place] = said["VersionId"]
            name = f"{PROJECT}/manifests/{PROJECT}_project_manifest_v{version}.json"
            client.put_object(Bucket=BUCKET, Key=name, Body=manifest_of(version, tables, data, ids))
        client.put_object(Bucket=BUCKET, Key=f"{PROJECT}/manifests/README.json", Body=b"{}")
        client.close()
        yield server


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's credentials, and no machine that could give some."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none either"))


@pytest.fixture
def bucket(server: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> SeaweedServer:
    """The server, as all S3 of this process."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint_url)
    return server


def nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")


def visible(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name[0] != "."
    )


# From the bucket -------------------------------------------------------------------------------


def test_a_new_cache_has_the_newest_manifest_and_nothing_else(bucket: SeaweedServer, tmp_path: Path) -> None:
    cache = Cache.from_s3_cache(tmp_path / "cache")
    assert visible(tmp_path / "cache") == ["_manifest_last_used.txt", NEW]
    assert cache.current_manifest() == NEW
    assert (tmp_path / "cache" / "_manifest_last_used.txt").read_text() == NEW
    assert cache.list_manifest_file_names() == [OLD, NEW]
    assert cache.list_all_downloaded_manifests() == [NEW]
    assert cache.latest_manifest_file() == cache.latest_downloaded_manifest_file() == NEW
    assert cache.manifest_path == str(tmp_path / "cache" / NEW)
    assert "visual-behavior-neuropixels" in repr(cache)


def test_a_table_is_fetched_when_it_is_asked_for(bucket: SeaweedServer, tmp_path: Path) -> None:
    cache = Cache.from_s3_cache(tmp_path)
    assert cache.get_unit_table().shape == (50, 2)
    assert visible(tmp_path / f"{PROJECT}-0.10.0") == ["project_metadata/units.csv"]


def test_a_cache_that_has_a_manifest_asks_nobody(
    bucket: SeaweedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Cache.from_s3_cache(tmp_path)
    first.get_probe_table()
    nothing_listens(monkeypatch)
    cache = Cache.from_s3_cache(tmp_path)
    assert len(cache.get_probe_table()) == 2
    monkeypatch.setenv("PROJECT_CACHE_OFFLINE", "1")
    cache = Cache.from_s3_cache(tmp_path)
    with pytest.raises(OfflineError, match="network is not to be used"):
        cache.get_unit_table()


def test_sessions_and_their_files(bucket: SeaweedServer, tmp_path: Path) -> None:
    cache = Cache.from_s3_cache(tmp_path)
    session = cache.get_ecephys_session(S1)
    assert session.identifier == "session 1"
    assert session.path == tmp_path / f"{PROJECT}-0.10.0" / SAME
    assert not (tmp_path / f"{PROJECT}-0.10.0" / CHANGED).exists()
    found = cache.fetch([S1, S2], lfp=True)
    assert list(found) == [Key("session_nwb", (S1,)), Key("probe_lfp_nwb", (S1, "probeA")), Key("file", (4,))]
    assert all(path.is_file() for path in found.values())
    assert cache.get_session_data(S1).path == session.path
    assert cache.get_behavior_session(77).identifier == "training"
    assert cache.get_behavior_session(78).path == session.path
    assert cache.get_ecephys_session(S1, stream=True).identifier == "session 1"


def test_what_is_read_from_the_bucket_is_not_downloaded(bucket: SeaweedServer, tmp_path: Path) -> None:
    cache = Cache.from_s3_cache(tmp_path)
    assert cache.get_behavior_session(77, stream=True).identifier == "training"
    assert not (tmp_path / f"{PROJECT}-0.10.0" / "behavior_only_sessions").exists()


def test_a_folder_by_its_path(filled: Path) -> None:
    cache = ProjectCache.open(filled, offline=True)
    assert type(cache) is Cache
    assert cache.get_session_data(S1).identifier == "session 1"


@pytest.mark.parametrize(
    ("table", "header", "call"),
    [
        ("ecephys_sessions", "ecephys_session_id", "get_ecephys_session_table"),
        ("behavior_sessions", "behavior_session_id,file_id", "get_behavior_session_table"),
        ("probes", "ecephys_probe_id,ecephys_session_id,name", "get_probe_table"),
        ("units", "id", "get_unit_table"),
    ],
)
def test_tables_that_lack_what_is_needed(filled: Path, table: str, header: str, call: str) -> None:
    path = filled / f"{PROJECT}-0.9.0" / "project_metadata" / f"{table}.csv"
    before = digest_of(path, "blake2b").partition(":")[2]
    path.write_text(f"{header}\n{','.join('1' for _ in header.split(','))}\n")
    for name in (OLD, NEW):
        text = (filled / name).read_text()
        (filled / name).write_text(text.replace(before, digest_of(path, "blake2b").partition(":")[2]))
    with pytest.raises(CorruptObjectError, match="has no column"):
        getattr(Cache.from_local_cache(filled), call)()


def test_what_there_is_not(bucket: SeaweedServer, tmp_path: Path) -> None:
    cache = Cache.from_s3_cache(tmp_path)
    with pytest.raises(UnknownObjectError, match="no recording session 5"):
        cache.get_ecephys_session(5)
    with pytest.raises(UnknownObjectError, match="no behavior session 5"):
        cache.get_behavior_session(5)
    with pytest.raises(MissingObjectError, match=f"recording session {S3} has no file in this version"):
        cache.get_ecephys_session(S3)
    with pytest.raises(MissingObjectError, match="behavior session 79 has no file"):
        cache.get_behavior_session(79)
    with pytest.raises(ManifestError, match="is no manifest of visual-behavior-neuropixels. There are: "):
        cache.load_manifest("../x_manifest_v1.0.0.json")
    with pytest.raises(ManifestError, match=NEW):
        cache.compare_manifests(NEW, f"{PROJECT}_project_manifest_v7.0.0.json")
    with pytest.raises(ConfigurationError, match="get_unit_table"):
        cache.get_units()
    with pytest.raises(ConfigurationError, match="take no filters"):
        cache.get_session_data(S1, amplitude_cutoff_maximum=0.1)
    with pytest.raises(ConfigurationError, match="from_s3_cache"):
        Cache.from_warehouse()


def test_tables(filled: Path) -> None:
    cache = Cache.from_local_cache(filled)
    table = cache.get_ecephys_session_table()
    assert table.index.tolist() == [S1, S3]
    assert str(table.index.dtype) == "Int64"
    assert dict(table.dtypes.astype(str)) == {
        "date_of_acquisition": "object",
        "unit_count": "Int64",
        "abnormal_activity": "float64",
        "abnormal_histology": "object",
        "file_id": "int64",
    }
    assert len(cache.get_ecephys_session_table(filter_abnormalities=False)) == 3
    assert list(cache.get_session_table(suppress=["file_id", "no such column"])) == list(table)[:-1]
    behavior = cache.get_behavior_session_table()
    assert behavior["ecephys_session_id"].tolist() == [pd.NA, S1, pd.NA]
    assert behavior["image_set"].tolist()[:2] == ["None", "G"]
    table.loc[S1, "unit_count"] = 0
    assert cache.get_ecephys_session_table().loc[S1, "unit_count"] == 2


def test_another_bucket_and_another_server(server: SeaweedServer, tmp_path: Path) -> None:
    cache = Cache.from_s3_cache(tmp_path / "a", endpoint_url=server.endpoint_url)
    assert len(cache.get_channel_table()) == 1
    with pytest.raises(
        TransferError, match="s3://nobody-has-this/.* cannot be listed: the server answered 40"
    ):
        Cache.from_s3_cache(tmp_path / "b", "nobody-has-this", endpoint_url=server.endpoint_url)
    assert not (tmp_path / "b").exists()


def test_what_is_not_what_the_manifest_says_is_not_stored(
    bucket: SeaweedServer, versions: dict[str, Any], tmp_path: Path
) -> None:
    tables, data = versions["0.10.0"]
    client = bucket.client()
    other = f"other/manifests/{NEW}"
    for place, content in [*tables.items(), *data.values()]:
        spoilt = content[:-1] + bytes([content[-1] ^ 1]) if place in (SAME, *list(tables)[3:]) else content
        client.put_object(Bucket="lab", Key=f"{PROJECT}/{place}", Body=spoilt)
    name = other.replace("other", PROJECT)
    client.put_object(Bucket="lab", Key=name, Body=manifest_of("0.10.0", tables, data, {}))
    client.close()
    cache = Cache.from_s3_cache(tmp_path, "lab")
    with pytest.raises(
        CorruptObjectError, match="arrived .* with other bytes than the manifest says .blake2b"
    ):
        cache.get_ecephys_session(S1)
    with pytest.raises(CorruptObjectError, match="Nothing was stored"):
        cache.get_unit_table()
    assert not any(name.endswith(("units.csv", ".nwb")) for name in visible(tmp_path))


# Versions --------------------------------------------------------------------------------------


def test_each_version_has_its_files_and_what_is_the_same_is_kept_once(
    bucket: SeaweedServer, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    cache = Cache.from_s3_cache(folder)
    new = cache.fetch([S1], lfp=True)
    cache.get_channel_table()
    with pytest.warns(OutdatedManifestWarning, match="load_latest_manifest"):
        cache.load_manifest(OLD)
    assert cache.current_manifest() == OLD
    old = cache.fetch([S1], lfp=True)
    same, changed = new
    assert digest_of(old[same]) == digest_of(new[same])
    assert digest_of(old[changed]) != digest_of(new[changed])
    assert old[same].samefile(new[same])
    assert cache.get_channel_table().index.tolist() == [8]
    cache.load_latest_manifest()
    assert cache.get_channel_table().index.tolist() == [9]
    assert "probe_probeA_lfp.nwb changed" in cache.compare_manifests(OLD, NEW)
    folder.rename(tmp_path / "moved")
    moved = Cache.from_local_cache(tmp_path / "moved")
    for name in (OLD, NEW):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutdatedManifestWarning)
            moved.load_manifest(name)
        assert moved.fetch([S1], lfp=True).keys() == new.keys()
    assert {each.state for each in moved.verify(new)} == {"good"}


@pytest.mark.parametrize("ways", [(hard_link,), (relative_link,), ()], ids=["hard link", "link", "copy"])
def test_kept_once_by_what_the_file_system_has(
    bucket: SeaweedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ways: tuple[Any, ...]
) -> None:
    monkeypatch.setattr("project_cache.sources.twins.kept_once", functools.partial(_by, ways))
    folder = tmp_path / "cache"
    cache = Cache.from_s3_cache(folder)
    cache.get_ecephys_session(S1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutdatedManifestWarning)
        cache.load_manifest(OLD)
    cache.get_probe_table()
    nothing_listens(monkeypatch)
    path = cache.get_ecephys_session(S1).path
    assert path.is_symlink() == (ways == (relative_link,))
    assert (path.stat().st_nlink == 2) == (ways == (hard_link,))
    assert {each.state for each in cache.verify([Key("session_nwb", (S1,))])} == {"good"}
    folder.rename(tmp_path / "moved")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutdatedManifestWarning)
        moved = Cache.from_local_cache(tmp_path / "moved")
    assert moved.get_ecephys_session(S1).identifier == "session 1"


def _by(ways: tuple[Any, ...], there: Path, new: Path, _: Any) -> None:
    kept_once(there, new, ways)


def test_a_damaged_twin_is_not_taken(bucket: SeaweedServer, tmp_path: Path) -> None:
    cache = Cache.from_s3_cache(tmp_path)
    path = cache.get_ecephys_session(S1).path
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutdatedManifestWarning)
        cache.load_manifest(OLD)
    assert cache.get_ecephys_session(S1).path.read_bytes() == content


def test_a_newer_version_is_told_of(bucket: SeaweedServer, filled: Path) -> None:
    (filled / NEW).unlink()
    (filled / "_manifest_last_used.txt").write_text(OLD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache = Cache.from_s3_cache(filled)
        assert len(cache.get_probe_table()) == 2  # nothing was asked of the bucket so far
    (filled / f"{PROJECT}-0.9.0" / "project_metadata" / "units.csv").unlink()
    with pytest.warns(OutdatedManifestWarning, match="load_latest_manifest.. changes to it") as caught:
        cache.get_unit_table()
    assert NEW in str(caught[0].message)
    (filled / "_manifest_last_used.txt").unlink()
    with pytest.warns(OutdatedManifestWarning, match="newer than all there is") as caught:
        cache = Cache.from_s3_cache(filled)
    assert Path(caught[0].filename).name == Path(__file__).name
    assert cache.current_manifest() == NEW


def test_a_note_of_a_version_that_there_is_not(filled: Path) -> None:
    (filled / "_manifest_last_used.txt").write_text("../../x.json")
    with pytest.warns(UserWarning, match="is none of its manifests"):
        cache = Cache.from_local_cache(filled)
    assert cache.current_manifest() == NEW


# Folders that AllenSDK filled --------------------------------------------------------------------


def test_a_folder_of_allensdks_is_used_as_it_is(filled: Path) -> None:
    cache = Cache.from_local_cache(str(filled))
    assert cache.get_ecephys_session(S1).identifier == "session 1"
    assert (filled / f"{PROJECT}-0.10.0" / SAME).is_symlink()
    cache.load_latest_manifest()
    assert {each.state for each in cache.verify()} == {"good"}


def test_links_that_lead_to_where_the_folder_was_are_mended(filled: Path, tmp_path: Path) -> None:
    moved = filled.rename(tmp_path / "moved")
    assert not (moved / f"{PROJECT}-0.10.0" / SAME).exists()
    cache = Cache.from_local_cache(moved)
    assert cache.get_ecephys_session(S1).identifier == "session 1"
    assert len(cache.get_unit_table()) == 50
    assert (moved / f"{PROJECT}-0.10.0" / SAME).samefile(moved / f"{PROJECT}-0.9.0" / SAME)


READ_ONLY = """
import sys, warnings
from pathlib import Path
from project_cache import VisualBehaviorNeuropixelsProjectCache as Cache
folder = Path(sys.argv[1])
cache = Cache.from_local_cache(folder)
assert len(cache.get_unit_table()) == len(cache.get_unit_table()) == 50
assert cache.get_ecephys_session(1001).identifier == "session 1"
warnings.simplefilter("ignore")
cache.load_manifest(sys.argv[2])
assert cache.get_channel_table().index.tolist() == [8]
"""


def test_a_folder_that_was_moved_and_is_read_only(
    filled: Path, tmp_path: Path, unprivileged: list[str]
) -> None:
    moved = filled.rename(tmp_path / "moved")
    before = visible(moved)
    folders = [path for path in [moved, *moved.rglob("*")] if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    try:
        done = subprocess.run(
            [*unprivileged, sys.executable, "-c", READ_ONLY, str(moved), OLD], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert visible(moved) == before
    finally:
        for path in folders:
            path.chmod(0o755)


def test_a_table_that_is_cut_short(bucket: SeaweedServer, filled: Path) -> None:
    path = filled / f"{PROJECT}-0.9.0" / "project_metadata" / "units.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:20]))  # half a table looks like a whole one
    with pytest.raises(CorruptObjectError, match="its digest differs"):
        Cache.from_local_cache(filled).get_unit_table()
    assert len(Cache.from_s3_cache(filled).get_unit_table()) == 50


def test_a_file_that_is_not_there(filled: Path) -> None:
    for version in ("0.9.0", "0.10.0"):
        (filled / f"{PROJECT}-{version}" / SAME).unlink()
    with pytest.raises(FileNotFoundError, match="session_nwb/1001 is not in the cache"):
        Cache.from_local_cache(filled).get_ecephys_session(S1)


@pytest.mark.parametrize("where", ["", "nowhere"])
def test_a_folder_without_a_manifest(tmp_path: Path, where: str) -> None:
    with pytest.raises(MissingObjectError, match="There is no manifest of visual-behavior-neuropixels in"):
        Cache.from_local_cache(tmp_path / where)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_manifest(filled: Path) -> None:
    (filled / NEW).write_text("{")
    with pytest.raises(ManifestError, match=NEW):
        Cache.from_local_cache(filled)
    (filled / "_manifest_last_used.txt").write_text(OLD)
    with pytest.warns(OutdatedManifestWarning):
        cache = Cache.from_local_cache(filled)
    (filled / f"{PROJECT}-0.9.0" / SAME).unlink()
    with pytest.raises(MissingObjectError):
        cache.get_ecephys_session(S1)


def test_a_static_folder(filled: Path, tmp_path: Path) -> None:
    root = tmp_path / "static" / PROJECT
    shutil.copytree(filled / f"{PROJECT}-0.10.0", root)
    (root / "manifests").mkdir()
    for name in (OLD, NEW):
        shutil.copyfile(filled / name, root / "manifests" / name)
    before = sorted(tmp_path.rglob("*"))
    cache = Cache.from_local_cache(tmp_path / "static", use_static_cache=True)
    assert cache.list_manifest_file_names() == cache.list_all_downloaded_manifests() == [NEW]
    assert cache.get_ecephys_session(S1).path == root / SAME
    assert len(cache.get_unit_table()) == 50
    with pytest.raises(ManifestError):
        cache.load_manifest(OLD)
    assert sorted(tmp_path.rglob("*")) == before


def test_another_folder_as_a_layer(bucket: SeaweedServer, filled: Path, tmp_path: Path) -> None:
    cache = Cache.from_s3_cache(tmp_path / "own", layers=[filled])
    assert cache.get_ecephys_session(S1).path == filled / f"{PROJECT}-0.10.0" / SAME
    assert visible(tmp_path / "own") == ["_manifest_last_used.txt", NEW]


def test_caches_and_sessions_can_be_pickled(filled: Path) -> None:
    cache = Cache.from_local_cache(filled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutdatedManifestWarning)
        cache.load_manifest(OLD)
    data = pickle.dumps([cache, cache.get_ecephys_session(S1), cache.get_behavior_session(77)])
    cache.load_latest_manifest()
    again, session, behavior = pickle.loads(data)
    assert again.current_manifest() == OLD
    assert (filled / "_manifest_last_used.txt").read_text() == NEW
    assert session.path == filled / f"{PROJECT}-0.9.0" / SAME
    assert behavior.identifier == "training"
    assert len(data) < 5000


def test_keeping_house(filled: Path) -> None:
    cache = Cache.from_local_cache(filled)
    cache.pin(S1)
    table = cache.du()
    assert table.loc[f"session_nwb/{S1}", "pinned"]
    assert len(table) == 9
    cache.prune(0, unobtainable=True)
    assert (filled / f"{PROJECT}-0.10.0" / SAME).exists()


def test_a_lock_of_a_version(bucket: SeaweedServer, filled: Path, tmp_path: Path) -> None:
    cache = Cache.from_local_cache(filled)
    used = cache.get_ecephys_session(S1)
    lock = cache.freeze(tmp_path / "analysis.lock.json")
    again = ProjectCache.open(lock, offline=True)
    assert again.get_session_data(S1).identifier == used.identifier
    assert again.store.get(Key("session_nwb", (S1,))).is_relative_to(filled)
    with pytest.raises(UnknownObjectError, match="not among the"):
        again.store.get(Key("units"))
    # and where that folder is not, from the bucket, in the version that was used
    filled.rename(tmp_path / "gone")
    elsewhere = ProjectCache.open(lock)
    assert elsewhere.get_session_data(S1).identifier == used.identifier
    for entry in elsewhere.manifest.objects:
        elsewhere.store.get(entry.key)
    assert {v.state for v in elsewhere.verify()} == {"good"}


# By name ---------------------------------------------------------------------------------------


def test_a_shipped_project_by_its_name(bucket: SeaweedServer, tmp_path: Path) -> None:
    for cache in (ProjectCache.from_s3(PROJECT), ProjectCache.open(PROJECT)):
        assert type(cache) is Cache
        assert len(cache.get_session_table()) == 2
        assert cache.get_session_data(S1).identifier == "session 1"
    assert type(ProjectCache.from_s3(PROJECT, cache_dir=tmp_path / "own")) is Cache
    assert (tmp_path / "own" / NEW).is_file()
    with pytest.raises(ConfigurationError, match="ProjectCache.open"):
        ProjectCache.from_s3("visual-coding-neuropixels")


def test_the_shipped_manifest_says_what_the_class_says() -> None:
    manifest = Manifest.read(shipped_manifest(PROJECT))
    [source] = manifest.sources
    assert {PROJECT: (Cache.__module__, Cache.__name__)} == RELEASED
    assert source.url == f"s3://{Cache.BUCKET_NAME}/{Cache.PROJECT_NAME}"
    assert (source.region, source.anonymous) == (Cache.REGION, True)
    assert manifest.session_class == Cache.SESSION_CLASS
    layout = json.loads(shipped_manifest(PROJECT).read_text())["layout"]
    assert Cache.LAYOUT.items() <= layout.items()
