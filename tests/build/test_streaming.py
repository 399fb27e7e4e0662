"""Series larger than memory: written whole, compressed on all cores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.build.lazy_array import LazyArray
from project_cache.build.raw_ephys import raw_ap, raw_lfp
from project_cache.build.streaming import fill, write


@pytest.fixture
def plain() -> Any:
    return np.random.default_rng(0).integers(-500, 500, (1000, 70), dtype=np.int16)


def of(plain: Any, block: int = 128) -> LazyArray:
    return LazyArray(plain.shape, plain.dtype, lambda start, stop: plain[start:stop], block=block)


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("chunks", [(1000, 70), (128, 64), (300, 7)])
def test_what_is_filled_in_is_what_hdf5_reads(
    plain: Any, compression: Any, chunks: tuple[int, int], tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "filled.h5", "w") as file:
        dataset = file.create_dataset(
            "data",
            plain.shape,
            plain.dtype,
            chunks=chunks,
            compression=compression,
            shuffle=bool(compression),
        )
        written = fill(dataset, of(plain, block=256), threads=2)
    with h5py.File(tmp_path / "filled.h5") as file:
        np.testing.assert_array_equal(file["data"][:], plain)
    assert (written.name, written.nbytes) == ("/data", plain.nbytes)
    assert written.rate > 0
    if compression:
        assert written.stored < file_size(tmp_path / "filled.h5")


def file_size(path: Path) -> int:
    return path.stat().st_size


def test_the_same_array_gives_the_same_bytes(plain: Any, tmp_path: Path) -> None:
    contents = []
    for threads in (1, 4):
        path = tmp_path / f"{threads}.h5"
        with h5py.File(path, "w") as file:
            dataset = file.create_dataset(
                "data", plain.shape, plain.dtype, chunks=(128, 64), compression="gzip", shuffle=True
            )
            fill(dataset, of(plain), threads=threads)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("compression", ["gzip", None])
def test_raw_traces_are_copied_into_a_file(
    small: Callable[..., Any],
    nwb_file: Callable[..., Any],
    faults: Callable[[Path], list[str]],
    tmp_path: Path,
    compression: Any,
) -> None:
    import pynwb

    made = small()
    tables = made.electrodes()
    parts = [raw(made.raw, made.clock, made.options, tables[0]) for raw in (raw_ap, raw_lfp)]
    path = tmp_path / "one.nwb"
    written = write(nwb_file(made, tables, acquisition=parts), path, compression)
    assert sorted(each.name for each in written) == [
        "/acquisition/AP/probeA/data",
        "/acquisition/AP/probeB/data",
        "/acquisition/LFP_raw/probeA/data",
        "/acquisition/LFP_raw/probeB/data",
    ]
    assert faults(path) == []
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        for container, band in (("AP", "AP"), ("LFP_raw", "LFP")):
            for letter in "AB":
                series = file.acquisition[container][f"probe{letter}"]
                expected = made.raw.ephys.streams[f"Neuropix-PXI-100.Probe{letter}-{band}"].data
                np.testing.assert_array_equal(series.data[:], expected)
                assert series.data.compression == compression
                assert series.electrodes.data[[0, -1]].tolist() == [
                    384 * "AB".index(letter),
                    384 * "AB".index(letter) + 383,
                ]


def test_pynwb_alone_writes_them_too(
    small: Callable[..., Any], nwb_file: Callable[..., Any], tmp_path: Path
) -> None:
    import pynwb

    made = small(letters="A")
    tables = made.electrodes()
    file = nwb_file(made, tables, acquisition=[raw_ap(made.raw, made.clock, made.options, tables[0])])
    with pynwb.NWBHDF5IO(str(tmp_path / "one.nwb"), "w") as io:
        io.write(file)
    with h5py.File(tmp_path / "one.nwb") as read:
        data = read["acquisition/AP/probeA/data"]
        np.testing.assert_array_equal(data[:], made.raw.ephys.streams["Neuropix-PXI-100.ProbeA-AP"].data)


def test_a_file_without_large_series_is_written_as_it_is(
    small: Callable[..., Any], nwb_file: Callable[..., Any], tmp_path: Path
) -> None:
    assert write(nwb_file(small()), tmp_path / "one.nwb") == []
    with h5py.File(tmp_path / "one.nwb") as read:
        assert "electrodes" in read["general/extracellular_ephys"]
