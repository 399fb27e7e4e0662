"""The units table: spike times, quality, peak channels, waveforms; against the truth of a simulated session."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.devices import devices, electrode_groups
from project_cache.build.electrodes import electrodes
from project_cache.build.options import Options
from project_cache.build.units import units
from project_cache.errors import ComponentUnavailable, CorruptObjectError
from project_cache.raw.recording import RawRecording


def units_of(made: Any, options: Options | None = None, trials: Any = None, **more: Any) -> tuple[Any, Any]:
    tables = made.electrodes(**more)
    return units(made.raw, made.clock, options or made.options, *tables, trials, **more), tables


def changed(made: Any, letter: str, **values: Any) -> None:
    (old,) = made.raw.sorted.of[letter]
    made.raw.sorted.of[letter] = [dataclasses.replace(old, **values)]


def test_spike_times_are_on_the_sessions_clock(small: Callable[..., Any]) -> None:
    made = small()
    table, _ = units_of(made)
    (source,) = made.raw.sorted.of["B"]
    expected = 10.0 + source.spike_samples[source.spike_units == 2] / 30000.06
    np.testing.assert_allclose(table["spike_times"][6], expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        table["spike_amplitudes"][6], source.amplitudes[source.spike_units == 2], rtol=1e-6, atol=0
    )
    assert [len(each) for each in table["spike_times"][:]] == [600, 600, 600, 30] * 2


def test_units_know_their_names_and_their_peak(small: Callable[..., Any]) -> None:
    made = small()
    table, (rows, _) = units_of(made)
    frame = table.to_dataframe(exclude={"waveform_mean", "waveform_sd", "electrodes"})
    assert frame["unit_id"].tolist()[:5] == [
        "712345_2023-11-14_A-3",
        "712345_2023-11-14_A-5",
        "712345_2023-11-14_A-8",
        "712345_2023-11-14_A-13",
        "712345_2023-11-14_B-3",
    ]
    assert frame["peak_channel"].tolist() == [100, 110, 120, 130] * 2
    assert frame["peak_electrode"].tolist() == [100, 110, 120, 130, 484, 494, 504, 514]
    assert frame["amplitude"].tolist() == [100.0, 101.0, 102.0, 103.0] * 2
    assert frame["device_name"].tolist()[::4] == ["18194810715", "18194810716"]
    assert frame["ccf_ap"].tolist()[:2] == [8100.0, 8110.0]
    assert set(frame["structure"]) == {"VISp"}
    assert frame["electrode_group"][7].name == frame["electrode_group_name"][7] == "probeB"
    assert (
        table["electrodes"][4]["channel"].tolist() == table["channels"][4].tolist() == [98, 99, 100, 101, 102]
    )
    assert rows["group_name"].data[frame["peak_electrode"][7]] == "probeB"


def test_quality_is_judged_anew_and_the_sorters_word_is_kept(small: Callable[..., Any]) -> None:
    table, _ = units_of(small(letters="A"))
    # contaminated; noise; too few spikes for an amplitude cutoff
    assert table["default_qc"].data[:].tolist() == [True, False, False, False]
    assert table["is_qc_pass"].data[:].tolist() == [True, False, False, False]
    assert table["sorter_default_qc"].data[:].tolist() == [True, False, True, False]
    assert table["amplitude_cutoff"].data[0] < 0.1 < table["sorter_amplitude_cutoff"].data[0]
    assert np.isnan(table["amplitude_cutoff"].data[3])
    # without a task
    assert np.isnan(table["activity_drift"].data).all()
    assert not table["is_not_drift"].data.any()


def test_with_a_task_a_unit_that_fades_does_not_pass(small: Callable[..., Any]) -> None:
    made = small(letters="A")
    rng = np.random.default_rng(0)
    (old,) = made.raw.sorted.of["A"]
    samples = old.spike_samples.copy()
    # the first unit falls silent
    first = old.spike_units == 0
    samples[first] = np.sort(rng.integers(0, 20 * 30000, first.sum()))
    order = np.argsort(samples, kind="stable")
    changed(made, "A", spike_samples=samples[order], spike_units=old.spike_units[order])
    index = np.arange(36)
    trials = pd.DataFrame(
        {
            "trial_index": index,
            "stim_start_time": 12.0 + 1.5 * index,
            "stim_name": "vis1",
            "block_index": index // 12,
            "rewarded_modality": "vis",
        }
    )
    table, _ = units_of(made, trials=trials)
    drift = table["activity_drift"].data
    assert drift[0] > 0.1 > drift[2]
    assert table["is_not_drift"].data[:3].tolist() == [False, True, True]
    assert not table["default_qc"].data[0]


def test_waveforms_are_on_all_channels_and_read_when_asked_for(small: Callable[..., Any]) -> None:
    made = small()
    table, _ = units_of(made)
    mean = table["waveform_mean"]
    assert mean.data.shape == (8, 30, 384)
    assert mean[5].shape == (30, 384)
    assert mean[5][10, 110] == -80.0
    assert mean[5][:, 200:].any() == np.False_
    assert table["peak_waveform_index"].data[:].tolist() == [100, 110, 120, 130] * 2
    assert table.waveform_unit == "microvolts"
    assert table.waveform_rate == 30000.0
    assert table.resolution == pytest.approx(1 / 30000)
    without, _ = units_of(small(), Options(waveforms=False))
    assert "waveform_mean" not in without.colnames
    assert "electrodes" not in without.colnames


def test_shanks_that_were_sorted_apart_are_told_apart(small: Callable[..., Any]) -> None:
    made = small(letters="A")
    (old,) = made.raw.sorted.of["A"]
    made.raw.sorted.of["A"] = [dataclasses.replace(old, shank=shank) for shank in (0, 2)]
    table, _ = units_of(made)
    assert table["unit_id"].data[3:5] == ["712345_2023-11-14_A-0-13", "712345_2023-11-14_A-2-3"]
    assert table["shank"].data[:].tolist() == [0] * 4 + [2] * 4


def test_when_a_probe_recorded(small: Callable[..., Any]) -> None:
    made = small()
    table, _ = units_of(made)
    # the samples that are here end after 0.1 s, but spikes go on for a minute
    ((start, stop),) = table["obs_intervals"][0]
    assert start == 10.0
    assert stop == max(times.max() for times in table["spike_times"][:4])
    made.clock.stop = 30.0
    assert units_of(made)[0]["obs_intervals"][0].tolist() == [[10.0, 30.0]]


def test_a_probe_without_a_clock_is_left_out(
    small: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    made = small()
    made.clock.without = "A"
    table, _ = units_of(made)
    assert set(table["electrode_group_name"].data) == {"probeB"}
    assert "probe A of 712345_2023-11-14 are left out" in caplog.text
    made.clock.without = "AB"
    with pytest.raises(ComponentUnavailable, match="of no probe"):
        units_of(made)
    with pytest.raises(ComponentUnavailable, match="no sorted output"):
        units_of(small(sorted=None))


def test_parts_of_different_sortings_are_refused(small: Callable[..., Any]) -> None:
    made = small()
    (old,) = made.raw.sorted.of["A"]
    changed(made, "A", metrics=old.metrics.assign(num_spikes=[600, 600, 599, 30]))
    with pytest.raises(CorruptObjectError, match="600 spikes of unit 8, but its metrics say 599"):
        units_of(made)


def test_surface_channels_count_on_from_384(small: Callable[..., Any]) -> None:
    made = small(letters="A")
    probe = made.raw.ephys.probes["A"]
    fields = {name: getattr(probe, name) for name in probe.__slots__}
    made.raw.ephys.probes["A"] = type(probe)(**(fields | {"bank": probe.bank + 1}))
    made.clock.has_sync = False
    table, _ = units_of(made, is_surface_channels=True)
    assert table["peak_channel"].data[:].tolist() == [484, 494, 504, 514]
    assert table["peak_electrode"].data[:].tolist() == [100, 110, 120, 130]
    assert table["channels"][0].tolist() == [482, 483, 484, 485, 486]


def test_a_file_with_them_is_valid_and_reads_back(
    small: Callable[..., Any],
    nwb_file: Callable[..., Any],
    faults: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    import pynwb

    made = small()
    table, tables = units_of(made)
    path = tmp_path / "one.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(nwb_file(made, tables, units=table))
    assert faults(path) == []
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        read = io.read().units
        np.testing.assert_array_equal(read["spike_times"][6], table["spike_times"][6])
        np.testing.assert_array_equal(read["waveform_sd"].data[:], table["waveform_sd"].data[:])
        assert read["waveform_mean"].data.compression == "gzip"
        assert read.waveform_unit == "microvolts"
        assert read["electrodes"][5]["group_name"].tolist() == ["probeB"] * 5
        assert read["default_qc"].data.dtype == bool


def test_units_of_a_simulated_session_are_the_true_ones(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/raw_session"
    truth = json.loads((folder / "truth/ephys.json").read_text())
    raw, options = RawRecording(folder / "DRpilot_712345_20231114"), Options()
    groups = electrode_groups(raw, options, devices(raw, options))
    places = electrodes(raw, options, groups)
    trials = pd.read_csv(folder / "truth/trials_sync.csv")
    table = units(raw, SessionClock(raw, options), options, places, groups, trials)
    frame = table.to_dataframe(exclude={"waveform_mean", "waveform_sd", "electrodes"}).set_index("unit_id")
    with np.load(folder / "truth/times.npz") as times:
        spikes = {name: times[name] for name in times.files if name.startswith("spikes/")}
    for letter in "AB":
        stream = truth["devices"][f"Neuropix-PXI-100.Probe{letter}-AP"]
        for unit in truth["units"][letter]:
            row = frame.loc[f"712345_2023-11-14_{letter}-{unit['cluster_id']}"]
            samples = spikes[f"spikes/{letter}/sample"][
                spikes[f"spikes/{letter}/unit_index"] == unit["unit_index"]
            ]
            expected = stream["true_start"] + samples / stream["true_rate"]
            np.testing.assert_allclose(row["spike_times"], expected, rtol=0, atol=1e-4)
            for name in (
                "peak_channel",
                "num_spikes",
                "sorter_default_qc",
                "decoder_label",
                "presence_ratio",
            ):
                assert row[name] == unit[name], name
            assert row["amplitude"] == pytest.approx(unit["amplitude_ptp"], rel=1e-5)
            place = truth["ccf"][letter][unit["peak_channel"]]
            assert [row["location"], row["structure"]] == [place["location"], place["structure"]]
            assert [row["ccf_ap"], row["ccf_dv"], row["ccf_ml"]] == [place["x"], place["y"], place["z"]]
            # each of these kinds was made to fail for one reason
            assert row["is_not_drift"] == (unit["kind"] != "drift"), unit
            assert row["default_qc"] == (unit["kind"] not in ("drift", "cutoff", "isi", "noise", "sparse")), (
                unit
            )
