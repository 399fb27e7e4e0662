"""Optotagging trials: pulses of light that make the neurons which carry an opsin fire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.clock.lasers import devices
from project_cache.build.invalid_times import valid_rows
from project_cache.build.mapping import appended
from project_cache.build.nwb_tables import time_intervals
from project_cache.build.optogenetic_trials import matching_voltage, power_of, wavelength_of
from project_cache.build.task import files_of
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from pynwb.epoch import TimeIntervals

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["optotagging_table", "optotagging_trials", "pulse_windows"]

Floats = npt.NDArray[np.float64]

#: the time around the light's edges in which its artefact is seen, s
_ARTEFACT = 0.0015
_LONGEST_MARGIN = 0.2

_DESCRIPTIONS = {
    "start_time": "start of the trial (s): before the light by 0.2 s, or half of the wait between pulses if less",
    "stop_time": "end of the trial, as long after the light (s)",
    "stim_start_time": "onset of the light (s)",
    "stim_stop_time": "offset of the light (s)",
    "baseline_start_time": "start of the baseline before the light (s)",
    "baseline_stop_time": "end of the baseline, before the light's artefact (s)",
    "response_start_time": "start of the response window, after the artefact of the light's onset (s)",
    "response_stop_time": "end of the response window, before the artefact of the light's offset (s)",
    "stim_name": "the waveform: `square`, or `sine`",
    "nominal_duration": "duration of the light that was asked for (s)",
    "location": "the probe beside which the light was aimed, or the label of the place",
    "bregma_x": "where light was aimed, from bregma: to the right (mm)",
    "bregma_y": "where light was aimed, from bregma: to the front (mm)",
    "power": "power of the light, by the laser's calibration (mW)",
    "wavelength": "wavelength of the light (nm)",
    "trial_index": "number of the trial in its stimulus file, from 0",
    "stimulus_file": "the stimulus file, where the session has several of this kind",
}


def pulse_windows(onset: Floats, offset: Floats, wait: float) -> pd.DataFrame:
    """Return the windows around pulses of light, in seconds.

    Parameters
    ----------
    onset, offset : array
        Of the light, s.
    wait : float
        From a pulse to the next, s.

    Examples
    --------
    >>> pulse_windows(np.array([10.0]), np.array([10.01]), 1.0).iloc[0].round(4).to_dict()["start_time"]
    9.8
    """
    margin = min(_LONGEST_MARGIN, 0.5 * wait)
    return pd.DataFrame(
        {
            "start_time": onset - margin,
            "stop_time": offset + margin,
            "stim_start_time": onset,
            "stim_stop_time": offset,
            "baseline_start_time": onset - margin,
            "baseline_stop_time": onset - _ARTEFACT,
            "response_start_time": onset + _ARTEFACT,
            "response_stop_time": offset - _ARTEFACT,
        }
    )


def optotagging_table(raw: RawRecording, clock: SessionClock, options: Options) -> pd.DataFrame:
    """Return the optotagging trials, times in seconds."""
    table = appended(files_of(raw, clock, "OptoTagging"), lambda stimulus: _rows(stimulus, clock))
    table = valid_rows(table, raw, clock, options)
    if table.empty:
        raise ComponentUnavailable(f"{raw.id} has no valid optotagging trials.")
    return table


def optotagging_trials(raw: RawRecording, clock: SessionClock, options: Options) -> TimeIntervals:
    """Return the optotagging trials as TimeIntervals."""
    return time_intervals(
        "optotagging_trials",
        "pulses of light at the probes, to tag neurons that carry an opsin",
        optotagging_table(raw, clock, options),
        _DESCRIPTIONS,
    )


def _rows(stimulus: StimulusFile, clock: SessionClock) -> pd.DataFrame:
    onset, offset = clock.opto(stimulus)
    n = stimulus.n_trials
    rows = pulse_windows(
        onset, offset, float(stimulus["optoInterval"]) / float(stimulus.get("frameRate", 60))
    )
    frequency = _first(stimulus, "trialOptoSinFreq", n)
    if np.isnan(frequency).all():
        frequency[:] = float(np.nan_to_num(np.asarray(stimulus.get("optoSinFreq", 0.0), np.float64).max()))
    voltage = _first(stimulus, "trialOptoVoltage", n)
    label, x, y = _places(stimulus)
    rows["stim_name"] = np.where(frequency > 0, "sine", "square")
    rows["nominal_duration"] = _first(stimulus, "trialOptoDur", n)
    rows["location"] = [f"probe{text}" if len(text) == 1 and text in "ABCDEF" else text for text in label]
    rows["bregma_x"], rows["bregma_y"] = x, y
    rows["power"] = np.round([power_of(stimulus, value) for value in voltage], 3)
    wavelength = np.array([wavelength_of(name) for name in devices(stimulus)])
    rows["wavelength"] = wavelength.astype(np.int64) if np.isfinite(wavelength).all() else wavelength
    rows["trial_index"] = np.arange(n, dtype=np.int64)
    return rows[rows["start_time"].notna() & rows["stop_time"].notna()].reset_index(drop=True)


def _first(stimulus: StimulusFile, name: str, n: int) -> Floats:
    """One number a trial: newer files have an array of one for each device."""
    if name not in stimulus:
        return np.full(n, np.nan)
    cells = [np.asarray(value, np.float64).reshape(-1) for value in stimulus.trial(name)]
    return np.array([cell[0] if len(cell) else np.nan for cell in cells])


def _places(stimulus: StimulusFile) -> tuple[list[str], Floats, Floats]:
    """Where each pulse went: its label, and from bregma to the right and to the front (mm)."""
    n = stimulus.n_trials
    locations = stimulus.get("optoTaggingLocs")
    if not isinstance(locations, dict):
        locations = {}
    names = [str(text) for text in locations.get("label", [])]
    places = np.asarray(stimulus.get("bregmaXY", np.zeros((0, 2))), np.float64).reshape(-1, 2)
    if {"X", "Y"} <= set(locations):
        places = np.column_stack([np.asarray(locations[axis], np.float64).reshape(-1) for axis in ("X", "Y")])
    labels = (
        [str(text) for text in stimulus.trial("trialOptoLabel")] if "trialOptoLabel" in stimulus else None
    )
    row: list[int | None] = [None] * n
    if labels is not None and names:
        row = [names.index(text) if text in names else None for text in labels]
    elif "trialGalvoVoltage" in stimulus and "galvoVoltage" in stimulus:
        known = np.asarray(stimulus["galvoVoltage"], np.float64).reshape(-1, 2)
        pairs = [np.asarray(pair, np.float64).reshape(-1)[:2] for pair in stimulus.trial("trialGalvoVoltage")]
        row = [matching_voltage(known, pair) for pair in pairs]
    if labels is None:
        labels = [names[i] if i is not None and i < len(names) else "" for i in row]
    found = np.array([places[i] if i is not None and i < len(places) else (np.nan, np.nan) for i in row])
    found = found.reshape(n, 2)
    return labels, found[:, 0], found[:, 1]
