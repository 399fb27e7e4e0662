"""The skeleton of a file: enough to open it, and to tell each of its blocks."""

from __future__ import annotations

import contextlib
import pickle
import random
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.errors import ContentError, CorruptObjectError, NotNWBError
from project_cache.files import digest_of
from project_cache.nwb.grid import Grid
from project_cache.nwb.skeleton import MAGIC, Skeleton, address_of, skeleton_of
from project_cache.transfer.remote import BLOCK
from project_cache.transfer.remote_file import RemoteFile


def _write(path: Path, **how: Any) -> Path:
    numbers = np.random.default_rng(0).normal(size=200_000)
    with h5py.File(path, "w", **how) as file:
        file.attrs["nwb_version"] = "2.7.0"
        group = file.create_group("units")
        group.attrs["colnames"] = np.array(["spike_times"], dtype=h5py.string_dtype())
        group.create_dataset("spike_times", data=numbers)
        group.create_dataset("packed", data=numbers.reshape(-1, 4), chunks=(512, 2), compression="gzip")
        group["spike_times_index"] = np.arange(0, 200_000, 100)
        group["quality"] = np.array(["good", "noise"] * 1000, dtype=h5py.string_dtype())
        group["again"] = h5py.SoftLink("/units/quality")
        group["ref"] = np.array([group.ref] * 3, dtype=h5py.ref_dtype)
        for n in range(300):
            file.create_group(f"many/g{n}").attrs["n"] = n
        file["loop/back"] = file["many"]
        file["elsewhere"] = h5py.ExternalLink("/no/such/file.h5", "/x")
        file.create_dataset("outside", shape=(4,), dtype="i8", external=[("/no/such/file", 0, 32)])
    return path


@pytest.fixture(params=[{}, {"libver": "latest"}, {"userblock_size": 1024}], ids=str)
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return _write(tmp_path / "a.nwb", **request.param)


def _asked(path: Path, skeleton: Skeleton) -> tuple[h5py.File, list[tuple[int, int]]]:
    """Return the file as seen through its skeleton, and what else is read of it."""
    whole, asked = path.read_bytes(), []

    def read_at(start: int, stop: int) -> bytes:
        found = skeleton.get(start, stop)
        if found is None:
            asked.append((start, stop))
            found = whole[start:stop]
        assert found == whole[start:stop]
        return found

    return h5py.File(RemoteFile(read_at, skeleton.size), "r"), asked


def test_a_file_opens_by_it_alone(path: Path) -> None:
    skeleton = skeleton_of(path)
    file, asked = _asked(path, skeleton)
    with file:
        names: list[str] = []
        file.visit(names.append)
        assert len(names) == 309
        for name in names:
            dict(file[name].attrs)
        assert file["many/g299"].attrs["n"] == 299
        assert file["units/again"].asstr()[:2].tolist() == ["good", "noise"]
        assert file["units/spike_times_index"][5] == 500
        assert file[file["units/ref"][0]].name == "/units"
        assert file.get("elsewhere", getlink=True).filename == "/no/such/file.h5"
        chunked = file["units/packed"]
        assert [chunked.id.get_chunk_info(n).size > 0 for n in (0, 100, 195)] == [True] * 3
        assert asked == []
        file["units/spike_times"][1000:1010]
        assert 0 < len(asked) <= 2
    assert skeleton.nbytes < path.stat().st_size / 4


def test_it_names_its_file(path: Path) -> None:
    assert skeleton_of(path).digest == digest_of(path)
    assert skeleton_of(path, digest_of(path, "sha256")).digest == digest_of(path, "sha256")
    assert repr(skeleton_of(path)).startswith("<Skeleton of blake3:")
    with pytest.raises(CorruptObjectError, match="not what it should be"):
        skeleton_of(path, "blake3:00")


def test_what_is_not_hdf5_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.nwb").write_bytes(b"no" * 1000)
    with pytest.raises(NotNWBError):
        skeleton_of(tmp_path / "a.nwb")


def test_it_comes_back_from_bytes(path: Path) -> None:
    skeleton = skeleton_of(path)
    contents = skeleton.to_bytes()
    assert contents == skeleton_of(path).to_bytes()
    for again in (Skeleton.from_bytes(contents), pickle.loads(pickle.dumps(skeleton))):
        assert (again.size, again.digest, again.nbytes) == (skeleton.size, skeleton.digest, skeleton.nbytes)
        assert again.to_bytes() == contents
        assert again.get(0, 8) == path.read_bytes()[:8]


def test_it_knows_each_block(path: Path) -> None:
    skeleton, whole = skeleton_of(path), path.read_bytes()
    for n in range(-(-len(whole) // BLOCK)):
        block = whole[n * BLOCK : (n + 1) * BLOCK]
        skeleton.check(n, block)
        for wrong in (block[:-1], block[:-1] + bytes([block[-1] ^ 1]), b""):
            with pytest.raises(ContentError, match="another version"):
                skeleton.check(n, wrong)


def test_beyond_its_pieces_it_has_nothing(path: Path) -> None:
    skeleton = skeleton_of(path)
    assert skeleton.get(0, skeleton.size) is None
    assert skeleton.get(skeleton.size, skeleton.size + 1) is None
    assert Skeleton(100, "blake3:0", [], b"", b"\0" * 16).get(0, 1) is None


def test_damaged_ones_are_refused(path: Path) -> None:
    contents = skeleton_of(path).to_bytes()
    chance = random.Random(0)
    cut = [contents[: chance.randrange(len(contents))] for _ in range(40)]
    spoilt = []
    for _ in range(200):
        at = chance.randrange(len(contents))
        spoilt.append(contents[:at] + bytes([contents[at] ^ 1 << chance.randrange(8)]) + contents[at + 1 :])
    for wrong in [*cut, *spoilt, b"", MAGIC, b"<html>"]:
        # where the checksum of zlib does not see it, nothing is wrong
        with contextlib.suppress(ContentError):
            assert Skeleton.from_bytes(wrong).to_bytes() == contents
    with pytest.raises(ContentError, match=r"s\.skeleton is damaged"):
        Skeleton.from_bytes(contents[:-9], "s.skeleton")


@pytest.mark.parametrize(
    "head",
    [
        b"[]",
        b"{}",
        b'{"size": 10, "digest": "x", "block": 1, "steps": []}',
        b'{"size": 1e400, "digest": "x", "block": 131072, "steps": []}',
        b'{"size": 10, "digest": "x", "block": 131072, "steps": [0]}',
        b'{"size": 10, "digest": "x", "block": 131072, "steps": [5, -2]}',
        b'{"size": 10, "digest": "x", "block": 131072, "steps": [0, 11]}',
        b'{"size": -10, "digest": "x", "block": 131072, "steps": []}',
        b'{"size": 99999999999999999999, "digest": "x", "block": 131072, "steps": []}',
        b"[" * 100_000,
    ],
)
def test_heads_that_lie_are_refused(head: bytes) -> None:
    body = len(head).to_bytes(8, "little") + head + bytes(16)
    with pytest.raises(ContentError, match="damaged"):
        Skeleton.from_bytes(MAGIC + zlib.compress(body))


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project_cache.nwb.skeleton.LARGEST", 1 << 20)
    with pytest.raises(ContentError, match="larger than any skeleton"):
        Skeleton.from_bytes(MAGIC + zlib.compress(bytes(64 << 20)))


def test_pynwb_reads_by_it(tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    path = tmp_path / "p.nwb"
    nwb = pynwb.NWBFile("a", "b", datetime(2024, 1, 1, tzinfo=UTC))
    for n in range(5):
        nwb.add_unit(spike_times=np.arange(1000.0) + n)
    nwb.add_acquisition(
        pynwb.TimeSeries(
            name="x", data=pynwb.H5DataIO(np.arange(1e5), compression="gzip"), unit="V", rate=1.0
        )
    )
    nwb.add_trial(0.0, 1.0)
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    file, asked = _asked(path, skeleton_of(path))
    with file, pynwb.NWBHDF5IO(file=file, mode="r", load_namespaces=True) as io:
        read = io.read()
        assert read.units["spike_times"][3][5] == 8.0
        assert len(read.trials) == 1
        assert asked == []
        assert read.acquisition["x"].data[99_999] == 99_999
        assert len(asked) == 1


def _timed(path: Path, **how: Any) -> Path:
    times = 5.0 + np.arange(20_000) / 1250
    with h5py.File(path, "w", **how) as file:
        file.attrs["nwb_version"] = "2.7.0"
        for name, values in (("even", times), ("odd", np.random.default_rng(0).normal(size=20_000))):
            file.create_dataset(f"acquisition/{name}/timestamps", data=values)
        file.create_dataset(
            "acquisition/packed/timestamps", data=times[::-1][::-1] * 3, chunks=(1000,), compression="gzip"
        )
        file["acquisition/linked/timestamps"] = h5py.SoftLink("/acquisition/even/timestamps")
        file["acquisition/twice/timestamps"] = file["acquisition/even/timestamps"]
        file["acquisition/short/timestamps"] = times[:100]
    return path


@pytest.mark.parametrize("how", [{}, {"libver": "latest"}, {"userblock_size": 1024}], ids=str)
def test_times_on_a_grid_are_in_it(tmp_path: Path, how: dict[str, Any]) -> None:
    path = _timed(tmp_path / "a.nwb", **how)
    skeleton = Skeleton.from_bytes(skeleton_of(path).to_bytes())
    assert len(skeleton.grids) == 2
    assert skeleton.nbytes < 100_000
    file, asked = _asked(path, skeleton)
    with file, h5py.File(path) as truth:
        for name in ("even", "linked", "twice", "packed"):
            times = skeleton.grids[address_of(file[f"acquisition/{name}/timestamps"])].values()
            assert times.tobytes() == truth[f"acquisition/{name}/timestamps"][:].tobytes()
        assert address_of(file["acquisition/odd/timestamps"]) not in skeleton.grids
    assert asked == []
    again = pickle.loads(pickle.dumps(skeleton))
    assert again.grids == skeleton.grids


def test_grids_that_lie_are_refused(tmp_path: Path) -> None:
    skeleton = skeleton_of(_timed(tmp_path / "a.nwb"))
    for grid in (Grid(1 << 40, 0.0, 1.0, False), Grid(5, 0.0, -1.0, False), Grid(5, float("nan"), 1.0, True)):
        lying = Skeleton(skeleton.size, "blake3:0", [], b"", bytes(16 * 5), {7: grid})
        with pytest.raises(ContentError, match="damaged"):
            Skeleton.from_bytes(lying.to_bytes())
