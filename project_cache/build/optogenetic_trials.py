"""Light in the trials of the task: when it was on, where it went, and what it was.

The script's file says it in one of two ways. Older files have one list of places, each with the voltages that turn
the mirrors (galvos) to it, and for each trial the voltages that were used. Newer ones (since 2024-03) have a table of
kinds of stimulation, ``optoParams``, and name one of its rows in each trial. A trial whose light went to several
places, or came from several sources, has a row for each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.clock.lasers import durations, onset_frames
from project_cache.errors import MissingDataError

if TYPE_CHECKING:
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["DESCRIPTIONS", "has_light", "light", "matching_voltage", "power_of", "wavelength_of"]

Floats = npt.NDArray[np.float64]

DESCRIPTIONS = {
    "opto_start_time": "onset of optogenetic stimulation (s), NaN on trials without",
    "opto_stop_time": "offset of optogenetic stimulation (s), NaN on trials without",
    "opto_duration": "duration of optogenetic stimulation that was asked for, without ramps (s)",
    "opto_label": "name of the place that light was sent to; empty on trials without",
    "opto_location_bregma_x": "where light was sent, from bregma: to the right (mm)",
    "opto_location_bregma_y": "where light was sent, from bregma: to the front (mm)",
    "opto_power": "power of the light, by the calibration of its source (mW)",
    "opto_wavelength": "wavelength of the light (nm)",
    "opto_stim_name": "waveform of the light: `square`, or `sine`; empty on trials without",
    "is_single_opto_location": "light was sent to one place only; a trial with several has a row for each",
}

#: voltages that are less apart than this turn a mirror to the same place, V
_SAME_VOLTAGE = 1e-4
_LED_NM = 470.0
_NO_LIGHT = "no opto"


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that light was sent to, in mm from bregma, NaN where that is not known."""

    label: str
    x: float = np.nan
    y: float = np.nan


def has_light(task: StimulusFile) -> bool:
    """Return whether light was asked for in any completed trial of a task file."""
    try:
        return bool(np.isfinite(onset_frames(task)).any())
    except MissingDataError:
        return False  # written before there was light, or with empty lists


def light(task: StimulusFile, onset: Floats, offset: Floats) -> pd.DataFrame:
    """Return what light there was in each trial of a task file.

    Parameters
    ----------
    task : StimulusFile
        A DynamicRouting1 file that has light.
    onset, offset : array, shape (n_trials,)
        When light was on (s), NaN for trials without.

    Returns
    -------
    pandas.DataFrame
        One row a trial; where light went to several places, one for each. The columns are ``trial``, its index in
        the file, and those of `DESCRIPTIONS`.
    """
    lit = np.isfinite(onset_frames(task))
    nominal = durations(task)[0]
    rows: list[dict[str, Any]] = []
    for trial in range(task.n_trials):
        dark = {"trial": trial, "opto_label": "", "opto_stim_name": "", "is_single_opto_location": False}
        if not lit[trial]:
            rows.append(dark)
            continue
        kind = _kind(task, trial)
        places = _listed_places(task, trial) if kind is None else _places_of_kind(task, trial, kind)
        sources, volts = _sources(task, trial), _flat(_of_trial(task, "trialOptoVoltage", trial))
        asked = [] if kind is None else _flat(_parameter(task, "power", kind))
        n = max(len(places), len(sources))
        at = {
            "places": _spread(places, n, _Place("")),
            "sources": _spread(sources, n, ""),
            "volts": _spread(volts, n, np.nan),
            "asked": _spread(asked, n, np.nan),
        }
        for place, source, volt, power in zip(*at.values(), strict=True):
            calibrated = power_of(task, _number(volt))
            rows.append(
                {
                    "trial": trial,
                    "opto_start_time": onset[trial],
                    "opto_stop_time": offset[trial],
                    "opto_duration": nominal[trial],
                    "opto_label": place.label,
                    "opto_location_bregma_x": place.x,
                    "opto_location_bregma_y": place.y,
                    "opto_power": calibrated if np.isfinite(calibrated) else _number(power),
                    "opto_wavelength": wavelength_of(source),
                    "opto_stim_name": "sine" if _frequency(task, trial, kind) > 0 else "square",
                    "is_single_opto_location": n == 1,
                }
            )
    return pd.DataFrame(rows, columns=["trial", *DESCRIPTIONS])


def matching_voltage(known: Floats, pair: Floats) -> int | None:
    """Return which row of `known`, shape (k, 2), is the pair of galvo voltages (V); None if none is.

    Examples
    --------
    >>> matching_voltage(np.array([[0.5, -0.5], [1.0, 1.0]]), np.array([1.0, 1.0]))
    1
    """
    if not len(known) or len(pair) != 2 or not np.isfinite(pair).all():
        return None
    apart = np.abs(known - pair).max(axis=1)
    apart[np.isnan(apart)] = np.inf
    nearest = int(apart.argmin())
    return nearest if apart[nearest] < _SAME_VOLTAGE else None


def power_of(stimulus: StimulusFile, voltage: float) -> float:
    """Return the power (mW) of light at a voltage (V), by the calibration in the file; NaN without one."""
    calibration = stimulus.get("optoPowerCalibrationData")
    if not isinstance(calibration, dict):
        return float("nan")
    coefficients = [_number(value) for value in _flat(calibration.get("poly coefficients"))]
    return float(np.polyval(coefficients, voltage)) if coefficients else float("nan")


def wavelength_of(device: str) -> float:
    """Return the wavelength (nm) of a light source by its name; NaN where it does not say.

    Examples
    --------
    >>> wavelength_of("laser_633"), wavelength_of("led_1")
    (633.0, 470.0)
    """
    if device in ("led_1", "led_2"):
        return _LED_NM
    named = re.search(r"_(\d+)", device)
    return float(named.group(1)) if named else float("nan")


# older files ----------------------------------------------------------------------------------


def _listed_places(task: StimulusFile, trial: int) -> list[_Place]:
    """The places of a trial: those in the file's list whose voltages it has."""
    listed = _list_of_places(task)
    label = _label(task, trial)
    by_label = next((place for place in listed if place.label == label), _Place(label))
    known = _pairs(task.get("galvoVoltage"))
    used = _pairs(_of_trial(task, "trialGalvoVoltage", trial))
    rows = [matching_voltage(known, pair) for pair in used if np.isfinite(pair).all()]
    # without mirrors, and where they were turned to a place that is not listed, only the label is left
    return [listed[row] if row is not None and row < len(listed) else by_label for row in rows] or [by_label]


def _list_of_places(task: StimulusFile) -> list[_Place]:
    places = task.get("optoLocs")
    if isinstance(places, dict) and {"X", "Y"} <= set(places):
        names, x, y = (_flat(places.get(key)) for key in ("label", "X", "Y"))
    else:
        names, bregma = _flat(task.get("optoRegions")), _pairs(task.get("optoBregma"))
        x, y = bregma[:, 0].tolist(), bregma[:, 1].tolist()
    return [
        _Place(str(names[i]) if i < len(names) else "", *(_number(v[i]) if i < len(v) else np.nan for v in (x, y)))
        for i in range(max(len(names), len(x)))
    ]  # fmt: skip


def _pairs(value: Any) -> Floats:
    """Pairs of numbers, shape (k, 2); some files have them flat."""
    numbers = np.array([_number(each) for each in _flat(value)], np.float64)
    return numbers[: len(numbers) // 2 * 2].reshape(-1, 2)


# newer files ----------------------------------------------------------------------------------


def _kind(task: StimulusFile, trial: int) -> int | None:
    """The row of ``optoParams`` that a trial used; None if the file has no such table."""
    table = task.get("optoParams")
    if not isinstance(table, dict) or not table:
        return None
    labels = [str(label) for label in table.get("label", [])]
    if labels.count(_label(task, trial)) == 1:
        return labels.index(_label(task, trial))
    index = _number(_of_trial(task, "trialOptoParamsIndex", trial))
    return int(index) if np.isfinite(index) else None


def _places_of_kind(task: StimulusFile, trial: int, kind: int) -> list[_Place]:
    """The places of a row of ``optoParams``: each has an offset of its own, from where bregma was taken to be."""
    axes = []
    for axis in "XY":
        at = [_number(value) for value in _flat(_parameter(task, f"bregma{axis}", kind))]
        moved = [_number(value) for value in _flat(_parameter(task, f"bregma offset {axis}", kind))]
        axes.append(np.array(at) + np.nan_to_num(np.array(_spread(moved, len(at), 0.0), np.float64)))
    n = max(len(axis) for axis in axes)
    label = _label(task, trial) or str(_parameter(task, "label", kind) or "")
    places = [
        _Place(label, x, y) for x, y in zip(*(_spread(a.tolist(), n, np.nan) for a in axes), strict=True)
    ]
    # rows with fewer places than others are filled up with NaN
    return [place for place in places if np.isfinite([place.x, place.y]).any()] or [_Place(label)]


def _parameter(task: StimulusFile, name: str, kind: int) -> Any:
    values = task["optoParams"].get(name)
    return values[kind] if isinstance(values, list | np.ndarray) and 0 <= kind < len(values) else None


# both -----------------------------------------------------------------------------------------


def _label(task: StimulusFile, trial: int) -> str:
    label = _of_trial(task, "trialOptoLabel", trial)
    return label if isinstance(label, str) and label != _NO_LIGHT else ""


def _sources(task: StimulusFile, trial: int) -> list[str]:
    """The names of the light sources of a trial."""
    general = task.get("optoDevName", task.get("optoDev"))
    names = _of_trial(task, "trialOptoDevice", trial)
    return [name for name in _flat(names or general) if isinstance(name, str) and name]


def _frequency(task: StimulusFile, trial: int, kind: int | None) -> float:
    """The frequency of a trial's sine (Hz); 0 if the light was constant."""
    found = [*_flat(_of_trial(task, "trialOptoSinFreq", trial))]
    if "trialOptoSinFreq" not in task:
        found = _flat(task.get("optoSinFreq") if kind is None else _parameter(task, "frequency", kind))
    return float(np.nan_to_num([_number(value) for value in found]).max(initial=0.0))


def _of_trial(task: StimulusFile, name: str, trial: int) -> Any:
    """The value of a trial; None where the file has none."""
    return task.trial(name)[trial] if name in task else None


def _spread(values: list[Any], n: int, unknown: Any) -> list[Any]:
    """Values for n places: one for each, one for all, or one for each source, whose places lie together."""
    if values and n % len(values) == 0:
        return [value for value in values for _ in range(n // len(values))]
    return [unknown] * n


def _flat(value: Any) -> list[Any]:
    """What a cell holds, which may be one value, an array or lists in lists."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [each for item in value for each in _flat(item)]
    return [] if value is None else [value]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
