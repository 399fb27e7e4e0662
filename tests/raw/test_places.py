"""Places: the same folder on this machine, in S3 and on web servers."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    DependencyError,
    MissingObjectError,
    ProjectCacheError,
    UnreadableObjectError,
)
from project_cache.raw.places import (
    AnyPath,
    RemotePath,
    held_open,
    opened_hdf5,
    place,
    read_json,
    read_npy,
    read_text,
)
from project_cache.raw.ranged import Ranges
from project_cache.raw.stores import RemoteStat
from project_cache.testing.faults import status, truncated
from project_cache.testing.object_stores import SeaweedServer
from project_cache.testing.server import ObjectServer, Served
from project_cache.transfer.remote_file import RemoteFile


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session's folder with a bit of everything."""
    root = tmp_path_factory.mktemp("raw") / "DRpilot_668755_20230831"
    node = root / "Record Node 102#a"
    node.mkdir(parents=True)
    np.save(node / "sample_numbers.npy", np.arange(100_000))
    np.save(root / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with h5py.File(root / "20230831T120415.h5", "w") as file:
        file["data"] = np.arange(1_000_000, dtype=np.uint32).reshape(-1, 2)
    (root / "subject.json").write_text('﻿{"subject_id": "668755"}', "utf-8")
    (root / "empty.log").write_bytes(b"")
    (root / "damaged.h5").write_bytes(b"no HDF5 at all")
    return root


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that has read enough hangs up."""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Python's own server: listings as pages of links, and no ranges."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=folder.parent)
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{folder.name}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def s3(folder: Path) -> Iterator[str]:
    server = pytest.importorskip("moto.server", reason="moto, an S3 server for tests, is not installed")
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "me")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        moto = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        moto.start()
        host, port = moto.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="raw-data")
        for path in folder.rglob("*"):
            if path.is_file():
                client.put_object(
                    Bucket="raw-data", Key=f"raw/{path.relative_to(folder.parent)}", Body=path.read_bytes()
                )
        yield f"s3://raw-data/raw/{folder.name}"
        moto.stop()


@pytest.fixture(params=["local", "s3", "web"])
def root(request: pytest.FixtureRequest, folder: Path) -> AnyPath:
    return place(folder if request.param == "local" else request.getfixturevalue(request.param))


def test_a_folder_is_listed(root: AnyPath) -> None:
    assert sorted(path.name for path in root.iterdir()) == [
        "20230831T120415.h5", "Record Node 102#a", "damaged.h5", "empty.log", "objects.npy", "subject.json",
    ]  # fmt: skip
    assert [path.name for path in root.iterdir() if path.is_dir()] == ["Record Node 102#a"]
    assert sorted(path.name for path in root.glob("*.h5")) == ["20230831T120415.h5", "damaged.h5"]
    assert [path.name for path in root.glob("Record*")] == ["Record Node 102#a"]
    assert list(root.glob("nothing*")) == []
    assert list((root / "nothing").glob("nothing*")) == []


def test_what_is_there_is_told_from_what_is_not(root: AnyPath) -> None:
    assert root.exists()
    assert root.is_dir()
    assert not root.is_file()
    file = root / "Record Node 102#a" / "sample_numbers.npy"
    assert file.exists()
    assert file.is_file()
    assert not file.is_dir()
    assert file.stat().st_size == 800_128
    assert not (root / "nothing").exists()
    assert not (root / "nothing").is_dir()
    assert (file.name, file.stem, file.suffix) == ("sample_numbers.npy", "sample_numbers", ".npy")
    assert file.parent.parent == root
    assert file.with_name("x.npy") == file.parent / "x.npy"
    assert file.with_suffix(".txt").name == "sample_numbers.txt"
    assert place(str(file)) == file


def test_files_are_read(root: AnyPath) -> None:
    assert read_json(root / "subject.json") == {"subject_id": "668755"}
    assert read_text(root / "empty.log") == ""
    numbers = read_npy(root / "Record Node 102#a" / "sample_numbers.npy")
    assert np.array_equal(numbers, np.arange(100_000))
    with opened_hdf5(root / "20230831T120415.h5") as file:
        assert file["data"][1000].tolist() == [2000, 2001]
        assert file["data"].shape == (500_000, 2)
    with (root / "subject.json").open("rb") as opened:
        assert opened.read(4) == b"\xef\xbb\xbf{"


def test_local_arrays_are_mapped(folder: Path) -> None:
    assert isinstance(read_npy(folder / "Record Node 102#a" / "sample_numbers.npy"), np.memmap)
    assert not isinstance(
        read_npy(folder / "Record Node 102#a" / "sample_numbers.npy", mmap=False), np.memmap
    )


def test_what_is_missing_or_damaged_is_named(root: AnyPath) -> None:
    for read in (read_json, read_text, read_npy):
        with pytest.raises(MissingObjectError, match="nothing"):
            read(root / "nothing")
    with pytest.raises(MissingObjectError, match="nothing"), opened_hdf5(root / "nothing"):
        pass
    with pytest.raises(CorruptObjectError, match=r"damaged\.h5"), opened_hdf5(root / "damaged.h5"):
        pass
    with pytest.raises(CorruptObjectError, match=r"damaged\.h5"):
        read_npy(root / "damaged.h5")
    with pytest.raises(CorruptObjectError, match=r"damaged\.h5"):
        read_json(root / "damaged.h5")
    with pytest.raises(CorruptObjectError, match=r"objects\.npy"):
        read_npy(root / "objects.npy")


def test_what_is_damaged_further_in_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=np.random.default_rng(0).random(100_000), chunks=(10_000,))
    path.write_bytes(path.read_bytes()[:-50_000])
    with pytest.raises(CorruptObjectError, match=r"cut\.h5"), opened_hdf5(path) as file:
        file["data"][:]


def test_a_file_without_permission_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UnreadableObjectError, match="permission"):
        read_text(tmp_path / "a.json")


def test_an_archive_is_no_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.arange(3))
    with pytest.raises(CorruptObjectError, match="archive"):
        read_npy(tmp_path / "a.npz")


def test_remote_paths_travel() -> None:
    path = place("s3://bucket/a b/c.h5")
    assert isinstance(path, RemotePath)
    assert pickle.loads(pickle.dumps(path)) == path
    assert len({path, place("s3://bucket/a b/c.h5")}) == 1
    assert path.parts == ("s3://bucket", "a b", "c.h5")
    web = place("http://host:8000/a%20b/")
    assert (web.name, str(web / "c#1")) == ("a b", "http://host:8000/a%20b/c%231")
    assert place(str(web / "c#1")) == web / "c#1"


@pytest.mark.parametrize("url", ["s3://", "http:///a", "http://host/a?token=1", "s3://bucket/../other"])
def test_addresses_that_are_no_folders_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        place(url)


def test_nothing_leads_out_of_a_remote_folder() -> None:
    with pytest.raises(ConfigurationError, match="leads out"):
        place("s3://bucket/a") / "../../b"
    with pytest.raises(ConfigurationError, match="one level"):
        list(place("s3://bucket/a").glob("**/b"))
    with pytest.raises(ConfigurationError, match="for reading"):
        place("s3://bucket/a").open("wb")  # type: ignore[union-attr]


def listing(*entries: dict[str, object]) -> Served:
    return Served(json.dumps(entries).encode(), "application/json")


def test_json_listings_and_ranges(folder: Path) -> None:
    """nginx with ``autoindex_format json``: only what is read is fetched."""
    data = np.random.default_rng(1).integers(0, 1 << 30, 4_000_000)
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        made["big"] = data
        made["small"] = np.arange(10)
    content = file.getvalue()
    served = {
        "/raw/": listing(
            {"name": "Record Node 102", "type": "directory", "mtime": "…"},
            {"name": "a.h5", "type": "file", "size": len(content)},
        ),
        "/raw/a.h5": Served(content),
    }
    with ObjectServer(served) as server:
        root = place(server.url("/raw"))
        paths = {path.name: path for path in root.iterdir()}
        assert paths["Record Node 102"].is_dir()
        assert paths["a.h5"].stat().st_size == len(content)
        with opened_hdf5(paths["a.h5"]) as opened:
            assert opened["small"][:].tolist() == list(range(10))
        assert sum(exchange.sent for exchange in server.log) < len(content) / 3
        with opened_hdf5(paths["a.h5"]) as opened:
            assert np.array_equal(opened["big"][:], data)


def test_a_web_page_is_no_listing() -> None:
    with ObjectServer(
        {"/raw/": Served(b"[1, 2]", "application/json"), "/b/": Served(b"x", "text/plain")}
    ) as server:
        with pytest.raises(ProjectCacheError, match="no listing"):
            list(place(server.url("/raw")).iterdir())
        with pytest.raises(ProjectCacheError, match="autoindex"):
            list(place(server.url("/b")).iterdir())
        assert not place(server.url("/b")).is_dir()


def test_only_what_lies_in_the_folder_is_listed() -> None:
    page = b"""<a href="../">..</a> <a href="?C=N;O=D">Name</a> <a href="/raw/b%23.h5">b</a> <a href="sub/">sub</a>
    <a href="http://other/raw/c.h5">c</a> <a href="sub/d.h5">d</a> <a href="http://[">?</a> <a>none</a>"""
    with ObjectServer({"/raw/": Served(page, "text/html; charset=utf-8")}) as server:
        found = {path.name: path.is_dir() for path in place(server.url("/raw")).iterdir()}
    assert found == {"b#.h5": False, "sub": True}


def test_blocks_are_fetched_once_and_let_go() -> None:
    content = bytes(range(256)) * 400
    asked = []

    def fetch(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return content[start:stop]

    ranges = Ranges(fetch, len(content), "a", block=1000, kept=4)
    file = RemoteFile(ranges.read_at, len(content))
    assert file.read(10) == content[:10]
    assert file.read(10) == content[10:20]
    assert asked == [(0, 1000)]
    file.seek(2500)
    assert file.read(1000) == content[2500:3500]
    assert asked[1:] == [(2000, 4000)]
    file.seek(500)
    assert file.read(2000) == content[500:2500]
    assert asked[2:] == [(1000, 2000)]
    file.seek(-5, io.SEEK_END)
    assert file.read() == content[-5:]
    assert asked[3:] == [(102_000, 102_400)]
    assert file.read(1) == b""
    # more than is kept goes straight through
    file.seek(0)
    assert file.read(50_000) == content[:50_000]
    assert asked[4:] == [(0, 50_000)]
    assert file.tell() == 50_000
    with pytest.raises(ValueError, match="before the start"):
        file.seek(-1)


def test_what_changes_while_it_is_read_is_noticed() -> None:
    with ObjectServer({"/a": Served(b"12345678")}) as server:
        file = place(server.url("/a")).open("rb")
        server.put("/a", Served(b"1234"))
        with pytest.raises(CorruptObjectError, match="changed while"):
            file.read()


def test_only_buckets_tell_files_by_their_etag(s3: str) -> None:
    """A web server's says where and since when a file lies there: a copy has another."""
    listed = {path.name: path for path in place(s3).iterdir()}["subject.json"]
    asked = place(s3) / "subject.json"
    assert listed.stat() == asked.stat()
    assert isinstance(asked, RemotePath)
    assert asked.stat().etag == f'"{hashlib.md5(asked.read_bytes()).hexdigest()}"'
    with ObjectServer({"/a": b"12345"}) as server:
        assert place(server.url("/a")).stat() == RemoteStat(5)


def test_a_bucket_that_is_not_there_is_named(s3: str) -> None:
    with pytest.raises(MissingObjectError, match="no-such-bucket"):
        list(place("s3://no-such-bucket/raw").iterdir())
    assert not place("s3://no-such-bucket/raw").exists()


def without_credentials(patch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    patch.setenv("AWS_CONFIG_FILE", os.devnull)


def test_an_address_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "localhost:9000")
    with pytest.raises(ConfigurationError, match="AWS_ENDPOINT_URL_S3"):
        place("s3://raw-data/a").stat()


def test_a_public_bucket_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    with ObjectServer({"/raw-data/a": Served(b"12345")}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url("/"))
        assert place("s3://raw-data/a").read_bytes() == b"12345"
        assert not any("authorization" in exchange.headers for exchange in server.log)


def test_a_bucket_that_refuses_credentials_is_asked_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-institute")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with ObjectServer({"/raw-data/a": Served(b"12345")}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url("/"))
        server.misbehave("/raw-data/a", status(403), nth=1)
        assert place("s3://raw-data/a").read_bytes() == b"12345"
        assert ["authorization" in exchange.headers for exchange in server.log] == [True, False, False]


def test_what_may_not_be_read_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    with ObjectServer({"/raw-data/a": Served(b"12345")}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url("/"))
        server.misbehave("/raw-data/a", status(403))
        with pytest.raises(UnreadableObjectError, match="AWS_PROFILE"):
            place("s3://raw-data/a").stat()
        with pytest.raises(UnreadableObjectError, match="403"):
            place(server.url("/raw-data/a")).stat()


def test_a_line_that_breaks_off_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    content = bytes(300_000)
    with ObjectServer({"/raw-data/a": Served(content)}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url("/"))
        for path in (place("s3://raw-data/a"), place(server.url("/raw-data/a"))):
            assert isinstance(path, RemotePath)
            server.misbehave("/raw-data/a", truncated(100_000), nth=1)
            assert path.read_range(0, len(content)) == content


@pytest.mark.slow
def test_a_real_server_of_buckets(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        server = SeaweedServer(tmp_path)
    except DependencyError as error:
        pytest.skip(str(error))
    with server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.make_bucket("raw-data")
        client = server.client()
        for path in folder.rglob("*"):
            if path.is_file():
                key = path.relative_to(folder.parent).as_posix()
                client.put_object(Bucket="raw-data", Key=key, Body=path.read_bytes())
        client.close()
        root = place(f"s3://raw-data/{folder.name}")
        test_a_folder_is_listed(root)
        test_what_is_there_is_told_from_what_is_not(root)
        test_files_are_read(root)
        test_what_is_missing_or_damaged_is_named(root)
        for path in root.iterdir():
            if not path.is_dir():
                assert path.stat() == place(str(path)).stat()
                data = path.read_bytes()
                assert path.stat().etag == (f'"{hashlib.md5(data).hexdigest()}"' if data else None)


def test_held_open_a_file_is_opened_once(folder: Path) -> None:
    path = folder / "20230831T120415.h5"

    def elsewhere() -> h5py.File:
        with opened_hdf5(path) as file:
            return file

    with held_open():
        with opened_hdf5(path) as first:
            pass
        with opened_hdf5(path) as second:
            assert second is first
            assert second["data"][1, 1] == 3
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(elsewhere).result() is not first
        with pytest.raises(CorruptObjectError, match="damaged"), opened_hdf5(folder / "damaged.h5"):
            pass
        with held_open(), opened_hdf5(path) as inner:
            assert inner is not first
        assert first
    assert not first
    with opened_hdf5(path) as after:
        pass
    assert not after
