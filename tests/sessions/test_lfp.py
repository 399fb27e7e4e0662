"""LFP and current source density: the same numbers from every layout, and no more read than is looked at."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.errors import CorruptObjectError, DependencyError, MissingDataError, UnknownObjectError
from project_cache.sessions.ecephys import EcephysSession

Write = Callable[..., Path]
CHANNELS = np.array([11, 13, 12, 14, 21, 22, 23, 24, 31, 32, 33, 34])
TIMES = 5.0 + np.arange(3000) / 1250
DATA = np.random.default_rng(0).normal(size=(len(TIMES), len(CHANNELS))).astype(np.float32)
LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "at an odd byte": {"pad": 3},
    "in chunks": {"chunks": (100, 4)},
    "packed": {"chunks": (64, 12), "compression": "gzip"},
    "big-endian": {"dtype": ">f4"},
}


def write_lfp(
    path: Path,
    probe: int = 1,
    *,
    data: Any = DATA,
    pad: int = 0,
    dtype: str | None = None,
    rate: bool = False,
    region: Any = None,
    csd: bool = True,
    linked: bool = False,
    **how: Any,
) -> Path:
    """Write a probe's file as the Visual Coding project does."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"nwb_version": "2.2.2", "neurodata_type": "NWBFile", "namespace": "core"})
        file["identifier"] = str(probe)
        if pad:
            file.create_dataset("scratch", data=np.zeros(pad, dtype=np.uint8))
        series = file.create_group(
            f"acquisition/probe_{probe}_lfp_data"
            if linked
            else f"acquisition/probe_{probe}_lfp/probe_{probe}_lfp_data"
        )
        series.attrs["neurodata_type"] = "ElectricalSeries"
        series.create_dataset("data", data=data, dtype=dtype, **how)
        if rate:
            series["starting_time"] = TIMES[0]
            series["starting_time"].attrs["rate"] = 1250.0
        else:
            series["timestamps"] = TIMES[: len(data)]
        series["electrodes"] = np.arange(len(CHANNELS)) if region is None else region
        file["general/extracellular_ephys/electrodes/id"] = CHANNELS
        if csd:
            group = file.create_group("processing/current_source_density/ecephys_csd")
            group["current_source_density/data"] = np.arange(12.0).reshape(4, 3)
            group["current_source_density/timestamps"] = np.arange(4) / 10
            group["virtual_electrode_y_positions"] = np.array([20.0, 40.0, 60.0])
            group["virtual_electrode_x_positions"] = np.array([24.0] * 3)
    return path


@pytest.fixture
def session(recording: Write) -> EcephysSession:
    """A session whose probes' files are looked for beside its own."""
    return EcephysSession(recording())


def beside(session: EcephysSession, probe: int = 1) -> Path:
    return session.path.with_name(f"probe_{probe}_lfp.nwb")


def invalidate(session: EcephysSession, *tags: str) -> EcephysSession:
    """Say of two stretches that they are invalid."""
    with h5py.File(session.path, "r+") as file:
        group = file.create_group("intervals/invalid_times")
        text = h5py.string_dtype()
        group.attrs["colnames"] = np.array(["start_time", "stop_time", "tags"], dtype=text)
        # ends just on samples
        group["start_time"], group["stop_time"] = TIMES[[10, 2000]], TIMES[[20, 2100]]
        group["tags"] = np.array([*tags, *tags], dtype=object)
        group["tags_index"] = np.array([len(tags), 2 * len(tags)], dtype=np.uint8)
        group["tags_index"].attrs["neurodata_type"] = "VectorIndex"
        group["id"] = np.arange(2)
    return EcephysSession(session.path)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_gives_the_same_samples(session: EcephysSession, layout: dict[str, Any]) -> None:
    write_lfp(beside(session), **layout)
    lfp = session.get_lfp(1)
    assert lfp.name == "LFP"
    assert lfp.dims == ("time", "channel")
    assert lfp.dtype == np.float32
    np.testing.assert_array_equal(lfp.channel, CHANNELS)
    np.testing.assert_array_equal(lfp.time, TIMES)
    np.testing.assert_array_equal(lfp.to_numpy(), DATA)
    np.testing.assert_array_equal(lfp.load().to_numpy(), DATA)


KEYS: dict[str, Any] = {
    "a stretch": (slice(100, 300), slice(None)),
    "steps": (slice(7, 2900, 13), slice(1, 9, 3)),
    "backwards": (slice(900, 20, -7), slice(None, None, -1)),
    "one sample": (-3, slice(None)),
    "one channel": (slice(None), 4),
    "one number": (17, -1),
    "some": ([5, 2999, 1, 1500, 1501, 1], [7, 0, 3]),
    "truth values": (np.arange(3000) % 997 == 5, CHANNELS > 20),
    "nothing": (slice(10, 10), slice(None)),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_slices_are_those_of_the_whole(
    session: EcephysSession, layout: dict[str, Any], key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # in many blocks
    monkeypatch.setattr("project_cache.sessions.lfp._AT_ONCE", 48 * 250)
    write_lfp(beside(session), **layout)
    invalid = DATA.copy()
    invalid[10:21] = invalid[2000:2101] = np.nan
    lfp = invalidate(session, "EcephysProbe", "1", "probeA").get_lfp(1)
    rows, columns = key
    found = lfp[rows, columns]
    axes = [np.arange(n)[each] for n, each in zip(DATA.shape, (rows, columns), strict=True)]
    expected = invalid[np.ix_(*map(np.atleast_1d, axes))].reshape([each.size for each in axes if each.ndim])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.to_numpy(), expected)
    # a slice of a slice
    if found.ndim == 2 and len(found) > 3:
        np.testing.assert_array_equal(found[1:3].sel(channel=found.channel[0]).to_numpy(), expected[1:3, 0])


def test_labels_select(session: EcephysSession) -> None:
    write_lfp(beside(session))
    lfp = session.get_lfp(1).sel(time=slice(6, 6.5), channel=[22, 11])
    where = (TIMES >= 6) & (TIMES <= 6.5)
    np.testing.assert_array_equal(lfp.to_numpy(), DATA[where][:, [5, 0]])
    one = session.get_lfp(1).sel(time=5.7, method="nearest")
    np.testing.assert_array_equal(one, DATA[np.argmin(np.abs(TIMES - 5.7))])


@pytest.mark.parametrize(
    ("tag", "touched"), [("probeA", True), ("all_probes", True), ("probeB", False), ("stimulus", False)]
)
def test_invalid_intervals_are_masked(session: EcephysSession, tag: str, touched: bool) -> None:
    write_lfp(beside(session))
    session = invalidate(session, "EcephysProbe", "1", tag)
    bad = np.isnan(session.get_lfp(1)).all("channel").to_numpy()
    assert np.flatnonzero(bad).tolist() == ([*range(10, 21), *range(2000, 2101)] if touched else [])
    np.testing.assert_array_equal(session.get_lfp(1, mask_invalid_intervals=False), DATA)


def test_whole_numbers_become_floats_where_some_are_masked(session: EcephysSession) -> None:
    whole = np.arange(DATA.size, dtype=np.int16).reshape(DATA.shape)
    write_lfp(beside(session), data=whole)
    assert session.get_lfp(1).dtype == np.int16
    masked = invalidate(session, "all_probes").get_lfp(1)
    assert masked.dtype == np.float32
    np.testing.assert_array_equal(masked[30:40], whole[30:40])
    assert np.isnan(masked[10:21]).all()


def test_files_of_other_makes(session: EcephysSession) -> None:
    write_lfp(beside(session), rate=True, linked=True, region=np.arange(12)[::-1], csd=False)
    lfp = session.get_lfp(1)
    np.testing.assert_allclose(lfp.time, TIMES)
    assert lfp.channel.to_numpy().tolist() == CHANNELS[::-1].tolist()
    with pytest.raises(MissingDataError, match="current_source_density"):
        session.get_current_source_density(1)


def test_what_is_not_right_is_said(session: EcephysSession) -> None:
    with pytest.raises(UnknownObjectError, match="no probe 9"):
        session.get_lfp(9)
    with pytest.raises(MissingDataError, match="lfp_path"):
        session.get_lfp(1)
    write_lfp(beside(session), probe=2)
    with pytest.raises(MissingDataError, match="no LFP of probe 1.*itself '2'"):
        session.get_lfp(1)
    write_lfp(beside(session), region=np.arange(12) + 1)
    with pytest.raises(CorruptObjectError, match="beyond the 12"):
        session.get_lfp(1)
    write_lfp(beside(session), region=np.arange(3))
    with pytest.raises(CorruptObjectError, match="3 channels"):
        session.get_lfp(1)
    write_lfp(beside(session), data=DATA[:, 0])
    with pytest.raises(CorruptObjectError, match="samples by channels"):
        session.get_lfp(1)


def test_the_path_is_asked_for_when_it_is_needed(recording: Write, tmp_path: Path) -> None:
    asked = []
    path = write_lfp(tmp_path / "elsewhere.nwb")

    def fetch(probe: int) -> Path:
        asked.append(probe)
        return path

    session = EcephysSession(recording(), lfp_path=fetch)
    assert len(session.probes) == 2
    assert asked == []
    np.testing.assert_array_equal(session.get_lfp(1)[:3], DATA[:3])
    assert asked == [1]


def test_paths_under_allensdks_name(recording: Write, tmp_path: Path) -> None:
    path = write_lfp(tmp_path / "elsewhere.nwb")

    class File:
        container_source = str(path)

    for given in (path, str(path), lambda: path, File):
        session = EcephysSession.from_nwb_path(recording(), api_kwargs={"probe_lfp_paths": {1: given}})
        np.testing.assert_array_equal(session.get_lfp(1)[:3], DATA[:3])
        with pytest.raises(MissingDataError, match="probe_lfp_paths has: 1"):
            session.get_lfp(2)


def test_current_source_density(session: EcephysSession) -> None:
    write_lfp(beside(session))
    csd = session.get_current_source_density(1)
    assert csd.name == "CSD"
    assert csd.dims == ("virtual_channel_index", "time")
    np.testing.assert_array_equal(csd, np.arange(12.0).reshape(4, 3).T)
    np.testing.assert_array_equal(csd.time, np.arange(4) / 10)
    np.testing.assert_array_equal(csd.vertical_position, [20, 40, 60])
    assert csd.horizontal_position.dims == ("virtual_channel_index",)
    assert csd.sel(virtual_channel_index=1).vertical_position == 40


def test_arrays_and_sessions_can_be_pickled(recording: Write, tmp_path: Path) -> None:
    path = write_lfp(tmp_path / "elsewhere.nwb")
    session = EcephysSession.from_nwb_path(recording(), probe_lfp_paths={1: path})
    again = pickle.loads(pickle.dumps(session))
    np.testing.assert_array_equal(again.get_lfp(1)[:3], DATA[:3])
    part = pickle.loads(pickle.dumps(session.get_lfp(1)[5:9]))
    np.testing.assert_array_equal(part, DATA[5:9])


def test_the_file_can_be_replaced_while_an_array_is_held(session: EcephysSession) -> None:
    lfp = write_lfp(beside(session)) and session.get_lfp(1)
    first = lfp[:5].to_numpy()
    with h5py.File(beside(session), "r+") as file:
        file["acquisition/probe_1_lfp/probe_1_lfp_data/data"][0] = 7
    np.testing.assert_array_equal(first, DATA[:5])
    assert (lfp[0] == 7).all()


@pytest.mark.parametrize(
    "how", [{}, {"chunks": (5000, 20), "compression": "lzf"}], ids=["contiguous", "packed"]
)
def test_a_slice_takes_the_memory_of_a_slice(
    session: EcephysSession, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "CHANNELS", np.arange(100))
    monkeypatch.setattr(sys.modules[__name__], "TIMES", np.arange(100_000) / 1250)
    write_lfp(beside(session), data=np.ones((100_000, 100), dtype=np.float32), **how)
    session.get_lfp(1)[0, 0].load()
    tracemalloc.start()
    try:
        lfp = session.get_lfp(1)
        # labels of 0.8 MB, and what is made of them; the samples are 40 MB
        part = lfp.sel(time=slice(10, 11))[:, ::25].load()
        assert tracemalloc.get_traced_memory()[1] < 6e6
        assert part.shape == (1251, 4)
        assert float(part.sum()) == part.size
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="what is read is counted by Linux only")
def test_only_the_chunks_of_a_slice_are_read(
    session: EcephysSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> int:
        return int(Path("/proc/self/io").read_text().split("rchar:")[1].split()[0])

    monkeypatch.setattr(sys.modules[__name__], "CHANNELS", np.arange(64))
    monkeypatch.setattr(sys.modules[__name__], "TIMES", np.arange(50_000) / 1250)
    write_lfp(beside(session), data=np.ones((50_000, 64), dtype=np.float32), chunks=(1250, 8))
    lfp = session.get_lfp(1)
    lfp[0, 0].load()
    before = read()
    lfp[12_500:13_750, [0, 1, 62, 63]].load()
    # two chunks of 40 kB, and what it takes to find them
    assert read() - before < 2 * 2 * 1250 * 8 * 4


def test_dask_arrays(session: EcephysSession) -> None:
    write_lfp(beside(session))
    if importlib.util.find_spec("dask") is None:
        with pytest.raises(DependencyError, match="dask"):
            session.get_lfp(1, chunks="auto")
        return
    lfp = session.get_lfp(1, chunks={"time": 1000})
    assert lfp.chunks == ((1000, 1000, 1000), (12,))
    np.testing.assert_allclose(lfp.mean("time").compute(), DATA.mean(axis=0), rtol=1e-4, atol=1e-6)


def test_importing_sessions_leaves_xarray_alone() -> None:
    script = "import sys, project_cache.sessions.ecephys; print([m for m in ('xarray', 'scipy', 'pynwb', 'dask') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
