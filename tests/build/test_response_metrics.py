"""Responses of units that are known, to stimuli of the task, of mapping and of optotagging."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pynwb
import pytest

from project_cache.build.graph import Graph
from project_cache.build.nwb_tables import time_intervals
from project_cache.build.response_metrics import observed_in, response_metrics, spike_trains, unit_names
from project_cache.errors import ComponentUnavailable

STOP = 1500.0


def some_units(trains: list[np.ndarray], stops: list[float] | None = None) -> pynwb.misc.Units:
    units = pynwb.misc.Units(name="units", description="units")
    units.add_column(name="unit_id", description="the unit")
    stops = stops or [STOP] * len(trains)
    for number, (train, stop) in enumerate(zip(trains, stops, strict=True)):
        units.add_unit(unit_id=f"A-{number}", spike_times=train, obs_intervals=[[0.0, stop]])
    return units


def driven(
    rng: np.random.Generator, onsets: np.ndarray, delay: float = 0.05, rate: float = 5.0
) -> np.ndarray:
    """Return spikes of a unit that fires at chance, and five times after each onset."""
    background = rng.uniform(0, STOP, rng.poisson(rate * STOP))
    return np.sort(np.concatenate([background, (onsets[:, None] + delay + np.arange(5) * 0.005).ravel()]))


def task() -> pd.DataFrame:
    start = 10 + 6.0 * np.arange(160)
    names = np.array(["vis1", "vis2", "sound1", "catch"])[np.arange(160) % 4]
    return pd.DataFrame(
        {
            "start_time": start,
            "stop_time": start + 5.5,
            "stim_start_time": start + 1.5,
            "stim_name": names,
            "trial_index": np.arange(160),
            "is_opto": np.arange(160) >= 140,
        }
    )


def gratings() -> pd.DataFrame:
    start = 1000 + 0.5 * np.arange(120)
    x, y = np.arange(120) % 6 * 100.0 - 250, np.arange(120) // 6 % 4 * 100.0 - 150
    return pd.DataFrame(
        {
            "start_time": start,
            "stop_time": start + 0.5,
            "stim_start_time": start + 0.03,
            "stim_stop_time": start + 0.28,
            "trial_index": np.arange(120),
            "is_small_field_grating": True,
            "grating_orientation": np.arange(120) % 8 * 45.0,
            "grating_x": x,
            "grating_y": y,
            "is_full_field_flash": False,
        }
    )


def pulses() -> pd.DataFrame:
    onset = 1100 + np.arange(60.0)
    return pd.DataFrame(
        {
            "start_time": onset - 0.2,
            "stop_time": onset + 0.21,
            "stim_start_time": onset,
            "stim_stop_time": onset + 0.01,
            "baseline_stop_time": onset - 0.0015,
            "response_start_time": onset + 0.0015,
            "response_stop_time": onset + 0.0085,
            "nominal_duration": 0.01,
            "location": ["probeA", "probeB"] * 30,
        }
    )


def table(frame: pd.DataFrame, name: str = "trials") -> Any:
    return time_intervals(name, name, frame)


def by(found: Any, stimulus: str) -> pd.DataFrame:
    frame = found.to_dataframe()
    return frame[frame["stimulus"] == stimulus].set_index("unit_id")


def test_a_unit_that_hears_responds_to_sounds_only() -> None:
    rng = np.random.default_rng(0)
    trials = task()
    sounds = trials.loc[trials["stim_name"] == "sound1", "stim_start_time"].to_numpy()
    found = response_metrics(some_units([driven(rng, sounds), driven(rng, np.zeros(0))]), table(trials))
    # catch trials have no stimulus; trials with light are left out
    assert found.to_dataframe()["stimulus"].unique().tolist() == ["sound1", "vis1", "vis2"]
    heard = by(found, "sound1")
    assert heard["modality"].tolist() == ["aud", "aud"]
    assert heard["n_trials"].tolist() == [35, 35]
    assert heard.loc["A-0", "response"] == pytest.approx(5 / 0.19, rel=0.1)
    assert heard.loc["A-0", "p_value"] < 1e-6 < 0.01 < heard.loc["A-1", "p_value"]
    assert heard.loc["A-0", "latency"] == pytest.approx(0.05, abs=0.01)
    assert by(found, "vis1")["p_value"].min() > 0.01
    np.testing.assert_allclose(found["max_response"].data, found["response"].data)


def test_the_largest_response_is_that_at_the_best_position() -> None:
    rng = np.random.default_rng(1)
    trials = gratings()
    here = (trials["grating_x"] == 50) & (trials["grating_y"] == -50)
    unit = driven(rng, trials.loc[here, "stim_start_time"].to_numpy())
    found = by(response_metrics(some_units([unit]), vis_rf_mapping_trials=table(trials)), "grating")
    assert found.loc["A-0", "max_condition"] == "x=50, y=-50"
    assert found.loc["A-0", "max_response"] == pytest.approx(5 / 0.175, rel=0.3)
    assert found.loc["A-0", "response"] == pytest.approx(5 / 0.175 / 24, abs=1.5)
    assert found.loc["A-0", "n_trials"] == 120


def test_light_at_each_probe_is_a_stimulus_of_its_own() -> None:
    rng = np.random.default_rng(2)
    trials = pulses()
    lit = trials.loc[trials["location"] == "probeB", "stim_start_time"].to_numpy()
    found = response_metrics(some_units([driven(rng, lit, 0.012)]), optotagging_trials=table(trials))
    assert by(found, "laser at probeB").loc["A-0", "p_value"] < 1e-4
    assert by(found, "laser at probeA").loc["A-0", "p_value"] > 0.01
    assert by(found, "laser at probeB").loc["A-0", "latency"] == pytest.approx(0.012, abs=0.001)


def test_a_tagged_unit_fires_while_the_light_is_on() -> None:
    rng = np.random.default_rng(2)
    trials = pulses()
    lit = trials.loc[trials["location"] == "probeB", "stim_start_time"].to_numpy()
    tagged = np.sort(np.concatenate([rng.uniform(0, STOP, 5000), lit + 0.003]))
    found = response_metrics(some_units([tagged]), optotagging_trials=table(trials))
    # the usual window is from 10 ms on: too late
    assert by(found, "laser at probeB").loc["A-0", "p_value"] > 0.01
    during = by(found, "during laser at probeB").loc["A-0"]
    assert during["p_value"] < 1e-4
    assert during["latency"] == pytest.approx(0.003, abs=0.0005)
    assert during["response"] == pytest.approx(1 / 0.007, rel=0.1)


def test_trials_after_a_probe_was_cut_off_do_not_count() -> None:
    rng = np.random.default_rng(3)
    trials = task()
    units = some_units([driven(rng, np.zeros(0))] * 2, [STOP, 500.0])
    found = by(response_metrics(units, table(trials)), "vis1")
    assert found["n_trials"].tolist() == [35, 21]
    observed = observed_in(units, np.array([1.0, 499.0]), np.array([2.0, 501.0]))
    assert observed is not None
    assert observed.tolist() == [[True, True], [True, False]]


def test_trials_without_an_onset_do_not_count() -> None:
    trials = task()
    trials.loc[trials.index % 8 == 0, "stim_start_time"] = np.nan
    found = by(
        response_metrics(some_units([driven(np.random.default_rng(4), np.zeros(0))]), table(trials)), "vis1"
    )
    assert found["n_trials"].tolist() == [17]


def test_what_a_recording_lacks_is_left_out_by_the_graph() -> None:
    def units() -> Any:
        return some_units([np.arange(0, STOP, 0.1)])

    def trials() -> Any:
        return table(task())

    def optotagging_trials() -> Any:
        raise ComponentUnavailable("No optotagging.")

    functions = {"units": units, "trials": trials, "optotagging_trials": optotagging_trials}
    functions |= {f"{kind}_rf_mapping_trials": optotagging_trials for kind in ("vis", "aud")}
    graph = Graph({**functions, "response_metrics": response_metrics}, {})
    assert by(graph["response_metrics"], "vis1")["n_trials"].tolist() == [35]


def test_without_stimuli_or_units_there_are_no_responses() -> None:
    with pytest.raises(ComponentUnavailable, match="no trials"):
        response_metrics(some_units([np.arange(3.0)]))
    with pytest.raises(ComponentUnavailable, match="no spike times"):
        response_metrics(pynwb.misc.Units(name="units", description="units"), table(task()))


def test_trains_are_put_in_order_and_named() -> None:
    units = some_units([np.array([3.0, 1.0]), np.zeros(0), np.array([2.0])])
    assert [train.tolist() for train in spike_trains(units)] == [[1.0, 3.0], [], [2.0]]
    assert unit_names(units) == ["A-0", "A-1", "A-2"]


def test_what_is_written_is_valid_and_reads_back(tmp_path: Path) -> None:
    from nwbinspector import Importance, inspect_nwbfile

    rng = np.random.default_rng(5)
    nwb = pynwb.NWBFile(
        "responses", "1", datetime.datetime(2023, 11, 14, tzinfo=datetime.UTC), session_id="1"
    )
    nwb.subject = pynwb.file.Subject(subject_id="712345", species="Mus musculus", sex="M", age="P90D")
    nwb.units = some_units([driven(rng, np.zeros(0)), np.zeros(0)])
    made = response_metrics(nwb.units, table(task()), table(gratings()), None, table(pulses()))
    expected = made.to_dataframe()
    nwb.add_analysis(made)
    path = tmp_path / "responses.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(path, "r") as io:
        pd.testing.assert_frame_equal(io.read().analysis["response_metrics"].to_dataframe(), expected)
    found = list(inspect_nwbfile(nwbfile_path=path, importance_threshold=Importance.CRITICAL))
    assert [message.message for message in found] == []


def test_in_a_simulated_session_those_respond_that_were_made_to(tmp_path: Path) -> None:
    from project_cache.build.clock import SessionClock
    from project_cache.build.components import FUNCTIONS
    from project_cache.build.options import Options
    from project_cache.build.receptive_fields import vis_rf_maps
    from project_cache.raw.recording import RawRecording
    from project_cache.testing.rig import simulate

    session = simulate(
        tmp_path, blocks=2, trials_per_block=16, mapping_repeats=16, units_per_probe=20, video=False
    )
    raw, options = RawRecording(session.path, sorted_data_path=session.sorted_path), Options()
    inputs = {"raw": raw, "options": options, "clock": SessionClock(raw, options)}
    graph = Graph({**FUNCTIONS, "vis_rf_maps": vis_rf_maps, "response_metrics": response_metrics}, inputs)
    truth = pd.concat(
        [
            each.units.set_index(letter + "-" + each.units["cluster_id"].astype(str))
            for letter, each in session.truth.populations.items()
        ]
    )
    metrics = graph["response_metrics"].to_dataframe()
    metrics.index = metrics["unit_id"].str.split("_").str[-1]
    for stimulus, gain in (("grating", "gain_vis"), ("tone", "gain_aud")):
        p_value = metrics.loc[metrics["stimulus"] == stimulus, "p_value"]
        driven = truth.loc[p_value.index, gain] > 1
        assert (p_value[driven] < 0.01).mean() > 0.9, stimulus
        assert (p_value[~driven] < 0.01).mean() < 0.1, stimulus
    for letter in "AB":
        tagged = metrics[metrics["stimulus"] == f"during laser at probe{letter}"]
        tagged = tagged[tagged.index.str.startswith(letter)]
        driven = truth.loc[tagged.index, "gain_opto"] > 0.2
        assert driven.any()
        assert (tagged["p_value"][driven] < 0.01).all()
    maps = graph["vis_rf_maps"].to_dataframe()
    maps.index = maps["unit_id"].str.split("_").str[-1]
    fields = truth.loc[maps.index]
    seeing = (fields["gain_vis"] > 1) & fields["field_x"].notna()
    assert (maps["rf_p_value"][seeing] < 0.01).mean() > 0.9
    assert (maps["rf_p_value"][~seeing] < 0.01).mean() < 0.1
    # positions are 320 and 290 pixels apart
    off = np.hypot(maps["preferred_x"] - fields["field_x"], maps["preferred_y"] - fields["field_y"])[seeing]
    assert off.median() < 250
