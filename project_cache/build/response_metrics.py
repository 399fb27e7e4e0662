"""How each unit responds to each stimulus: a table of rates, differences, significances and latencies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.analysis.responses import Windows, responses
from project_cache.build.nwb_tables import dynamic_table
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from hdmf.common import DynamicTable
    from pynwb.epoch import TimeIntervals
    from pynwb.misc import Units

__all__ = ["RESPONSE_WINDOWS", "observed_in", "response_metrics", "spike_trains", "unit_names"]

#: from when to when after its onset a response to a stimulus of each modality is looked for (s)
RESPONSE_WINDOWS = {"vis": (0.025, 0.2), "aud": (0.01, 0.2), "opto": (0.01, 0.1)}

_DESCRIPTION = (
    "Responses of each unit to each stimulus: one row for a unit and a stimulus. Spikes are counted from 25 to 200 ms "
    "after the onset of a visual stimulus, from 10 to 200 ms after that of a sound, from 10 to 100 ms after that of "
    "the laser; for a stimulus named 'during', while the laser is on, less 1.5 ms at either end for its artefact. The "
    "baseline is from the trial's start to the stimulus (in optotagging trials to 1.5 ms before it), "
    "and at least as long as the response's window. Trials of the task in which the laser was on are left out."
)
_COLUMNS = {
    "unit_id": "the unit, as in the units table",
    "modality": "of the stimulus: vis, aud or opto",
    "stimulus": "the stimulus: its name in the task, or what was shown to map receptive fields or to tag cells",
    "interval_name": "the table of intervals that the trials are from",
    "n_trials": "number of trials in which the unit was observed",
    "baseline_rate": "mean rate in the baseline (spikes/s)",
    "response_rate": "mean rate in the response's window (spikes/s)",
    "response": "mean of response less baseline, over all trials (spikes/s)",
    "max_response": "the largest mean of response less baseline among the stimulus' conditions: positions of a "
    "grating, contrasts of a flash, frequencies of a sound; otherwise as `response` (spikes/s)",
    "max_condition": "the condition of max_response (positions in pixels from the screen's centre, frequencies in Hz)",
    "modulation_index": "(response_rate - baseline_rate) / (response_rate + baseline_rate)",
    "p_value": "of the Wilcoxon signed-rank test of the number of spikes in the response's window and in a window as "
    "long before the stimulus, over all trials: two-sided, normal approximation; not corrected for the number of units",
    "latency": "median time from the onset to the first spike in the response's window, over the trials with one (s)",
}


@dataclass(frozen=True, slots=True)
class _Stimulus:
    """The trials of one stimulus, and what is different between them."""

    modality: str
    name: str
    table: str
    trials: pd.DataFrame
    conditions: Sequence[str] | None = None
    #: the response is looked for in the window that the trials say themselves
    own_window: bool = False


def response_metrics(
    units: Units,
    trials: TimeIntervals | None = None,
    vis_rf_mapping_trials: TimeIntervals | None = None,
    aud_rf_mapping_trials: TimeIntervals | None = None,
    optotagging_trials: TimeIntervals | None = None,
) -> DynamicTable:
    """Return the table of each unit's response to each stimulus of the task, of mapping and of optotagging.

    Parameters
    ----------
    units : pynwb.misc.Units
        With ``spike_times``, ``obs_intervals`` and ``unit_id``.
    trials, vis_rf_mapping_trials, aud_rf_mapping_trials, optotagging_trials : pynwb.epoch.TimeIntervals, optional
        What the recording has of them.

    Returns
    -------
    hdmf.common.DynamicTable
        ``response_metrics``; the windows are in its description, the definitions in those of its columns.

    Raises
    ------
    ComponentUnavailable
        There are no units, or no stimuli.
    """
    stimuli = [
        *_of_task(_frame(trials)),
        *_of_mapping(_frame(vis_rf_mapping_trials), _frame(aud_rf_mapping_trials)),
        *_of_tagging(_frame(optotagging_trials)),
    ]
    if not stimuli:
        raise ComponentUnavailable("Nothing was presented to the units: there are no trials with a stimulus.")
    trains, names = spike_trains(units), unit_names(units)
    if not trains:
        raise ComponentUnavailable("There are no units whose responses could be measured.")
    rows = [_rows(units, trains, names, stimulus) for stimulus in stimuli]
    return dynamic_table("response_metrics", _DESCRIPTION, pd.concat(rows, ignore_index=True), _COLUMNS)


def spike_trains(units: Units) -> list[NDArray[np.float64]]:
    """Return the spike times of each unit (s), in order.

    Parameters
    ----------
    units : pynwb.misc.Units
        The units.

    Raises
    ------
    ComponentUnavailable
        The table has no spike times.
    """
    if "spike_times" not in units.colnames:
        raise ComponentUnavailable("The units have no spike times.")
    index = units["spike_times"]
    times, ends = (
        np.asarray(index.target.data[:], dtype=np.float64),
        np.asarray(index.data[:], dtype=np.int64),
    )
    trains = np.split(times, ends[:-1]) if len(ends) else []
    return [train if (train[1:] >= train[:-1]).all() else np.sort(train) for train in trains]


def unit_names(units: Units) -> list[str]:
    """Return the ``unit_id`` of each unit, or the row's id where the table has none."""
    values = units["unit_id"].data[:] if "unit_id" in units.colnames else units.id[:]
    return [str(value) for value in values]


def observed_in(
    units: Units, start: NDArray[np.float64], stop: NDArray[np.float64]
) -> NDArray[np.bool_] | None:
    """Return whether each unit was observed throughout each stretch of time, or None where the table does not say.

    Parameters
    ----------
    units : pynwb.misc.Units
        The units.
    start, stop : numpy.ndarray, shape (trials,)
        The stretches (s).

    Returns
    -------
    numpy.ndarray of bool, shape (units, trials), or None
    """
    if "obs_intervals" not in units.colnames:
        return None
    index = units["obs_intervals"]
    intervals, ends = np.asarray(index.target.data[:], dtype=float).reshape(-1, 2), np.asarray(index.data[:])
    observed = np.empty((len(ends), len(start)), dtype=bool)
    # units of one probe were observed at the same times
    known: dict[bytes, NDArray[np.bool_]] = {}
    for number, these in enumerate(np.split(intervals, ends[:-1]) if len(ends) else []):
        key = these.tobytes()
        if key not in known:
            inside = (these[:, :1] <= start) & (stop <= these[:, 1:])
            known[key] = np.asarray(inside.any(axis=0))
        observed[number] = known[key]
    return observed


def _frame(table: TimeIntervals | None) -> pd.DataFrame:
    return pd.DataFrame() if table is None else table.to_dataframe()


def _chosen(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows in which a column is true; none where there is no such column."""
    return frame[frame[column].astype(bool)] if column in frame else frame.iloc[:0]


def _of_task(frame: pd.DataFrame) -> Iterator[_Stimulus]:
    """Yield the stimuli of the task, in alphabetical order. A multimodal one counts for either modality."""
    if not len(frame) or "stim_name" not in frame:
        return
    if "is_opto" in frame:
        frame = frame[~frame["is_opto"].astype(bool)]
    for name, shown in frame.groupby("stim_name"):
        for part, modality in (("vis", "vis"), ("sound", "aud")):
            if part in str(name):
                yield _Stimulus(modality, str(name), "trials", shown)


def _of_mapping(vis: pd.DataFrame, aud: pd.DataFrame) -> Iterator[_Stimulus]:
    gratings = _chosen(vis, "is_small_field_grating")
    if len(gratings):
        places = [
            f"x={x:.0f}, y={y:.0f}" for x, y in zip(gratings["grating_x"], gratings["grating_y"], strict=True)
        ]
        yield _Stimulus("vis", "grating", "vis_rf_mapping_trials", gratings, places)
    flashes = _chosen(vis, "is_full_field_flash")
    if len(flashes):
        contrasts = flashes["flash_contrast"] if "flash_contrast" in flashes else [np.nan] * len(flashes)
        yield _Stimulus(
            "vis", "flash", "vis_rf_mapping_trials", flashes, [f"contrast={value:g}" for value in contrasts]
        )
    for column, name in (
        ("is_pure_tone", "tone"),
        ("is_AM_noise", "AM_noise"),
        ("is_white_noise", "white_noise"),
    ):
        sounds = _chosen(aud, column)
        if len(sounds):
            frequencies = sounds["freq"] if "freq" in sounds else [np.nan] * len(sounds)
            yield _Stimulus(
                "aud", name, "aud_rf_mapping_trials", sounds, [f"{value:g} Hz" for value in frequencies]
            )


def _of_tagging(frame: pd.DataFrame) -> Iterator[_Stimulus]:
    """Yield the places that the laser was aimed at, with pulses of each length as its conditions.

    Twice: neurons with an opsin fire within milliseconds, in pulses of 10 ms before the usual window begins.
    """
    if not len(frame):
        return
    places = frame["location"].astype(str) if "location" in frame else pd.Series("", index=frame.index)
    for place, pulses in frame.groupby(places):
        lasting = pulses["nominal_duration"] if "nominal_duration" in pulses else [np.nan] * len(pulses)
        name = f"laser at {place}" if place else "laser"
        lengths = [f"{value:g} s" for value in lasting]
        yield _Stimulus("opto", name, "optotagging_trials", pulses, lengths)
        if "response_start_time" in pulses and "response_stop_time" in pulses:
            yield _Stimulus("opto", f"during {name}", "optotagging_trials", pulses, lengths, own_window=True)


def _rows(
    units: Units, trains: list[NDArray[np.float64]], names: list[str], stimulus: _Stimulus
) -> pd.DataFrame:
    """Return one row for each unit."""
    frame = stimulus.trials
    onset = frame["stim_start_time"].to_numpy(dtype=float)
    opens, closes = RESPONSE_WINDOWS[stimulus.modality]
    response = Windows(onset + opens, onset + closes)
    if stimulus.own_window:
        own = (frame[f"response_{side}_time"].to_numpy(dtype=float) for side in ("start", "stop"))
        response = Windows(*own)
    # optotagging trials say themselves where the baseline ends: the laser's artefact is before its light
    before = frame["baseline_stop_time"].to_numpy(dtype=float) if "baseline_stop_time" in frame else onset
    # in mapping trials the script begins a trial with its stimulus: of a baseline of one frame's time nothing can
    # be said, and what is before it is the grey screen between stimuli
    start = np.fmin(frame["start_time"].to_numpy(dtype=float), before - (response.stop - response.start))
    labels, conditions = np.unique(
        np.asarray(stimulus.conditions or ["all"] * len(frame)), return_inverse=True
    )
    found = responses(
        trains,
        onset,
        Windows(start, before),
        response,
        conditions.ravel(),
        observed_in(units, start, response.stop),
    )
    known = np.where(np.isnan(found.condition_difference), -np.inf, found.condition_difference)
    best = known.argmax(axis=1)
    best_difference = known[np.arange(len(known)), best]
    tested = np.isfinite(best_difference)
    columns: dict[str, Any] = {
        "unit_id": names,
        "modality": stimulus.modality,
        "stimulus": stimulus.name,
        "interval_name": stimulus.table,
        "n_trials": found.n_trials,
        "baseline_rate": found.baseline_rate,
        "response_rate": found.response_rate,
        "response": found.difference,
        "max_response": np.where(tested, best_difference, np.nan),
        "max_condition": np.where(tested, labels[best], "") if stimulus.conditions else "",
        "modulation_index": found.modulation_index,
        "p_value": found.p_value,
        "latency": found.latency,
    }
    return pd.DataFrame(columns)
