"""NWB files on a server: the same numbers as from the disk, by few requests, and nothing that lies elsewhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.errors import (
    ContentError,
    CorruptObjectError,
    MissingObjectError,
    NotNWBError,
    NWBError,
    TransferError,
    UnreadableObjectError,
)
from project_cache.nwb.file import NWBReader
from project_cache.nwb.links import need_dataset
from project_cache.nwb.ragged import FlatRows, Ragged
from project_cache.nwb.remote import Location, RemoteNWBReader
from project_cache.nwb.skeleton import skeleton_of
from project_cache.sessions.base import Session
from project_cache.testing.faults import changed, reset, status
from project_cache.testing.server import ObjectServer
from project_cache.transfer.ranges import Address
from project_cache.transfer.remote import BLOCK, RemoteBytes
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import WebTransport

ENDS = np.cumsum([40_000, 30_000, 0, 120_000, 10_000])
SPIKES = np.sort(np.random.default_rng(0).uniform(0, 9000, ENDS[-1]))
TEXT = h5py.string_dtype()
Open = Callable[..., RemoteNWBReader]


def write(path: Path, **how: Any) -> Path:
    """Write five units, a table of a thousand rows, and samples."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"nwb_version": "2.7.0"})
        for name in ("identifier", "session_description"):
            file.create_dataset(name, data=name, dtype=TEXT)
        units = file.create_group("units")
        units.attrs["colnames"] = np.array(["spike_times", "quality"], dtype=TEXT)
        units["id"] = np.arange(10, 15)
        units.create_dataset("spike_times", data=SPIKES, **how)
        units["spike_times_index"] = ENDS
        units["spike_times_index"].attrs["neurodata_type"] = "VectorIndex"
        units.create_dataset("quality", data=["good"] * 5, dtype=TEXT)
        file.create_dataset(
            "processing/waveforms", data=SPIKES[:60_000].reshape(-1, 6), **({"chunks": True} if how else {})
        )
        trials = file.create_group("intervals/trials")
        names = [f"c{n}" for n in range(12)]
        trials.attrs["colnames"] = np.array([*names, "what"], dtype=TEXT)
        trials["id"] = np.arange(20_000)
        for n, name in enumerate(names):
            file.create_dataset(f"pad/{name}", data=np.zeros(50_000))
            trials[name] = np.arange(20_000.0) + n
        trials.create_dataset("what", data=[f"trial {n % 7}" for n in range(20_000)], dtype=TEXT)
    return path


@pytest.fixture(scope="module", params=["contiguous", "packed"])
def path(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    how = {"chunks": (5000,), "compression": "gzip"} if request.param == "packed" else {}
    return write(tmp_path_factory.mktemp("remote") / "a.nwb", **how)


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with ObjectServer() as server:
        yield server


@pytest.fixture
def opened(server: ObjectServer) -> Open:
    clock = Clock(sleep=lambda _: None)

    def open_it(path: Path, skeleton: bool = False) -> RemoteNWBReader:
        server.put(f"/{path.name}", path)
        found = skeleton_of(path) if skeleton else None
        policy = Policy(tries=3)
        remote = RemoteBytes(
            Address(server.url(f"/{path.name}"), WebTransport(policy), {}, policy, clock),
            size=None if found is None else found.size,
            check=None if found is None else found.check,
        )
        return RemoteNWBReader(remote, found)

    return open_it


@pytest.mark.parametrize("skeleton", [False, True])
def test_everything_is_as_in_the_file(path: Path, opened: Open, skeleton: bool) -> None:
    here, there = Session(path), Session(opened(path, skeleton))
    assert there.identifier == here.identifier
    assert there.keys() == here.keys()
    assert there.units.equals(here.units)
    assert there.trials.equals(here.trials)
    for unit, train in here.spike_times.items():
        np.testing.assert_array_equal(there.spike_times[unit], train)
    for unit, train in Session(opened(path, skeleton)).spike_times.items():
        np.testing.assert_array_equal(train, here.spike_times[unit])


def test_with_a_skeleton_only_data_are_fetched(path: Path, opened: Open, server: ObjectServer) -> None:
    session = Session(opened(path, skeleton=True))
    spikes = session.spike_times
    assert session.units["quality"].tolist() == ["good"] * 5
    assert server.log == []
    assert len(spikes[13]) == 120_000
    assert len(server.log) == 1
    assert server.sent <= 120_000 * 8 + 4 * BLOCK


def test_a_table_comes_in_a_few_requests(path: Path, opened: Open, server: ObjectServer) -> None:
    session = Session(opened(path, skeleton=True))
    session.table("trials")
    assert len(server.log) <= 4
    server.log.clear()
    session = Session(opened(path))
    session.table("trials")
    assert len(server.log) <= 10


def test_without_a_skeleton_few_requests_open_it(path: Path, opened: Open, server: ObjectServer) -> None:
    session = Session(opened(path))
    assert len(session.spike_times[13]) == 120_000
    assert len(server.log) <= 8


def test_rows_and_columns(path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project_cache.nwb.remote.STEP", 100_000)
    reader = opened(path, skeleton=True)
    rows = FlatRows(reader, "/processing/waveforms")
    expected = SPIKES[:60_000].reshape(-1, 6)
    np.testing.assert_array_equal(rows.slice(17, 9_001), expected[17:9_001])
    with reader.open() as handle:
        dataset = need_dataset(handle, "/processing/waveforms")
        np.testing.assert_array_equal(reader.rows(dataset, 3, 8_000), expected[3:8_000])
        assert reader.rows(dataset, 5, 5).shape == (0, 6)
        before = reader.remote.received
        reader.prefetch(dataset, 0, 10, (0, 1))
        assert reader.remote.received - before <= 4 * BLOCK
    rows.gather()
    np.testing.assert_array_equal(rows.slice(0, 10_000), expected)


def test_units_in_a_row_are_not_one_request_each(tmp_path: Path, opened: Open, server: ObjectServer) -> None:
    path = tmp_path / "many.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        file["units/id"] = np.arange(200)
        file["units"].attrs["colnames"] = np.array(["spike_times"], dtype=TEXT)
        file["units/spike_times"] = np.arange(200 * 20_000.0)
        file["units/spike_times_index"] = np.arange(1, 201) * 20_000
    spikes = Ragged(opened(path, skeleton=True), "/units", "spike_times", np.arange(200), np.arange(200))
    assert [spikes.cut(unit)[0] for unit in range(0, 200, 2)] == [
        unit * 20_000.0 for unit in range(0, 200, 2)
    ]
    assert len(server.log) <= 20


# What goes wrong ------------------------------------------------------------------------------------


def test_what_is_not_nwb(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "text.nwb").write_bytes(b"hello" * 1000)
    with pytest.raises(NotNWBError, match="not an HDF5 file"):
        opened(tmp_path / "text.nwb")
    with h5py.File(tmp_path / "plain.nwb", "w") as file:
        file["x"] = 1
    with pytest.raises(NotNWBError, match="not an NWB file"):
        opened(tmp_path / "plain.nwb")
    with pytest.raises(ContentError, match="empty"):
        opened(tmp_path / "empty.nwb") if (tmp_path / "empty.nwb").write_bytes(b"") == 0 else None


def test_a_file_that_is_cut_short(tmp_path: Path, path: Path, opened: Open) -> None:
    whole = path.read_bytes()
    (tmp_path / "cut.nwb").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptObjectError, match="cut short"):
        opened(tmp_path / "cut.nwb")


def test_errors_of_the_line_come_through_hdf5(path: Path, opened: Open, server: ObjectServer) -> None:
    session = Session(opened(path, skeleton=True))
    spikes = session.spike_times
    server.misbehave("/a.nwb", status(503), first=3)
    with pytest.raises(TransferError, match="503"):
        spikes[13]
    assert len(spikes[13]) == 120_000
    session = Session(opened(path))
    server.misbehave("/a.nwb", reset(10))
    with pytest.raises(TransferError, match="could not be read"):
        session.table("trials")


def _read_all(session: Session, spikes: Any) -> list[Any]:
    return [session.trials, *(spikes[unit] for unit in range(10, 15))]


@pytest.mark.parametrize("skeleton", [False, True])
def test_a_file_that_changes_on_the_way(
    path: Path, opened: Open, server: ObjectServer, skeleton: bool
) -> None:
    session = Session(opened(path, skeleton))
    spikes = session.spike_times
    if skeleton:
        assert len(spikes[10]) == 40_000
    whole = path.read_bytes()
    server.misbehave("/a.nwb", changed(whole[:5000] + whole[5000:][::-1]), nth=1)
    with pytest.raises(ContentError, match="was changed"):
        _read_all(session, spikes)


def test_another_version_than_the_skeletons_is_refused(
    path: Path, opened: Open, server: ObjectServer
) -> None:
    session = Session(opened(path, skeleton=True))
    other = bytearray(path.read_bytes())
    other[len(other) // 3 :: 1000] = bytes(len(other[len(other) // 3 :: 1000]))
    server.put("/a.nwb", bytes(other))
    with pytest.raises(ContentError, match="another version"):
        _read_all(session, session.spike_times)


def test_other_files_are_not_followed(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "secret").write_bytes(bytes(32))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1, 2, 3]
    for n, spoil in enumerate(
        (
            lambda f: f.__setitem__("a/link", h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")),
            lambda f: f.create_dataset("b/stored", (4,), "i8", external=[(str(tmp_path / "secret"), 0, 32)]),
            lambda f: f.create_virtual_dataset("v", _virtual(tmp_path / "other.h5")),
        )
    ):
        path = tmp_path / f"{n}.nwb"
        with h5py.File(path, "w") as file:
            file.attrs["nwb_version"] = "2.7.0"
            spoil(file)
        for skeleton in (False, True):
            reader = opened(path, skeleton)
            with pytest.raises(NWBError, match="[Oo]ther files"):
                reader.handle()
            name = ("a/link", "b/stored", "v")[n]
            with pytest.raises(NWBError, match="[Oo]ther files"), reader.open() as handle:
                FlatRows(reader, need_dataset(handle, name).name)


def _virtual(other: Path) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((3,), "i8")
    layout[:] = h5py.VirtualSource(str(other), "x", (3,))
    return layout


def test_closed_is_closed(path: Path, opened: Open) -> None:
    with h5py.File(path) as file:
        if file["units/spike_times"].chunks:
            pytest.skip("so few are all unpacked with the first")
    session = Session(opened(path, skeleton=True))
    train = session.spike_times[10]
    session.close()
    assert train[0] == SPIKES[0]
    with pytest.raises(UnreadableObjectError, match="was closed"):
        session.spike_times[13]


def test_a_missing_file(opened: Open, path: Path, server: ObjectServer) -> None:
    server.misbehave("/a.nwb", status(404))
    with pytest.raises(MissingObjectError, match="There is no http"):
        opened(path)


# Around ---------------------------------------------------------------------------------------------


def test_where_it_is(path: Path, opened: Open, server: ObjectServer) -> None:
    session = Session(opened(path))
    assert str(session.path) == server.url("/a.nwb")
    assert (session.path.name, session.path.stem) == ("a.nwb", "a")
    assert "a.nwb" in repr(session)
    assert not session.path.is_file()
    assert Location("http://h/x/a.nwb?versionId=1").with_name("b.nwb") == "http://h/x/b.nwb"
    assert Location("http://h/x/a.nwb?versionId=1").name == "a.nwb"
    assert not session._reader.local
    assert NWBReader(path).local


END = """
import sys
from project_cache.nwb.remote import RemoteNWBReader
from project_cache.transfer.ranges import Address
from project_cache.transfer.remote import RemoteBytes
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import WebTransport
reader = RemoteNWBReader(RemoteBytes(Address(sys.argv[1], WebTransport(), {}, Policy(), Clock())))
held = reader.handle()["units/spike_times"]
print(held[0] >= 0)
"""


def test_python_ends_well_with_a_file_still_open(path: Path, opened: Open, server: ObjectServer) -> None:
    opened(path)
    done = subprocess.run(
        [sys.executable, "-c", END, server.url("/a.nwb")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
