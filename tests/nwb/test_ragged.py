"""Ragged columns: cut from one data set, whatever its layout, and no more of it than was asked for."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.errors import CorruptObjectError, UnknownObjectError
from project_cache.nwb.file import NWBReader
from project_cache.nwb.ragged import Ragged

COUNT, EACH = 64, 30_000


def _write(path: Path, flat: np.ndarray, ends: Any, pad: int = 0, **how: Any) -> NWBReader:
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        if pad:
            file["pad"] = np.zeros(pad, dtype=np.uint8)
        file.create_dataset("units/spike_times", data=flat, **how)
        file["units/spike_times_index"] = ends
        file["units/id"] = np.arange(len(ends))
    return NWBReader(path)


def _ragged(reader: NWBReader, count: int) -> Ragged:
    rows = np.arange(count)
    return Ragged(reader, "/units", "spike_times", 10 + rows, rows)


def test_one_unit_unpacks_its_own_chunks_only(tmp_path: Path) -> None:
    flat = np.arange(COUNT * EACH, dtype=np.float64)
    reader = _write(
        tmp_path / "a.nwb", flat, EACH * np.arange(1, COUNT + 1), chunks=(EACH,), compression="gzip"
    )
    with h5py.File(reader.path, "r") as file:
        last = file["units/spike_times"].id.get_chunk_info(COUNT - 1)
    with reader.path.open("r+b") as file:
        file.seek(last.byte_offset)
        file.write(b"\0" * last.size)
    times = _ragged(reader, COUNT)
    for n in range(4):
        np.testing.assert_array_equal(times[10 + n], flat[n * EACH : (n + 1) * EACH])
    # who asks for them all meets the chunk that is broken
    with pytest.raises(CorruptObjectError):
        times.values()
    with pytest.raises(CorruptObjectError):
        times[10 + COUNT - 1]


def test_many_units_unpack_all_chunks_once(tmp_path: Path) -> None:
    flat = np.arange(COUNT * EACH, dtype=np.float64)
    reader = _write(
        tmp_path / "a.nwb", flat, EACH * np.arange(1, COUNT + 1), chunks=(10_000,), compression="gzip"
    )
    times = _ragged(reader, COUNT)
    for n in range(COUNT // 2):
        assert times[10 + n][0] == n * EACH
    reader.path.unlink()
    for n in range(COUNT):
        assert times[10 + n][-1] == (n + 1) * EACH - 1


@pytest.mark.parametrize("pad", range(9))
def test_the_bytes_may_begin_anywhere(tmp_path: Path, pad: int) -> None:
    flat = np.arange(4000.0)
    times = _ragged(_write(tmp_path / "a.nwb", flat, [1000, 1000, 2500, 4000], pad=pad), 4)
    assert [len(each) for each in times.values()] == [1000, 0, 1500, 1500]
    for each in times.values():
        assert each.flags.aligned
        assert each.flags.writeable
        assert type(each) is np.ndarray
    np.testing.assert_array_equal(times[12], flat[1000:2500])
    times[12][:] = 0
    assert times[12].sum() == 0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(times))[12], flat[1000:2500])


@pytest.mark.skipif(sys.platform == "win32", reason="not mapped on Windows")
def test_some_are_mapped(tmp_path: Path) -> None:
    for pad in range(9):
        reader = _write(tmp_path / f"{pad}.nwb", np.arange(4000.0), [2000, 4000], pad=pad)
        with h5py.File(reader.path, "r") as file:
            offset = file["units/spike_times"].id.get_offset()
        times = _ragged(reader, 2)
        if offset % 8 == 0:
            assert not times[10].flags.owndata
            return
    pytest.fail("no data set began at a multiple of 8")


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", ">u4"])
def test_any_number(tmp_path: Path, dtype: str) -> None:
    times = _ragged(
        _write(tmp_path / "a.nwb", np.arange(100).astype(dtype), np.array([40, 100], np.uint8)), 2
    )
    assert times[11].tolist() == list(range(40, 100))
    assert times[11].dtype.isnative


@pytest.mark.parametrize("ends", [[5, 3, 10], [5, 8, 11], [-1, 5, 10], [1.0, 2.0, 3.0], [[1, 2], [3, 4]]])
def test_ends_that_cannot_be(tmp_path: Path, ends: Any) -> None:
    with pytest.raises(CorruptObjectError, match="spike_times_index"):
        _ragged(_write(tmp_path / "a.nwb", np.arange(10.0), np.array(ends)), len(ends))


def test_it_is_a_mapping(tmp_path: Path) -> None:
    times = _ragged(_write(tmp_path / "a.nwb", np.arange(10.0), [4, 10]), 2)
    assert list(times) == list(times.keys()) == [10, 11]
    assert 10 in times
    assert 12 not in times
    assert len(times) == len(dict(times)) == 2
    assert times[np.int64(11)] is times[11]
    with pytest.raises(UnknownObjectError, match="12"):
        times[12]
    with pytest.raises(KeyError):
        times[12]
    with pytest.raises(CorruptObjectError, match="ids"):
        Ragged(times._flat._reader, "/units", "spike_times", np.arange(3), np.arange(3))
