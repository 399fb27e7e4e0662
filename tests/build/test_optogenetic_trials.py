"""Light in trials of the task: what older and newer files say of its places, sources and power."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.build.optogenetic_trials import (
    DESCRIPTIONS,
    has_light,
    light,
    matching_voltage,
    power_of,
    wavelength_of,
)
from project_cache.raw.stimulus import StimulusFile

NAN = float("nan")
#: the script keeps a value of the trial that its end cut off, too
COMMON: dict[str, Any] = {
    "trialStimStartFrame": [100, 300, 500],
    "trialEndFrame": [200, 400],
    "trialOptoOnsetFrame": [NAN, 5.0, NAN],
    "trialOptoDur": [NAN, 0.5, NAN],
    "trialOptoVoltage": [NAN, 2.0, NAN],
}
OLDER: dict[str, Any] = {
    **COMMON,
    "trialGalvoVoltage": [[NAN, NAN], [0.2, -0.1], [NAN, NAN]],
    "galvoVoltage": [[0.5, -0.5], [0.2, -0.1]],
    "optoBregma": [[-1.5, 2.0], [3.0, -4.0]],
    "optoRegions": ["ACC", "V1"],
    "optoDevName": "laser_488",
    "optoSinFreq": 40,
    # 2 V are 0.5 * 4 + 2 * 2 - 1 mW
    "optoPowerCalibrationData": {"poly coefficients": [0.5, 2.0, -1.0]},
}


def ragged(*cells: list[float]) -> np.ndarray[Any, Any]:
    made = np.empty(len(cells), dtype=h5py.vlen_dtype(np.float64))
    made[:] = [np.array(cell) for cell in cells]
    return made


NEWER: dict[str, Any] = {
    **COMMON,
    "trialOptoLabel": ["no opto", "both", "no opto"],
    "trialOptoParamsIndex": [NAN, 1.0, NAN],
    "trialOptoDevice": ["['']", "['laser_633']", "['']"],
    "trialOptoSinFreq": [0.0, 0.0, 0.0],
    "optoParams": {
        "label": ["ACC", "both"],
        "bregmaX": ragged([0.5], [0.5, -2.0]),
        "bregmaY": ragged([1.0], [1.0, -3.0]),
        "bregma offset X": ragged([0.25], [0.125, -0.125]),
        "bregma offset Y": ragged([0.0], [0.5]),
        "power": [4.0, 5.0],
        "frequency": [40.0, 0.0],
    },
}


def task(folder: Path, **values: Any) -> StimulusFile:
    path = folder / "DynamicRouting1_712345_20231114_123602.hdf5"
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            for key, each in value.items() if isinstance(value, dict) else [("", value)]:
                file[f"{name}/{key}".rstrip("/")] = each
    return StimulusFile(path)


def lit(folder: Path, **values: Any) -> pd.DataFrame:
    """The rows of the one trial that has light."""
    table = light(task(folder, **values), np.array([NAN, 7.0]), np.array([NAN, 7.5]))
    assert list(table) == ["trial", *DESCRIPTIONS]
    dark = table.iloc[0]
    assert (dark["trial"], dark["opto_label"], dark["opto_stim_name"]) == (0, "", "")
    assert not dark["is_single_opto_location"]
    numbers = table.select_dtypes("float64").iloc[0]
    assert len(numbers) == 7
    assert numbers.isna().all()
    rows = table.iloc[1:].reset_index(drop=True)
    assert (rows["trial"] == 1).all()
    assert (rows["opto_start_time"] == 7.0).all()
    assert (rows["opto_stop_time"] == 7.5).all()
    assert (rows["opto_duration"] == 0.5).all()
    return rows


def places(rows: pd.DataFrame) -> list[tuple[str, float, float]]:
    columns = ["opto_label", "opto_location_bregma_x", "opto_location_bregma_y"]
    return list(rows[columns].itertuples(index=False, name=None))


def test_older_files_have_the_voltages_of_the_place(tmp_path: Path) -> None:
    rows = lit(tmp_path, **OLDER)
    assert places(rows) == [("V1", 3.0, -4.0)]
    assert rows["opto_power"].tolist() == [5.0]
    assert rows["opto_wavelength"].tolist() == [488.0]
    assert rows["opto_stim_name"].tolist() == ["sine"]
    assert rows["is_single_opto_location"].tolist() == [True]


@pytest.mark.parametrize(
    "voltages",
    [
        np.array([[[NAN] * 2] * 2, [[0.2, -0.1], [0.5, -0.5]], [[NAN] * 2] * 2]),
        ragged([NAN, NAN], [0.2, -0.1, 0.5, -0.5], [NAN, NAN]),
    ],
    ids=["one for each device", "flat"],
)
def test_a_trial_with_several_places_has_a_row_for_each(tmp_path: Path, voltages: Any) -> None:
    rows = lit(tmp_path, **{**OLDER, "trialGalvoVoltage": voltages})
    assert places(rows) == [("V1", 3.0, -4.0), ("ACC", -1.5, 2.0)]
    assert rows["is_single_opto_location"].tolist() == [False, False]
    assert rows["opto_power"].tolist() == [5.0, 5.0]


def test_a_device_that_was_off_is_not_a_place(tmp_path: Path) -> None:
    voltages = np.full((3, 2, 2), NAN)
    voltages[1, 1] = [0.5, -0.5]
    rows = lit(tmp_path, **{**OLDER, "trialGalvoVoltage": voltages})
    assert places(rows) == [("ACC", -1.5, 2.0)]
    assert rows["is_single_opto_location"].all()


def test_a_list_of_places_says_more_than_regions(tmp_path: Path) -> None:
    listed = {"label": ["left", "right"], "X": [-1.0, 1.0], "Y": [0.5, 0.25]}
    rows = lit(tmp_path, **OLDER, optoLocs=listed)
    assert places(rows) == [("right", 1.0, 0.25)]


def test_without_mirrors_the_label_says_where(tmp_path: Path) -> None:
    listed = {"label": ["left", "right"], "X": [-1.0, 1.0], "Y": [0.5, 0.25]}
    rows = lit(tmp_path, **COMMON, optoLocs=listed, trialOptoLabel=["no opto", "left", "no opto"])
    assert places(rows) == [("left", -1.0, 0.5)]
    assert rows["opto_power"].isna().all()
    unknown = lit(tmp_path, **COMMON)
    assert unknown["opto_label"].tolist() == [""]
    assert unknown["opto_location_bregma_x"].isna().all()


def test_newer_files_have_a_table_of_kinds(tmp_path: Path) -> None:
    rows = lit(tmp_path, **NEWER)
    assert places(rows) == [("both", 0.625, 1.5), ("both", -2.125, -2.5)]
    assert rows["is_single_opto_location"].tolist() == [False, False]
    assert rows["opto_power"].tolist() == [5.0, 5.0]
    assert rows["opto_wavelength"].tolist() == [633.0, 633.0]
    assert rows["opto_stim_name"].tolist() == ["square", "square"]


def test_a_label_that_is_unique_is_surer_than_the_index(tmp_path: Path) -> None:
    one = {"trialOptoLabel": ["no opto", "ACC", "no opto"]}
    assert places(lit(tmp_path, **{**NEWER, **one})) == [("ACC", 0.75, 1.0)]
    twice = {**NEWER["optoParams"], "label": ["ACC", "ACC"]}
    assert len(lit(tmp_path, **{**NEWER, **one, "optoParams": twice})) == 2


def test_the_calibration_says_the_power_where_there_is_one(tmp_path: Path) -> None:
    calibrated = {**NEWER, "optoPowerCalibrationData": {"poly coefficients": [3.0, 1.0]}}
    assert lit(tmp_path, **calibrated)["opto_power"].tolist() == [7.0, 7.0]


def test_several_sources_have_a_row_each(tmp_path: Path) -> None:
    rows = lit(
        tmp_path,
        **{
            **NEWER,
            "trialOptoDevice": ["['']", "['laser_488', 'laser_633']", "['']"],
            "trialOptoVoltage": [[NAN, NAN], [1.0, 2.0], [NAN, NAN]],
            "optoPowerCalibrationData": {"poly coefficients": [3.0, 1.0]},
        },
    )
    assert rows["opto_wavelength"].tolist() == [488.0, 633.0]
    assert rows["opto_power"].tolist() == [4.0, 7.0]


def test_a_sine_has_a_frequency(tmp_path: Path) -> None:
    by_trial = {**NEWER, "trialOptoSinFreq": [0.0, 40.0, 0.0]}
    assert set(lit(tmp_path, **by_trial)["opto_stim_name"]) == {"sine"}
    by_kind = {name: value for name, value in NEWER.items() if name != "trialOptoSinFreq"}
    by_kind["trialOptoLabel"] = ["no opto", "ACC", "no opto"]
    assert set(lit(tmp_path, **by_kind)["opto_stim_name"]) == {"sine"}


def test_light_is_where_an_onset_was_asked_for_in_a_completed_trial(tmp_path: Path) -> None:
    assert has_light(task(tmp_path, **COMMON))
    assert not has_light(task(tmp_path, **{**COMMON, "trialOptoOnsetFrame": [NAN, NAN, 5.0]}))
    assert not has_light(task(tmp_path, **{**COMMON, "trialOptoOnsetFrame": np.zeros(0)}))
    never = {name: value for name, value in COMMON.items() if name != "trialOptoOnsetFrame"}
    assert not has_light(task(tmp_path, **never))


def test_voltages_match_within_what_a_mirror_can_do() -> None:
    known = np.array([[0.5, -0.5], [NAN, NAN], [0.2, -0.1]])
    assert matching_voltage(known, np.array([0.2, -0.1]) + 1e-7) == 2
    assert matching_voltage(known, np.array([0.2, 0.1])) is None
    assert matching_voltage(known, np.array([NAN, NAN])) is None
    assert matching_voltage(np.zeros((0, 2)), np.array([0.2, -0.1])) is None


def test_power_and_wavelength_are_not_made_up(tmp_path: Path) -> None:
    assert np.isnan(power_of(task(tmp_path, **COMMON), 2.0))
    assert [wavelength_of(name) for name in ("laser_488", "laser_633", "led_1", "led_2")] == [
        488,
        633,
        470,
        470,
    ]
    assert np.isnan(wavelength_of(""))
