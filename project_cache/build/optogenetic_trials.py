"""The optogenetic columns of the trials table: where light went in a trial, with what power, from which laser.

Two forms of the task's file: until 2024-03-29 a trial has a galvo voltage, which is looked up among the session's
calibrated locations; since then it has a row of ``optoParams``, which may name several locations, or several
lasers. A trial with several becomes as many rows, which share all else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.errors import MissingDataError

if TYPE_CHECKING:
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["DESCRIPTIONS", "has_light", "light", "matching_voltage", "power_of", "wavelength_of"]

DESCRIPTIONS = {
    "opto_start_time": "onset of optogenetic stimulation (s)",
    "opto_stop_time": "offset of optogenetic stimulation (s)",
    "opto_duration": "nominal duration of optogenetic stimulation (s)",
    "opto_label": "the name of the stimulated location, or of the set of parameters",
    "opto_location_bregma_x": "where light was aimed, from bregma: to the right (mm)",
    "opto_location_bregma_y": "where light was aimed, from bregma: to the front (mm)",
    "opto_power": "power of the light, by the laser's calibration (mW)",
    "opto_wavelength": "wavelength of the light (nm)",
    "opto_stim_name": "the waveform: `square`, or `sine`",
    "is_single_opto_location": "light went to one location; of a trial with several, each has a row of its own",
}

#: LEDs by the name of their channel, nm
_LED_WAVELENGTHS = {"led_1": 470.0, "led_2": 470.0}


def has_light(task: StimulusFile) -> bool:
    """Return whether light was used in any completed trial."""
    return _saved(task, "trialOptoOnsetFrame") and bool(
        np.isfinite(_scalars(task, "trialOptoOnsetFrame")).any()
    )


def light(
    task: StimulusFile, onset: npt.NDArray[np.float64], offset: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """Return what light each trial had.

    Parameters
    ----------
    task : StimulusFile
        A DynamicRouting1 file for which `has_light` is true.
    onset, offset : array
        When light came on and went off in each trial (s), NaN where it did not, shape (n_trials,).

    Returns
    -------
    pandas.DataFrame
        The columns of `DESCRIPTIONS`, and ``trial``, the number of the trial; a trial with several locations
        has several rows.
    """
    lit = np.isfinite(_scalars(task, "trialOptoOnsetFrame"))
    modern = isinstance(task.get("optoParams"), dict)
    rows: list[dict[str, Any]] = []
    for trial in range(task.n_trials):
        common = {"trial": trial, "opto_start_time": onset[trial], "opto_stop_time": offset[trial]}
        if not lit[trial]:
            rows.append({**common, **_DARK})
            continue
        parts = _modern(task, trial) if modern else _legacy(task, trial)
        waves = _waveforms(task, trial)
        n = max(len(values) for values in (*parts.values(), *waves.values()))
        columns = {name: _repeated(values, n) for name, values in {**parts, **waves}.items()}
        for row in range(n):
            values = {name: column[row] for name, column in columns.items()}
            rows.append({**common, **values, "is_single_opto_location": n == 1})
    return pd.DataFrame(rows, columns=["trial", *DESCRIPTIONS])


def _saved(task: StimulusFile, name: str) -> bool:
    """Whether the file has a value for each trial: without light the script saves an empty list, or nothing."""
    return name in task and 0 < task.n_trials <= len(task[name])


_DARK: dict[str, Any] = {
    "opto_duration": np.nan,
    "opto_label": "",
    "opto_location_bregma_x": np.nan,
    "opto_location_bregma_y": np.nan,
    "opto_power": np.nan,
    "opto_wavelength": np.nan,
    "opto_stim_name": "",
    "is_single_opto_location": False,
}


def _repeated(values: list[Any], n: int) -> list[Any]:
    """One value for each of n locations: the last that is given holds for all that follow."""
    return [*values, *([values[-1]] * (n - len(values)))]


def _modern(task: StimulusFile, trial: int) -> dict[str, list[Any]]:
    parameters: dict[str, Any] = task["optoParams"]
    label = str(task.trial("trialOptoLabel")[trial]) if _saved(task, "trialOptoLabel") else ""
    labels = [str(text) for text in parameters.get("label", [])]
    index = _scalars(task, "trialOptoParamsIndex")[trial] if _saved(task, "trialOptoParamsIndex") else np.nan
    if np.isfinite(index):
        row = int(index)
    elif label in labels:
        row = labels.index(label)
    else:
        row = -1
    given = {
        name: _cell(parameters.get(name), row)
        for name in ("bregmaX", "bregmaY", "bregma offset X", "bregma offset Y", "power")
    }
    devices = parameters.get("device", [])
    if _saved(task, "trialOptoDevice"):
        used = task.trial("trialOptoDevice")[trial]
    else:
        used = devices[row] if 0 <= row < len(devices) else ""
    return {
        "opto_label": [label or (labels[row] if 0 <= row < len(labels) else "")],
        "opto_location_bregma_x": _moved(given["bregmaX"], given["bregma offset X"]),
        "opto_location_bregma_y": _moved(given["bregmaY"], given["bregma offset Y"]),
        "opto_power": given["power"],
        "opto_wavelength": [wavelength_of(device) for device in _names(used)],
    }


def _legacy(task: StimulusFile, trial: int) -> dict[str, list[Any]]:
    # several devices have a pair of voltages each, which some versions of the script saved in a row
    galvo = np.asarray(task.trial("trialGalvoVoltage")[trial], np.float64).reshape(-1, 2)
    known = np.asarray(task.get("galvoVoltage", np.zeros((0, 2))), np.float64).reshape(-1, 2)
    places = np.asarray(task.get("optoBregma", np.zeros((0, 2))), np.float64).reshape(-1, 2)
    found = [matching_voltage(known, pair) for pair in galvo]
    names = _place_names(task)
    voltages = np.atleast_1d(np.asarray(task.trial("trialOptoVoltage")[trial], np.float64))
    device = task.get("optoDevName", "")
    return {
        "opto_label": [names[i] if i is not None and i < len(names) else "" for i in found],
        "opto_location_bregma_x": [
            places[i, 0] if i is not None and i < len(places) else np.nan for i in found
        ],
        "opto_location_bregma_y": [
            places[i, 1] if i is not None and i < len(places) else np.nan for i in found
        ],
        "opto_power": [power_of(task, voltage) for voltage in voltages],
        "opto_wavelength": [wavelength_of(name) for name in _names(device)],
    }


def _waveforms(task: StimulusFile, trial: int) -> dict[str, list[Any]]:
    durations = np.atleast_1d(np.asarray(task.trial("trialOptoDur")[trial], np.float64))
    if _saved(task, "trialOptoSinFreq"):
        frequencies = np.atleast_1d(np.asarray(task.trial("trialOptoSinFreq")[trial], np.float64))
    else:
        frequencies = np.atleast_1d(np.asarray(task.get("optoSinFreq", 0.0), np.float64))
    return {
        "opto_duration": durations.tolist(),
        "opto_stim_name": ["sine" if frequency > 0 else "square" for frequency in frequencies],
    }


def _scalars(task: StimulusFile, name: str) -> npt.NDArray[np.float64]:
    """One number for each trial, where older or newer versions may have saved an array of one."""
    return np.array(
        [np.asarray(v, np.float64).reshape(-1)[0] if np.size(v) else np.nan for v in task.trial(name)]
    )


def _cell(values: Any, row: int) -> list[float]:
    """A row's numbers: one for each location or device; NaN if the table has no such row or column."""
    if values is None or not 0 <= row < len(values):
        return [np.nan]
    try:
        numbers = np.asarray(values[row], np.float64).reshape(-1)
    except (TypeError, ValueError):
        return [np.nan]
    # rows are filled up to the longest with NaN in some versions
    known = numbers[np.isfinite(numbers)]
    return known.tolist() if len(known) else [np.nan]


def _moved(places: list[float], offsets: list[float]) -> list[Any]:
    """Places plus their offsets, where offsets were set."""
    moves = np.nan_to_num(offsets)
    if len(moves) not in (1, len(places)):
        moves = np.zeros(1)
    moved: list[Any] = (np.asarray(places) + moves).tolist()
    return moved


def _names(devices: Any) -> list[str]:
    """The devices of a trial: a name, a list of names, or the repr of one."""
    if isinstance(devices, (list, tuple)):
        return [str(name) for name in devices] or [""]
    return [name.strip(" '\"") for name in str(devices).strip("[]").split(",")]


def _place_names(task: StimulusFile) -> list[str]:
    regions = task.get("optoRegions", [])
    if not len(regions) and isinstance(task.get("optoLocs"), dict):
        regions = task["optoLocs"].get("label", [])
    return [str(name) for name in regions]


def matching_voltage(known: npt.NDArray[np.float64], pair: npt.NDArray[np.float64]) -> int | None:
    """Return which of the calibrated galvo voltages, shape (k, 2), a pair is; None if it is none of them."""
    if not len(known) or not np.isfinite(pair).all():
        return None
    distance = np.abs(known - pair).max(axis=1)
    nearest = int(np.argmin(distance))
    return nearest if distance[nearest] < 1e-6 else None


def power_of(stimulus: StimulusFile, voltage: float) -> float:
    """Return the power (mW) that a laser has at a voltage, by the calibration in the file; NaN without one."""
    calibration = stimulus.get("optoPowerCalibrationData")
    if not isinstance(calibration, dict) or "poly coefficients" not in calibration:
        return float("nan")
    try:
        return float(np.polyval(np.asarray(calibration["poly coefficients"], np.float64), voltage))
    except (TypeError, ValueError):
        raise MissingDataError(f"The laser's calibration in {stimulus.path} is not a polynomial.") from None


def wavelength_of(device: str) -> float:
    """Return the wavelength (nm) of a light source by its name; NaN where the name does not say.

    Examples
    --------
    >>> wavelength_of("laser_488"), wavelength_of("led_1")
    (488.0, 470.0)
    """
    if device in _LED_WAVELENGTHS:
        return _LED_WAVELENGTHS[device]
    number = device.rpartition("_")[2]
    return float(number) if number.isdecimal() and 300 < int(number) < 1100 else float("nan")
