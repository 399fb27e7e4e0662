"""The raw bands: mapped from where they lie, in volts, on the session's clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.devices import devices, electrode_groups
from project_cache.build.electrodes import electrodes
from project_cache.build.options import Options
from project_cache.build.raw_ephys import raw_ap, raw_lfp, scaling
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording


def test_traces_are_mapped_and_know_their_time_and_their_volts(small: Callable[..., Any]) -> None:
    made = small()
    table, _ = made.electrodes()
    found = raw_ap(made.raw, made.clock, made.options, table)
    assert found.name == "AP"
    assert list(found.electrical_series) == ["probeA", "probeB"]
    series = found["probeB"]
    assert isinstance(series.data, np.memmap)
    assert series.data.shape == (3000, 384)
    assert series.rate == pytest.approx(30000.06)
    assert series.starting_time == 10.0
    assert series.conversion == pytest.approx(0.195e-6)
    assert series.filtering == "0.3-10 kHz"
    assert series.electrodes.data[:].tolist() == list(range(384, 768))
    lfp = raw_lfp(made.raw, made.clock, made.options, table)
    assert (lfp.name, lfp["probeA"].rate) == ("LFP_raw", pytest.approx(2500.005))


def test_the_sync_line_that_was_recorded_beside_is_left_out(small: Callable[..., Any]) -> None:
    made = small(letters="A", extra_channels=1)
    table, _ = made.electrodes()
    data = raw_ap(made.raw, made.clock, made.options, table)["probeA"].data
    assert data.shape == (3000, 384)
    np.testing.assert_array_equal(
        data[5:9], made.raw.ephys.streams["Neuropix-PXI-100.ProbeA-AP"].data[5:9, :384]
    )


def test_channels_may_differ_in_what_a_count_means() -> None:
    conversion, of_channel = scaling([0.195, 0.39])
    assert conversion == pytest.approx(0.195e-6)
    assert of_channel.tolist() == [1.0, 2.0]
    assert scaling([0.195, 0.195])[1] is None


def test_a_band_that_is_not_there_is_left_out(
    small: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    made = small()
    table, _ = made.electrodes()
    del made.raw.ephys.streams["Neuropix-PXI-100.ProbeA-LFP"]
    assert list(raw_lfp(made.raw, made.clock, made.options, table).electrical_series) == ["probeB"]
    assert "raw LFP of probe A" in caplog.text
    del made.raw.ephys.streams["Neuropix-PXI-100.ProbeB-LFP"]
    with pytest.raises(ComponentUnavailable, match="no LFP stream of probe B"):
        raw_lfp(made.raw, made.clock, made.options, table)
    made.clock.without = "AB"
    with pytest.raises(ComponentUnavailable, match="no matching barcodes"):
        raw_ap(made.raw, made.clock, made.options, table)


def test_streams_of_a_simulated_session_begin_when_they_did(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/raw_session"
    truth = json.loads((folder / "truth/ephys.json").read_text())["devices"]
    raw, options = RawRecording(folder / "DRpilot_712345_20231114"), Options()
    clock = SessionClock(raw, options)
    table = electrodes(raw, options, electrode_groups(raw, options, devices(raw, options)))
    for component, band, within in ((raw_ap, "AP", 1e-4), (raw_lfp, "LFP", 5e-4)):
        for letter in "AB":
            series = component(raw, clock, options, table)[f"probe{letter}"]
            expected = truth[f"Neuropix-PXI-100.Probe{letter}-{band}"]
            assert series.starting_time == pytest.approx(expected["true_start"], abs=within)
            assert series.rate == pytest.approx(expected["true_rate"], abs=0.003)
            assert series.data.shape == (expected["n_samples_on_disk"], 384)
