"""Receptive fields that are known, found again."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pynwb
import pytest

from project_cache.build.nwb_tables import time_intervals
from project_cache.build.receptive_fields import aud_rf_maps, vis_rf_maps
from project_cache.errors import ComponentUnavailable

GRID_X, GRID_Y = np.array([-400.0, -80.0, 240.0]), np.array([-300.0, 0.0])


def some_units(trains: list[np.ndarray], stops: list[float] | None = None) -> pynwb.misc.Units:
    units = pynwb.misc.Units(name="units", description="units")
    units.add_column(name="unit_id", description="the unit")
    for number, train in enumerate(trains):
        stop = stops[number] if stops else 1000.0
        units.add_unit(unit_id=f"A-{number}", spike_times=train, obs_intervals=[[0.0, stop]])
    return units


def visual() -> pd.DataFrame:
    """Gratings at six places in four orientations, ten times each; and flashes of three contrasts."""
    x, y, orientation = (each.ravel() for each in np.meshgrid(GRID_X, GRID_Y, [0.0, 90.0, 180.0, 270.0]))
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(27), 10))
    grating = order < 24
    pick = np.where(grating, order, 0)
    onset = 10 + 0.5 * np.arange(len(order))
    return pd.DataFrame(
        {
            "start_time": onset - 0.03,
            "stop_time": onset + 0.47,
            "stim_start_time": onset,
            "stim_stop_time": onset + 0.25,
            "is_small_field_grating": grating,
            "grating_orientation": np.where(grating, orientation[pick], np.nan),
            "grating_x": np.where(grating, x[pick], np.nan),
            "grating_y": np.where(grating, y[pick], np.nan),
            "is_full_field_flash": ~grating,
            "flash_contrast": np.where(grating, np.nan, order - 25.0),
        }
    )


def auditory() -> pd.DataFrame:
    onset = 300 + 0.5 * np.arange(100)
    tone = np.arange(100) % 2 == 0
    return pd.DataFrame(
        {
            "start_time": onset - 0.03,
            "stop_time": onset + 0.47,
            "stim_start_time": onset,
            "is_AM_noise": ~tone,
            "is_white_noise": False,
            "is_pure_tone": tone,
            "freq": np.where(tone, 4000.0 + np.arange(100) // 2 % 5 * 1000, np.arange(100) // 2 % 2 * 12.0),
        }
    )


def after(onsets: pd.Series, number: int = 4) -> np.ndarray:
    return np.sort((onsets.to_numpy()[:, None] + 0.05 + 0.01 * np.arange(number)).ravel())


def table(frame: pd.DataFrame, name: str = "vis_rf_mapping_trials") -> Any:
    return time_intervals(name, name, frame)


def test_a_field_is_found_where_it_is() -> None:
    trials = visual()
    here = (trials["grating_x"] == 240) & (trials["grating_y"] == -300)
    noise = np.sort(np.random.default_rng(1).uniform(0, 200, 2000))
    found = vis_rf_maps(
        some_units([after(trials.loc[here, "stim_start_time"]), noise]), table(trials)
    ).to_dataframe()
    assert found["unit_id"].tolist() == ["A-0", "A-1"]
    expected = np.zeros((2, 3))
    expected[0, 2] = 4 / 0.175
    np.testing.assert_allclose(found["rf_map"][0], expected)
    np.testing.assert_array_equal(found["grid_x"][0], GRID_X)
    np.testing.assert_array_equal(found["grid_y"][1], GRID_Y)
    assert np.array_equal(found["rf_map_n_trials"][0], np.full((2, 3), 40))
    assert (found["preferred_x"][0], found["preferred_y"][0]) == (240, -300)
    assert found["rf_p_value"][0] < 0.002
    assert found["rf_p_value"][1] > 0.01


def test_orientation_and_contrast_have_curves() -> None:
    trials = visual()
    units = some_units(
        [
            after(trials.loc[trials["grating_orientation"] == 90, "stim_start_time"], 2),
            after(trials.loc[trials["flash_contrast"] == 1, "stim_start_time"], 3),
        ]
    )
    found = vis_rf_maps(units, table(trials)).to_dataframe()
    np.testing.assert_allclose(found["orientation_rate"][0], [0, 2 / 0.175, 0, 0])
    np.testing.assert_array_equal(found["orientation_values"][0], [0, 90, 180, 270])
    assert found["orientation_p_value"][0] < 0.002
    np.testing.assert_allclose(found["flash_contrast_rate"][1], [0, 0, 3 / 0.175])
    assert found["flash_contrast_n_trials"][0].tolist() == [10, 10, 10]


def test_a_silent_unit_prefers_nothing() -> None:
    found = vis_rf_maps(some_units([np.zeros(0), np.arange(0, 200, 0.1)]), table(visual())).to_dataframe()
    assert (found["rf_map"][0] == 0).all()
    assert np.isnan([found["preferred_x"][0], found["rf_p_value"][0]]).all()


def test_sounds_have_curves_by_frequency() -> None:
    trials = auditory()
    units = some_units([after(trials.loc[trials["freq"] == 6000, "stim_start_time"])])
    found = aud_rf_maps(units, table(trials, "aud_rf_mapping_trials")).to_dataframe()
    np.testing.assert_array_equal(found["tone_frequency_values"][0], np.arange(4000, 9000, 1000))
    np.testing.assert_allclose(found["tone_frequency_rate"][0], [0, 0, 4 / 0.19, 0, 0])
    np.testing.assert_array_equal(found["am_frequency_values"][0], [0, 12])
    assert "noise_frequency_rate" not in found


def test_a_unit_is_judged_by_the_trials_in_which_it_was_observed() -> None:
    trials = visual()
    spikes = after(trials.loc[trials["is_small_field_grating"], "stim_start_time"])
    cut = 10 + 0.5 * len(trials) / 2
    found = vis_rf_maps(
        some_units([spikes, spikes[spikes < cut]], [1000.0, cut]), table(trials)
    ).to_dataframe()
    # a rate that is the same everywhere stays so: places are not empty because the probe was
    np.testing.assert_allclose(found["rf_map"][1], found["rf_map"][0])


def test_without_stimuli_or_units_there_are_no_maps() -> None:
    trials = visual().assign(is_small_field_grating=False, is_full_field_flash=False)
    with pytest.raises(ComponentUnavailable, match="small gratings"):
        vis_rf_maps(some_units([np.arange(3.0)]), table(trials))
    empty = pynwb.misc.Units(name="units", description="units", columns=None)
    with pytest.raises(ComponentUnavailable, match="spike times"):
        aud_rf_maps(empty, table(auditory()))


def test_what_is_written_is_valid_and_reads_back(tmp_path: Path) -> None:
    from nwbinspector import Importance, inspect_nwbfile

    rng = np.random.default_rng(5)
    nwb = pynwb.NWBFile("maps", "1", datetime.datetime(2023, 11, 14, tzinfo=datetime.UTC), session_id="1")
    nwb.subject = pynwb.file.Subject(subject_id="712345", species="Mus musculus", sex="M", age="P90D")
    nwb.units = some_units(
        [np.sort(rng.uniform(0, 400, 4000)), np.sort(rng.uniform(0, 400, 40)), np.zeros(0)]
    )
    made = [vis_rf_maps(nwb.units, table(visual())), aud_rf_maps(nwb.units, table(auditory()))]
    for each in made:
        nwb.add_analysis(each)
    path = tmp_path / "maps.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(path, "r") as io:
        maps = io.read().analysis["vis_rf_maps"]
        assert maps["rf_map"].data.shape == (3, 2, 3)
        np.testing.assert_array_equal(maps["rf_map"].data[:], made[0]["rf_map"].data)
    found = list(inspect_nwbfile(nwbfile_path=path, importance_threshold=Importance.CRITICAL))
    assert [message.message for message in found] == []
