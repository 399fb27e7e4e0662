"""Contiguous series: copied or computed into the room that HDF5 left for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.build.contiguous import fill_rooms, room_for_series
from project_cache.build.lazy_array import LazyArray, lazy
from project_cache.errors import CorruptObjectError


@pytest.fixture
def traces(tmp_path: Path) -> Any:
    plain = np.random.default_rng(0).integers(-500, 500, (5000, 384), dtype=np.int16)
    plain.tofile(tmp_path / "continuous.dat")
    return np.memmap(tmp_path / "continuous.dat", "<i2", "r", shape=plain.shape)


def file_with(path: Path, **arrays: LazyArray) -> list[Any]:
    with h5py.File(path, "w") as file:
        file["before"] = np.arange(10)
        for name, data in arrays.items():
            file.create_dataset(name, data.shape, data.dtype)
        rooms = [room_for_series(file[name], data) for name, data in arrays.items()]
        file["after"] = np.arange(20)
    return rooms


@pytest.mark.parametrize("sends", [True, False])
def test_copied_beside_computed(
    traces: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sends: bool
) -> None:
    if not sends:

        def refused(*_: Any) -> int:
            raise OSError(22, "Invalid argument")

        monkeypatch.setattr(os, "sendfile", refused, raising=False)
    monkeypatch.setattr("project_cache.build.contiguous.WINDOW", 1 << 18)
    doubled = LazyArray((5000, 384), "<i2", lambda start, stop: traces[start:stop] * 2, block=700)
    part = lazy(traces, slice(0, 64))
    rooms = file_with(tmp_path / "one.h5", copied=lazy(traces), computed=doubled, part=part)
    assert [room.data.file is not None for room in rooms] == [True, False, False]
    assert set(fill_rooms(tmp_path / "one.h5", rooms)) == {"/copied", "/computed", "/part"}
    with h5py.File(tmp_path / "one.h5") as file:
        np.testing.assert_array_equal(file["copied"][:], traces)
        np.testing.assert_array_equal(file["computed"][:], traces * 2)
        np.testing.assert_array_equal(file["part"][:], traces[:, :64])
        assert (file["before"][:].tolist(), file["after"][:].tolist()) == (list(range(10)), list(range(20)))


def test_a_file_that_has_become_shorter_is_named(traces: Any, tmp_path: Path) -> None:
    rooms = file_with(tmp_path / "one.h5", copied=lazy(traces))
    os.truncate(tmp_path / "continuous.dat", 1000)
    with pytest.raises(CorruptObjectError, match=r"continuous.dat has become 3,839,000 bytes shorter"):
        fill_rooms(tmp_path / "one.h5", rooms)


def test_what_fails_to_be_computed_stops_the_copying(traces: Any, tmp_path: Path) -> None:
    def broken(start: int, stop: int) -> Any:
        raise ValueError("no such sample")

    data = LazyArray((10, 2), "<i2", broken, block=5)
    rooms = file_with(tmp_path / "one.h5", copied=lazy(traces), computed=data)
    with pytest.raises(ValueError, match="no such sample"):
        fill_rooms(tmp_path / "one.h5", rooms)


def test_what_is_in_chunks_has_no_room(tmp_path: Path) -> None:
    data = LazyArray((10, 2), "<i2", lambda start, stop: np.zeros((stop - start, 2), "<i2"), block=5)
    with h5py.File(tmp_path / "one.h5", "w") as file:
        assert room_for_series(file.create_dataset("a", (10, 2), "<i2", chunks=(5, 2)), data) is None
        assert room_for_series(file.create_dataset("b", (10, 2), "<f4"), data) is None
