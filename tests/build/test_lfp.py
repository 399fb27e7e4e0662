"""The filtered LFP: the filter of scipy, whatever the blocks; every fourth channel, at 1,250 Hz."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project_cache.build.lfp import LfpFilter, filtered, lfp, precomputed_lfp
from project_cache.build.options import Options
from project_cache.build.streaming import write
from project_cache.errors import ComponentUnavailable, ConfigurationError

DESIGN = LfpFilter(2500.0, 2)


@pytest.fixture(scope="module")
def traces() -> Any:
    """A minute and a half of noise that wanders, on an offset, in counts."""
    rng = np.random.default_rng(0)
    n_samples = 225_001
    walk = np.cumsum(rng.standard_normal((n_samples, 3)), axis=0) * 3
    return (walk + rng.standard_normal((n_samples, 3)) * 30 + 400).round().astype(np.int16)


def test_it_is_the_filter_of_scipy_forward_and_backward(traces: Any) -> None:
    from scipy.signal import sosfiltfilt

    n_samples = -(-len(traces) // 2)
    found = filtered(traces, DESIGN, 0, n_samples)
    expected = sosfiltfilt(DESIGN.sections(), traces.astype(float), axis=0, padlen=DESIGN.overlap())[::2]
    assert found.shape == expected.shape
    # a hundredth of a count: 2 nV
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)


def test_where_blocks_are_cut_cannot_be_seen(traces: Any) -> None:
    n_samples = -(-len(traces) // 2)
    whole = filtered(traces, DESIGN, 0, n_samples)
    for block in (60_000, 100_001, 131_072):
        np.testing.assert_allclose(
            filtered(traces, DESIGN, 0, n_samples, block=block), whole, rtol=0, atol=0.01
        )
    pieces = [filtered(traces, DESIGN, at, min(at + 30_000, n_samples)) for at in range(0, n_samples, 30_000)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=0, atol=0.01)
    with pytest.raises(ConfigurationError, match="too short"):
        filtered(traces, DESIGN, 0, 10, block=1000)


def test_what_is_in_the_band_passes_without_delay_and_the_rest_does_not() -> None:
    times = np.arange(2500 * 40) / 2500

    def gain(frequency: float) -> float:
        wave = 1000 * np.sin(2 * np.pi * frequency * times)
        found = filtered(wave[:, np.newaxis], DESIGN, 0, len(times) // 2)[:, 0]
        middle = slice(15_000, 35_000)
        return float(found[middle] @ wave[::2][middle] / (wave[::2][middle] @ wave[::2][middle]))

    for frequency in (3.0, 40.0, 300.0):
        assert gain(frequency) == pytest.approx(1.0, abs=0.01)
    assert gain(0.5) == pytest.approx(0.5, abs=0.02)
    assert gain(0.02) == pytest.approx(0.0, abs=0.01)
    # 800 Hz would be heard as 450 Hz
    wave = 1000 * np.sin(2 * np.pi * 800 * times)[:, np.newaxis]
    assert np.abs(filtered(wave, DESIGN, 15_000, 35_000)).max() < 1.0


def test_short_recordings_are_filtered_too(traces: Any) -> None:
    for n_samples in (1, 2, 3, 100, 5000):
        found = filtered(traces[:n_samples], DESIGN, 0, -(-n_samples // 2))
        assert np.isfinite(found).all()


def test_every_fourth_channel_at_half_the_rate_in_volts(small: Callable[..., Any]) -> None:
    made = small()
    table, _ = made.electrodes()
    found = lfp(made.raw, made.clock, made.options, table)
    series = found["probeB"]
    assert (found.name, series.data.shape, series.data.dtype) == ("LFP", (3000, 96), np.int16)
    assert series.electrodes.data[:].tolist() == list(range(384, 768, 4))
    assert series.rate == pytest.approx(1250.0025)
    assert series.starting_time == 10.0
    assert "Butterworth" in series.description
    assert "zero phase" in series.description
    assert series.filtering == "0.5-500 Hz"
    raw = made.raw.ephys.streams["Neuropix-PXI-100.ProbeB-LFP"].data
    expected = filtered(np.asarray(raw[:, ::4]), DESIGN, 100, 200) * 0.195e-6
    # what is stored is whole counts
    np.testing.assert_allclose(series.data[100:200] * series.conversion, expected, rtol=0, atol=0.0976e-6)


def test_a_slice_is_to_the_bit_what_the_whole_has_there(small: Callable[..., Any]) -> None:
    made = small(letters="A", lfp_seconds=85.0)
    table, _ = made.electrodes()
    data = lfp(made.raw, made.clock, Options(lfp_channel_stride=96), table)["probeA"].data
    # longer than what is filtered at once
    assert len(data) > data.block
    whole = data[:]
    for start, stop in ((0, 10), (data.block - 5, data.block + 5), (98_000, 106_250), (7, 100_007)):
        np.testing.assert_array_equal(data[start:stop], whole[start:stop])


def test_coarse_counts_are_stored_finer(small: Callable[..., Any]) -> None:
    made = small(letters="A")
    stream = made.raw.ephys.streams["Neuropix-PXI-100.ProbeA-LFP"]
    stream.bit_volts = np.full(384, 4.6875)
    table, _ = made.electrodes()
    series = lfp(made.raw, made.clock, made.options, table)["probeA"]
    expected = filtered(np.asarray(stream.data[:, ::4]), DESIGN, 0, 50) * 4.6875e-6
    np.testing.assert_allclose(series.data[:50] * series.conversion, expected, rtol=0, atol=0.11e-6)


def test_other_strides_and_rates(small: Callable[..., Any]) -> None:
    made = small(letters="A")
    table, _ = made.electrodes()
    all_channels = lfp(made.raw, made.clock, Options(lfp_channel_stride=1, lfp_rate=625.0), table)["probeA"]
    assert all_channels.data.shape == (1500, 384)
    assert all_channels.rate == pytest.approx(625.00125)
    # what 625 Hz can hold
    assert "at 250 Hz" in all_channels.description
    with pytest.raises(ConfigurationError, match="no whole part"):
        lfp(made.raw, made.clock, Options(lfp_rate=1000.0), table)


def test_without_an_lfp_band_there_is_none(small: Callable[..., Any]) -> None:
    made = small(letters="A", lfp_seconds=1.0)
    table, _ = made.electrodes()
    with pytest.raises(ComponentUnavailable, match="has 1 s of samples"):
        lfp(made.raw, made.clock, made.options, table)
    del made.raw.ephys.streams["Neuropix-PXI-100.ProbeA-LFP"]
    with pytest.raises(ComponentUnavailable, match="no LFP stream of probe A"):
        lfp(made.raw, made.clock, made.options, table)


def test_what_was_computed_before_is_taken(small: Callable[..., Any]) -> None:
    import zarr

    made = small()
    table, _ = made.electrodes()
    folder = made.raw.root / "lfp_subsampled"
    path = folder / "experiment1_Record Node 102#Neuropix-PXI-100.ProbeA-LFP_recording1.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    stored = np.random.default_rng(1).integers(-50, 50, (400, 96), dtype=np.int16)
    group.create_array("traces_seg0", data=stored)
    group.create_array("channel_ids", data=np.array([f"LFP{n}" for n in range(1, 385, 4)], dtype="U8"))
    group.attrs["sampling_frequency"] = 1250.0
    assert list(precomputed_lfp(made.raw)) == ["A"]
    found = lfp(made.raw, made.clock, made.options, table)
    series = found["probeA"]
    np.testing.assert_array_equal(series.data[:], stored)
    assert series.electrodes.data[:].tolist() == list(range(0, 384, 4))
    assert series.rate == pytest.approx(1250.0025)
    assert series.conversion == pytest.approx(0.195e-6)
    assert "before this file was built" in series.description
    # the other probe's is computed
    assert "Butterworth" in found["probeB"].description


def test_a_file_with_it_is_valid(
    small: Callable[..., Any],
    nwb_file: Callable[..., Any],
    faults: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    import pynwb

    made = small(letters="A")
    tables = made.electrodes()
    found = lfp(made.raw, made.clock, made.options, tables[0])
    expected = found["probeA"].data[:]
    path = tmp_path / "one.nwb"
    (written,) = write(nwb_file(made, tables, lfp=found), path)
    assert written.name == "/processing/ecephys/LFP/probeA/data"
    assert faults(path) == []
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        read = io.read().processing["ecephys"]["LFP"]["probeA"]
        np.testing.assert_array_equal(read.data[:], expected)
