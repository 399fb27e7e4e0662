"""Barcodes decoded, and clocks matched by them, also where barcodes are damaged, double or few."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from project_cache.build.clock.streams import decode_barcodes, match_clocks, stream_clock
from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.raw.openephys import OpenEphys
from project_cache.raw.sync import SyncFile

RATE = 30000.0


def pulses(
    starts: NDArray[np.float64], codes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of barcodes: 20 ms high, 20 ms low, then 32 bars of 15 ms, least significant first, 1 is high."""
    on, off = [], []
    for start, code in zip(starts, codes, strict=True):
        on.append(start)
        off.append(start + 0.02)
        levels = np.array([0, *[(int(code) >> n) & 1 for n in range(32)], 0])
        edges = start + 0.04 + 0.015 * (np.flatnonzero(np.diff(levels)))
        up = np.diff(levels)[np.diff(levels) != 0] > 0
        on += edges[up].tolist()
        off += edges[~up].tolist()
    return np.array(on), np.array(off)


def session(
    hours: float = 2.0, rate: float = RATE * (1 + 3e-6), start: float = 14.18, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], int]:
    """Barcodes of a session on sync, and the device's edges in whole samples."""
    rng = np.random.default_rng(seed)
    n = int(hours * 120)
    starts = 4.7 + 30 * np.arange(n) + rng.normal(0, 0.002, n)
    codes = rng.integers(1, 2**32 - 1, n)
    on, off = pulses(starts, codes)
    times, values = decode_barcodes(np.round(on * 1e5) / 1e5, np.round(off * 1e5) / 1e5, starts[-1] + 20)
    device_on, device_off = np.floor((on - start) * rate), np.floor((off - start) * rate)
    n_samples = int((starts[-1] + 15 - start) * rate)
    return times, values, device_on[device_on >= 0], device_off[device_off >= 0], n_samples


def on_device(
    on: NDArray[np.float64], off: NDArray[np.float64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    times, values = decode_barcodes(on / RATE, off / RATE, n / RATE)
    return times * RATE, values


def test_a_barcode_has_the_same_value_on_every_clock() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(1, 2**32 - 1, 20)
    on, off = pulses(5.0 + 30 * np.arange(20.0), codes)
    times, values = decode_barcodes(on, off, 620.0)
    assert np.allclose(times, 5.0 + 30 * np.arange(20.0))
    assert len(set(values.tolist())) == 20
    skewed = decode_barcodes(on * (1 + 1e-4) + 3, off * (1 + 1e-4) + 3, 630.0)
    assert skewed[1].tolist() == values.tolist()


def test_barcodes_that_may_be_cut_are_left_out() -> None:
    on, off = pulses(np.array([1.0, 31.0, 61.0]), np.array([7, 8, 9]))
    assert decode_barcodes(on, off, 62.0)[0].tolist() == [31.0]
    assert len(decode_barcodes([], [], 100.0)[0]) == 0
    assert len(decode_barcodes([5.0], [], 100.0)[0]) == 0


def test_pulses_induced_in_the_cable_are_passed_over() -> None:
    on, off = pulses(5.0 + 30 * np.arange(6.0), np.arange(100, 106))
    times, values = decode_barcodes(on, off, 200.0)
    # one between barcodes, one within a bar, two in a row, and a moment of low in a high bar
    extra_on = np.array([20.0, 35.001, 65.5, 65.501, 95.0107])
    extra_off = np.array([20.0003, 35.0015, 65.5004, 65.5013, 95.0103])
    noisy = decode_barcodes(np.concatenate([on, extra_on]), np.concatenate([off, extra_off]), 200.0)
    assert np.allclose(noisy[0], times, atol=1e-9)
    assert noisy[1].tolist() == values.tolist()


def test_two_hours_of_drift_are_followed_to_a_tenth_of_a_millisecond() -> None:
    for ppm, start in ((3, 14.18), (-40, 0.0), (200, -100.0)):
        rate = RATE * (1 + ppm * 1e-6)
        times, values, on, off, n = session(2.0, rate, start)
        clock = match_clocks(times, values, *on_device(on, off, n), RATE, n)
        samples = np.linspace(0, n, 50)
        assert np.abs(clock.times(samples) - (start + samples / rate)).max() < 1e-4
        assert clock.rate == pytest.approx(rate, abs=0.003)
        assert clock.stop == pytest.approx(start + n / rate, abs=1e-4)
        assert clock.residual < 2e-5
        assert clock.method == "barcodes"


def test_a_damaged_barcode_changes_nothing() -> None:
    times, values, on, off, n = session(0.5)
    m, v = on_device(on, off, n)
    good = match_clocks(times, values, m, v, RATE, n)
    moved = m.copy()
    moved[20] += 0.0123 * RATE
    worse = match_clocks(times, values, moved, v, RATE, n)
    assert worse.n_barcodes == good.n_barcodes - 1
    assert np.abs(worse.times([0, n]) - good.times([0, n])).max() < 5e-6
    other = v.copy()
    other[7] ^= 0b1000
    assert match_clocks(times, values, m, other, RATE, n).n_barcodes == good.n_barcodes - 1
    # the first and the last one, which two points alone would trust
    ends = m.copy()
    ends[[0, -1]] += [300.0, -500.0]
    assert (
        np.abs(match_clocks(times, values, ends, v, RATE, n).times([0, n]) - good.times([0, n])).max() < 1e-5
    )


def test_barcodes_that_stand_twice_are_told_apart() -> None:
    times, values, on, off, n = session(0.5)
    m, v = on_device(on, off, n)
    good = match_clocks(times, values, m, v, RATE, n)
    # the sender began anew: the same barcodes an hour before, on sync alone
    again = match_clocks(
        np.concatenate([times[:40] + 100, times + 3600]), np.concatenate([values[:40], values]), m, v, RATE, n
    )
    assert again.start == pytest.approx(good.start + 3600, abs=1e-5)
    # one value twice on both
    twice = values.copy()
    twice[30] = twice[10]
    device = v.copy()
    device[np.flatnonzero(v == values[30])] = values[10]
    clock = match_clocks(times, twice, m, device, RATE, n)
    assert clock.n_barcodes == good.n_barcodes
    assert clock.start == pytest.approx(good.start, abs=1e-6)
    # all of them the same
    same = match_clocks(times, np.ones_like(values), m, np.ones_like(v), RATE, n)
    assert same.start == pytest.approx(good.start, abs=1e-6)


def test_a_recording_that_was_cut_short_is_matched_by_what_it_has() -> None:
    times, values, on, off, n = session(0.5)
    m, v = on_device(on, off, n)
    clock = match_clocks(times, values, m[:4], v[:4], RATE, n // 10)
    assert clock.n_barcodes == 4
    assert clock.start == pytest.approx(14.18, abs=1e-4)
    single = match_clocks(times, values, m[:1], v[:1], RATE, 1000)
    assert single.method == "one barcode, nominal rate"
    assert np.isnan(single.residual)
    assert single.start == pytest.approx(14.18, abs=2e-4)


def test_recordings_of_different_sessions_have_no_matching_barcodes() -> None:
    times, values, on, off, n = session(0.2)
    m, v = on_device(on, off, n)
    with pytest.raises(MissingDataError, match="no matching barcodes"):
        match_clocks(times, values, m, v ^ 0x5555, RATE, n)
    with pytest.raises(MissingDataError, match="no matching barcodes"):
        match_clocks([], [], m, v, RATE, n)
    # the same values, at times that no crystal gives
    assert match_clocks(times, values, m * 1.02, v, RATE, n).n_barcodes == 1


def recording(
    folder: Path,
    on: NDArray[np.float64],
    off: NDArray[np.float64],
    n: int = 600,
    first: int = 42_000_000,
    line: int = 1,
) -> Path:
    """Write a Record Node with one stream of two channels and its TTL events."""
    at = folder / "Record Node 102" / "experiment1" / "recording1"
    name = "Neuropix-PXI-100.ProbeA-AP"
    continuous, events = at / "continuous" / name, at / "events" / name / "TTL"
    continuous.mkdir(parents=True)
    events.mkdir(parents=True)
    channels = [{"channel_name": f"AP{c + 1}", "bit_volts": 0.195} for c in range(2)]
    stream = {"folder_name": f"{name}/", "sample_rate": RATE, "num_channels": 2, "channels": channels}
    (at / "structure.oebin").write_text(json.dumps({"continuous": [stream]}))
    np.zeros((n, 2), "<i2").tofile(continuous / "continuous.dat")
    np.save(continuous / "sample_numbers.npy", first + np.arange(n))
    np.save(continuous / "timestamps.npy", 5.0 + np.arange(n) / 30000.1)
    samples = np.concatenate([on, off])
    states = np.concatenate([np.full(len(on), line), np.full(len(off), -line)]).astype(np.int16)
    order = np.argsort(samples)
    np.save(events / "sample_numbers.npy", first + samples[order].astype(np.int64))
    np.save(events / "states.npy", states[order])
    return folder / "Record Node 102"


def test_a_stream_is_put_on_the_clock_by_the_line_that_has_barcodes(tmp_path: Path) -> None:
    times, values, on, off, _ = session(0.3)
    stream = OpenEphys([recording(tmp_path, on, off, line=3)]).streams["Neuropix-PXI-100.ProbeA-AP"]
    clock = stream_clock(stream, (times, values))
    assert clock.start == pytest.approx(14.18, abs=1e-4)
    # the samples that are here, however long events go on
    assert clock.n_samples == 600
    assert clock.stop == pytest.approx(14.18 + 600 / RATE, abs=1e-4)


def test_samples_that_were_lost_on_the_way_shift_those_that_follow(tmp_path: Path) -> None:
    times, values, on, off, _ = session(0.3)
    node = recording(tmp_path, on, off, n=1000)
    stream = OpenEphys([node]).streams["Neuropix-PXI-100.ProbeA-AP"]
    assert stream.gaps == ()
    numbers = 42_000_000 + np.arange(1000)
    numbers[300:] += 3000
    numbers[301:] += 6000
    np.save(next(node.rglob("continuous/*/sample_numbers.npy")), numbers)
    stream = OpenEphys([node]).streams["Neuropix-PXI-100.ProbeA-AP"]
    assert stream.gaps == ((300, 3000), (301, 6000))
    clock = stream_clock(stream, (times, values))
    assert np.diff(clock.times([0, 299, 300, 301, 999])) * RATE == pytest.approx(
        [299, 3001, 6001, 698], rel=1e-4
    )
    assert clock.stop == pytest.approx(14.18 + 10_000 / RATE, abs=1e-4)
    np.save(next(node.rglob("continuous/*/sample_numbers.npy")), numbers[::-1].copy())
    with pytest.raises(CorruptObjectError, match=r"sample_numbers\.npy"):
        _ = OpenEphys([node]).streams["Neuropix-PXI-100.ProbeA-AP"].gaps


def test_a_stream_without_sync_keeps_its_nominal_rate(tmp_path: Path) -> None:
    _, _, on, off, _ = session(0.1)
    stream = OpenEphys([recording(tmp_path, on, off)]).streams["Neuropix-PXI-100.ProbeA-AP"]
    clock = stream_clock(stream, None)
    assert (clock.start, clock.rate, clock.method) == (0.0, RATE, "nominal rate")


def test_a_stream_that_was_aligned_before_keeps_its_times(tmp_path: Path) -> None:
    _, _, on, off, _ = session(0.1)
    node = recording(tmp_path, on, off)
    stream = OpenEphys([node]).streams["Neuropix-PXI-100.ProbeA-AP"]
    (stream.path / "TIMESTAMPS_ADJUSTED.flag").touch()  # type: ignore[union-attr]
    clock = stream_clock(stream, (np.empty(0), np.empty(0, np.int64)))
    assert clock.method == "adjusted timestamps"
    assert clock.start == 5.0
    assert clock.rate == pytest.approx(30000.1)


def test_a_stream_without_barcodes_says_which(tmp_path: Path) -> None:
    times, values, on, off, _ = session(0.1)
    node = recording(tmp_path, on, off)
    stream = OpenEphys([node]).streams["Neuropix-PXI-100.ProbeA-AP"]
    with pytest.raises(MissingDataError, match=r"ProbeA-AP.*no matching barcodes"):
        stream_clock(stream, (times, values + 1))
    states = next(node.rglob("states.npy"))
    states.write_bytes(states.read_bytes()[:-7])
    with pytest.raises(CorruptObjectError, match=r"states\.npy"):
        stream_clock(stream, (times, values))


def test_the_simulated_session_agrees_with_its_truth(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/raw_session"
    raw = folder / "DRpilot_712345_20231114"
    truth = json.loads((folder / "truth/ephys.json").read_text())["devices"]
    sync = SyncFile(raw / "20231114T123331.h5")
    barcodes = decode_barcodes(sync.rising(0), sync.falling(0), sync.total_seconds)
    streams = OpenEphys([raw / "Record Node 102"]).streams
    assert streams.keys() == truth.keys()
    for name, stream in streams.items():
        clock, true = stream_clock(stream, barcodes), truth[name]
        tolerance = 5e-4 if stream.band == "LFP" else 1e-4
        assert clock.start == pytest.approx(true["true_start"], abs=tolerance)
        assert clock.rate == pytest.approx(true["true_rate"], abs=0.003)
        assert clock.times(true["n_samples_full"]) == pytest.approx(true["true_stop_full"], abs=tolerance)
        assert clock.n_barcodes > 40
        assert clock.n_samples == true["n_samples_on_disk"]
