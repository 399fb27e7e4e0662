"""Trials of the receptive-field mapping and luminance scripts: gratings on a grid, flashes, tones, noise, gray levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.invalid_times import valid_rows
from project_cache.build.nwb_tables import time_intervals, without_empty_columns
from project_cache.build.task import files_of, stored_table
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynwb.epoch import TimeIntervals

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = [
    "appended",
    "aud_rf_mapping_table",
    "aud_rf_mapping_trials",
    "luminance_test_trials",
    "vis_rf_mapping_table",
    "vis_rf_mapping_trials",
]

Floats = npt.NDArray[np.float64]

_TIMES = {
    "start_time": "start of the trial (s)",
    "stop_time": "end of the trial, when the next can begin (s)",
    "stim_start_time": "onset of the stimulus (s)",
    "stim_stop_time": "offset of the stimulus (s)",
    "trial_index": "number of the trial in its stimulus file, from 0",
    "stimulus_file": "the stimulus file, where the session has several of this kind",
}
_VIS = _TIMES | {
    "is_small_field_grating": "a small grating was shown",
    "grating_orientation": "direction of the grating's drift (degrees)",
    "grating_x": "place of the grating's centre, to the right of the screen's centre (pixels)",
    "grating_y": "place of the grating's centre, above the screen's centre (pixels)",
    "is_full_field_flash": "the whole screen changed its luminance",
    "flash_contrast": "luminance of the flash: -1 black, 1 white",
}
_AUD = _TIMES | {
    "is_AM_noise": "noise was played, modulated in amplitude",
    "is_white_noise": "noise was played, filtered to a band of frequencies",
    "is_pure_tone": "a tone was played",
    "freq": "frequency of the tone, or of the modulation of the noise (Hz)",
}
_LUMINANCE = _TIMES | {"level": "luminance of the screen, from -1 (black) to 1 (white)"}


def appended(files: list[StimulusFile], rows_of: Callable[[StimulusFile], pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of several files of one script under one another.

    Trials keep the number that they have in their file; where there are several files, ``stimulus_file`` says
    which. Columns that one file lacks are missing values in its rows.
    """
    parts = []
    for stimulus in files:
        rows = rows_of(stimulus)
        if len(files) > 1:
            rows["stimulus_file"] = stimulus.stem
        parts.append(rows)
    return without_empty_columns(pd.concat(parts, ignore_index=True))


def vis_rf_mapping_table(raw: RawRecording, clock: SessionClock, options: Options) -> pd.DataFrame:
    """Return the trials of visual receptive-field mapping: small gratings and full-field flashes, times in s."""
    return _table("vis_rf_mapping_trials", "RFMapping", _visual_rows, raw, clock, options)


def aud_rf_mapping_table(raw: RawRecording, clock: SessionClock, options: Options) -> pd.DataFrame:
    """Return the trials of auditory receptive-field mapping: tones and noise, times in s."""
    return _table("aud_rf_mapping_trials", "RFMapping", _auditory_rows, raw, clock, options)


def vis_rf_mapping_trials(raw: RawRecording, clock: SessionClock, options: Options) -> TimeIntervals:
    """Return the trials of visual receptive-field mapping as TimeIntervals."""
    table = vis_rf_mapping_table(raw, clock, options)
    return _intervals("vis_rf_mapping_trials", "visual receptive-field mapping trials", table, _VIS, raw)


def aud_rf_mapping_trials(raw: RawRecording, clock: SessionClock, options: Options) -> TimeIntervals:
    """Return the trials of auditory receptive-field mapping as TimeIntervals."""
    table = aud_rf_mapping_table(raw, clock, options)
    return _intervals("aud_rf_mapping_trials", "auditory receptive-field mapping trials", table, _AUD, raw)


def luminance_test_trials(raw: RawRecording, clock: SessionClock, options: Options) -> TimeIntervals:
    """Return the levels of gray that the luminance test showed, as TimeIntervals."""
    table = _table("luminance_test_trials", "LuminanceTest", _luminance_rows, raw, clock, options)
    return _intervals("luminance_test_trials", "levels of the luminance test", table, _LUMINANCE, raw)


def _intervals(
    name: str, description: str, table: pd.DataFrame, columns: dict[str, str], raw: RawRecording
) -> TimeIntervals:
    stored = raw.table_descriptions.get(name, {}) if raw.layout == "tables" else {}
    return time_intervals(
        name, description, table, columns | {key: text for key, text in stored.items() if text}
    )


def _table(
    name: str,
    script: str,
    rows_of: Callable[[StimulusFile, SessionClock], pd.DataFrame],
    raw: RawRecording,
    clock: SessionClock,
    options: Options,
) -> pd.DataFrame:
    if raw.layout == "tables":
        table = stored_table(raw, name)
    else:
        table = appended(files_of(raw, clock, script), lambda stimulus: rows_of(stimulus, clock))
    table = valid_rows(table, raw, clock, options)
    if table.empty:
        raise ComponentUnavailable(f"{raw.id} has no valid trials for {name}.")
    return table


def _scripted(stimulus: StimulusFile, clock: SessionClock) -> pd.DataFrame:
    """Start, stop and number of all mapping trials; a trial that the script's end cut off has a NaN stop."""
    frames = clock.frames(stimulus)
    first = np.asarray(stimulus.trial("stimStartFrame"), np.float64)
    whole = float(stimulus["stimFrames"]) + float(stimulus["interStimFrames"])
    return pd.DataFrame(
        {
            "start_time": frames.at("flip", first),
            "stop_time": frames.at("flip", first + whole),
            "stim_start_time": frames.at("display", first),
            "stim_stop_time": frames.at("display", first + float(stimulus["stimFrames"])),
            "trial_index": np.arange(len(first), dtype=np.int64),
        }
    )


def _numbers(stimulus: StimulusFile, name: str, n: int) -> Floats:
    """One number a trial: NaN where the script showed something else, or did not know of such stimuli."""
    if name not in stimulus:
        return np.full(n, np.nan)
    values = np.asarray(stimulus.trial(name), np.float64)
    # of two the band of a noise, or a tone and NaN
    return values.reshape(n, -1)[:, 0]


def _visual_rows(stimulus: StimulusFile, clock: SessionClock) -> pd.DataFrame:
    rows = _scripted(stimulus, clock)
    n = len(rows)
    orientation = _numbers(stimulus, "trialGratingOri", n)
    contrast = _numbers(stimulus, "trialFullFieldContrast", n)
    grating, flash = np.isfinite(orientation), np.isfinite(contrast)
    places = np.full((n, 2), np.nan)
    if "trialVisXY" in stimulus:
        places = np.asarray(stimulus.trial("trialVisXY"), np.float64)
    rows["is_small_field_grating"] = grating
    rows["grating_orientation"] = orientation
    rows["grating_x"] = np.where(grating, places[:, 0], np.nan)
    rows["grating_y"] = np.where(grating, places[:, 1], np.nan)
    rows["is_full_field_flash"] = flash
    rows["flash_contrast"] = contrast
    return rows[(grating ^ flash) & rows["stop_time"].notna()].reset_index(drop=True)


def _auditory_rows(stimulus: StimulusFile, clock: SessionClock) -> pd.DataFrame:
    rows = _scripted(stimulus, clock)
    n = len(rows)
    tone = _numbers(stimulus, "trialToneFreq", n)
    modulation = _numbers(stimulus, "trialAMNoiseFreq", n)
    noise = _numbers(stimulus, "trialNoiseFreq", n)
    rows["is_AM_noise"] = np.isfinite(modulation)
    rows["is_white_noise"] = np.isfinite(noise)
    rows["is_pure_tone"] = np.isfinite(tone)
    rows["freq"] = np.where(np.isfinite(tone), tone, modulation)
    played = np.isfinite(tone) | np.isfinite(modulation) | np.isfinite(noise)
    if played.any():
        first = np.asarray(stimulus.trial("stimStartFrame"), np.float64)[played]
        duration = np.full(len(first), float(stimulus.get("soundDur", 0.25)))
        onset, offset = clock.sounds(stimulus, first, duration)
        rows.loc[played, "stim_start_time"] = onset
        rows.loc[played, "stim_stop_time"] = offset
    return rows[played & rows["stop_time"].notna()].reset_index(drop=True)


def _luminance_rows(stimulus: StimulusFile, clock: SessionClock) -> pd.DataFrame:
    frames = clock.frames(stimulus)
    first = np.asarray(stimulus.trial("trialStartFrame"), np.float64)
    rows = pd.DataFrame(
        {
            "start_time": frames.at("display", first),
            "stop_time": frames.at("display", first + float(stimulus["framesPerLevel"])),
            "trial_index": np.arange(len(first), dtype=np.int64),
            "level": np.asarray(stimulus.trial("trialLevel"), np.float64),
        }
    )
    return rows[rows["stop_time"].notna()].reset_index(drop=True)
