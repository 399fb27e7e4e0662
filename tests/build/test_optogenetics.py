"""Where light went, when, and with what power."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.build.graph import Graph
from project_cache.build.nwb_tables import time_intervals
from project_cache.build.optogenetics import light_sources, optogenetic_series, optogenetic_sites
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

FUNCTIONS = {
    "light_sources": light_sources,
    "optogenetic_sites": optogenetic_sites,
    "optogenetic_series": optogenetic_series,
}


@pytest.fixture
def raw(tmp_path: Path) -> RawRecording:
    """A session whose laser had square pulses of 10 ms with ramps of 1 ms, of a calibrated power."""
    folder = tmp_path / "DRpilot_712345_20231114"
    folder.mkdir()
    with h5py.File(folder / "DynamicRouting1_712345_20231114_123602.hdf5", "w") as file:
        content: dict[str, Any] = {
            "frameIntervals": np.full(9, 1 / 60), "startTime": "20231114_123602", "trialEndFrame": [3, 6, 9],
            "trialOptoVoltage": [1.25, np.nan, 2.5], "trialOptoDur": [0.01, np.nan, 0.01], "optoOnRamp": 0.001,
            "optoOffRamp": 0.001, "optoSampleRate": 2000,
        }  # fmt: skip
        for name, value in content.items():
            file[name] = value
    return RawRecording(folder)


def trials(power: tuple[float, float] = (4.0, 8.0)) -> Any:
    frame = pd.DataFrame(
        {
            "start_time": [1.0, 2.0, 3.0],
            "stop_time": [2.0, 3.0, 4.0],
            "trial_index": [0, 1, 2],
            "opto_start_time": [1.5, np.nan, 3.5],
            "opto_label": ["V1", "", "V1"],
            "opto_location_bregma_x": [-2.5, np.nan, -2.5],
            "opto_location_bregma_y": [-3.0, np.nan, -3.0],
            "opto_power": [power[0], np.nan, power[1]],
            "opto_wavelength": [488.0, np.nan, 488.0],
        }
    )
    return time_intervals("trials", "trials", frame)


def graph(raw: RawRecording, **tables: Any) -> Graph:
    def absent() -> Any:
        raise ComponentUnavailable("absent")

    return Graph({"trials": absent, "optotagging_trials": absent, **FUNCTIONS}, {"raw": raw, **tables})


def test_the_power_of_each_pulse_is_that_of_its_trial(raw: RawRecording) -> None:
    session = graph(raw, trials=trials())
    assert list(session["light_sources"]) == ["laser_488"]
    site = session["optogenetic_sites"]["laser_488_V1"]
    assert site.excitation_lambda == 488
    assert site.location == "V1, -2.5 mm to the right and -3 mm to the front of bregma"
    series = session["optogenetic_series"]["laser_488_V1"]
    assert series.site is site
    assert (np.diff(series.timestamps) > 0).all()
    first = series.timestamps < 3
    assert series.data[first].max() == pytest.approx(0.004)
    assert series.data[~first].max() == pytest.approx(0.008)
    # dark before its onset and after its end
    on = series.timestamps[first][series.data[first] > 0]
    assert on[0] == pytest.approx(1.5)
    assert on[-1] == pytest.approx(1.511, abs=0.001)
    assert series.data[[0, -1]].tolist() == [0.0, 0.0]


def test_without_a_calibration_there_are_sites_but_no_power(raw: RawRecording) -> None:
    session = graph(raw, trials=trials((np.nan, np.nan)))
    assert list(session["optogenetic_sites"]) == ["laser_488_V1"]
    with pytest.raises(ComponentUnavailable, match="calibration"):
        session["optogenetic_series"]


def test_places_of_one_name_are_told_apart(raw: RawRecording) -> None:
    frame = trials().to_dataframe()
    frame.loc[2, "opto_location_bregma_x"] = 2.5
    session = graph(raw, trials=time_intervals("trials", "trials", frame))
    assert list(session["optogenetic_sites"]) == ["laser_488_V1", "laser_488_V1_2"]
    assert session["optogenetic_series"]["laser_488_V1"].timestamps[1] == pytest.approx(1.5)
    assert session["optogenetic_series"]["laser_488_V1_2"].timestamps[1] == pytest.approx(3.5)


def test_without_light_there_is_neither_source_nor_site(raw: RawRecording) -> None:
    dark = trials().to_dataframe().drop(columns=["opto_start_time"])
    for session in (graph(raw), graph(raw, trials=time_intervals("trials", "trials", dark))):
        for name in FUNCTIONS:
            with pytest.raises(ComponentUnavailable, match="no optogenetic stimulation"):
                session[name]


def test_what_is_written_is_valid_and_reads_back(raw: RawRecording, tmp_path: Path) -> None:
    import pynwb
    from nwbinspector import Importance, inspect_nwbfile

    session = graph(raw, trials=trials())
    nwb = pynwb.NWBFile("light", "1", datetime.datetime(2023, 11, 14, tzinfo=datetime.UTC), session_id="1")
    nwb.subject = pynwb.file.Subject(subject_id="712345", species="Mus musculus", sex="M", age="P90D")
    for device in session["light_sources"].values():
        nwb.add_device(device)
    for site in session["optogenetic_sites"].values():
        nwb.add_ogen_site(site)
    for series in session["optogenetic_series"].values():
        nwb.add_stimulus(series)
    path = tmp_path / "light.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(path, "r") as io:
        read = io.read()
        assert read.stimulus["laser_488_V1"].site.device.name == "laser_488"
    found = list(inspect_nwbfile(nwbfile_path=path, importance_threshold=Importance.CRITICAL))
    assert [message.message for message in found] == []


def test_the_simulated_session_has_its_pulses_where_the_truth_says(shared: Path) -> None:
    from project_cache.build.clock import SessionClock
    from project_cache.build.components import FUNCTIONS as ALL
    from project_cache.build.options import Options

    folder = shared / "data/dynamic_routing/raw_session"
    session = RawRecording(folder / "DRpilot_712345_20231114")
    options = Options()
    inputs = {"raw": session, "options": options, "clock": SessionClock(session, options)}
    made = Graph({**ALL, **FUNCTIONS}, inputs)["optogenetic_series"]
    assert list(made) == ["laser_488_probeA", "laser_488_probeB"]
    onsets = []
    for series in made.values():
        lit = series.data > 0
        onsets += series.timestamps[1:][lit[1:] & ~lit[:-1]].tolist()
        assert series.data.max() == pytest.approx(4.988e-3)
    truth = np.load(folder / "truth" / "times.npz")["opto_on"]
    np.testing.assert_allclose(np.sort(onsets), truth, atol=1e-5)
