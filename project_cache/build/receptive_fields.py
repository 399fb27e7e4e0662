"""Receptive fields of units: maps over the screen, and tuning to orientation, contrast and frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.analysis.receptive_fields import Tuning, tuning
from project_cache.analysis.responses import Windows, rates_in
from project_cache.build.response_metrics import RESPONSE_WINDOWS, observed_in, spike_trains, unit_names
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from hdmf.common import DynamicTable
    from pynwb.epoch import TimeIntervals
    from pynwb.misc import Units

__all__ = ["aud_rf_maps", "vis_rf_maps"]

_TEST = (
    "how likely the spikes are spread so unevenly by chance: chi-square statistic, compared with that of 1,000 "
    "permutations of the trials (seed 0); NaN for a unit without spikes; not corrected for the number of units"
)


def vis_rf_maps(units: Units, vis_rf_mapping_trials: TimeIntervals) -> DynamicTable:
    """Return each unit's map of responses to small gratings, and its tuning to orientation and to flashes.

    Parameters
    ----------
    units : pynwb.misc.Units
        With ``spike_times``, ``obs_intervals`` and ``unit_id``.
    vis_rf_mapping_trials : pynwb.epoch.TimeIntervals
        The trials of RFMapping scripts.

    Returns
    -------
    hdmf.common.DynamicTable
        ``vis_rf_maps``, one row for each unit, in the order of `units`.

    Raises
    ------
    ComponentUnavailable
        There are no units, or neither gratings nor flashes.

    Notes
    -----
    Spikes are counted from 25 to 200 ms after a stimulus' onset. A map is of rows (y, from the bottom of the
    screen to its top) by columns (x, from left to right): ``rf_map[row, column]`` is the mean rate at
    ``grid_y[row], grid_x[column]``, over all orientations.
    """
    frame = vis_rf_mapping_trials.to_dataframe()
    columns: dict[str, tuple[str, Any]] = {}
    gratings = _chosen(frame, "is_small_field_grating", "grating_x", "grating_y")
    if len(gratings):
        x, y = gratings["grating_x"].to_numpy(float), gratings["grating_y"].to_numpy(float)
        place = _tuning(units, "vis", gratings, x, y)
        rows, at = np.arange(len(place.rate)), _largest(place.rate)
        across, down = place.axes
        columns |= {
            "rf_map": (
                "mean rate from 25 to 200 ms after a grating's onset at each position, of shape (y, x) (spikes/s)",
                place.rate,
            ),
            "rf_map_n_trials": (
                "number of gratings at each position, of shape (y, x)",
                _each(place.n_trials, rows),
            ),
            "grid_x": (
                "x of the map's columns: pixels to the right of the screen's centre",
                _each(across, rows),
            ),
            "grid_y": ("y of the map's rows: pixels above the screen's centre", _each(down, rows)),
            "rf_p_value": (f"for the map: {_TEST}", place.p_value),
            "preferred_x": (
                "x of the map's largest rate (pixels); NaN where all are 0",
                _at(across, at, len(across)),
            ),
            "preferred_y": (
                "y of the map's largest rate (pixels); NaN where all are 0",
                _at(down, at, len(across), rows=True),
            ),
        }
        orientations = _tuning(units, "vis", gratings, gratings["grating_orientation"].to_numpy(float))
        columns |= _curve("orientation", "of a grating (degrees), at all positions", orientations)
    flashes = _chosen(frame, "is_full_field_flash", "flash_contrast")
    if len(flashes):
        contrasts = _tuning(units, "vis", flashes, flashes["flash_contrast"].to_numpy(float))
        columns |= _curve("flash_contrast", "of a full-field flash (-1: black, 1: white)", contrasts)
    return _table(
        "vis_rf_maps", "small gratings and full-field flashes (25 to 200 ms after onset)", units, columns
    )


def aud_rf_maps(units: Units, aud_rf_mapping_trials: TimeIntervals) -> DynamicTable:
    """Return each unit's tuning to the frequency of tones, and of the modulation of noise.

    Parameters
    ----------
    units : pynwb.misc.Units
        With ``spike_times``, ``obs_intervals`` and ``unit_id``.
    aud_rf_mapping_trials : pynwb.epoch.TimeIntervals
        The trials of RFMapping scripts.

    Returns
    -------
    hdmf.common.DynamicTable
        ``aud_rf_maps``, one row for each unit, in the order of `units`.

    Raises
    ------
    ComponentUnavailable
        There are no units, or no sounds.

    Notes
    -----
    Spikes are counted from 10 to 200 ms after a sound's onset.
    """
    frame = aud_rf_mapping_trials.to_dataframe()
    columns: dict[str, tuple[str, Any]] = {}
    for column, name, text in (
        ("is_pure_tone", "tone_frequency", "of a pure tone (Hz)"),
        ("is_AM_noise", "am_frequency", "of the modulation of amplitude-modulated noise (Hz)"),
        ("is_white_noise", "noise_frequency", "of noise (Hz)"),
    ):
        sounds = _chosen(frame, column, "freq")
        if len(sounds):
            columns |= _curve(name, text, _tuning(units, "aud", sounds, sounds["freq"].to_numpy(float)))
    return _table("aud_rf_maps", "sounds (10 to 200 ms after onset)", units, columns)


def _chosen(frame: pd.DataFrame, flag: str, *needed: str) -> pd.DataFrame:
    """Return the trials of one kind of stimulus whose parameters are known."""
    if flag not in frame or any(column not in frame for column in needed):
        return frame.iloc[:0]
    return frame[frame[flag].astype(bool) & frame[list(needed)].notna().all(axis=1)]


def _tuning(units: Units, modality: str, trials: pd.DataFrame, *parameters: NDArray[np.float64]) -> Tuning:
    """Return units' tuning over the trials in which they were observed: of each probe by itself."""
    trains = spike_trains(units)
    onset = trials["stim_start_time"].to_numpy(float)
    opens, closes = RESPONSE_WINDOWS[modality]
    windows = Windows(onset + opens, onset + closes)
    # trials without an onset (a frame that was not displayed) have no window
    observed = observed_in(units, windows.start, windows.stop)
    seen = np.ones((len(trains), len(onset)), dtype=bool) if observed is None else observed
    seen = seen & np.isfinite(onset)
    counts = np.rint(np.nan_to_num(rates_in(trains, windows)) * (closes - opens))
    duration = np.full(len(onset), closes - opens)
    whole = tuning(counts, duration, *parameters)
    if seen.all():
        return whole
    rate, p_value = np.full(whole.rate.shape, np.nan), np.full(len(trains), np.nan)
    holes, group = np.unique(seen, axis=0, return_inverse=True)
    for number, there in enumerate(holes):
        members = np.flatnonzero(group.ravel() == number)
        if there.any():
            part = tuning(
                counts[np.ix_(members, there)], duration[there], *(each[there] for each in parameters)
            )
            places = tuple(
                np.searchsorted(all_values, values)
                for all_values, values in zip(whole.axes, part.axes, strict=True)
            )
            rate[np.ix_(members, *reversed(places))] = part.rate
            p_value[members] = part.p_value
    return Tuning(whole.axes, rate, whole.n_trials, p_value)


def _largest(rate: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the place of each map's largest rate in the map as one row; -1 where no rate is above 0."""
    flat = np.nan_to_num(rate.reshape(len(rate), -1), nan=0.0)
    return np.where(flat.max(axis=1) > 0, flat.argmax(axis=1), -1)


def _at(
    values: NDArray[np.float64], place: NDArray[np.int64], n_columns: int, rows: bool = False
) -> NDArray[np.float64]:
    """Return the coordinate of a place in a map as one row."""
    return np.where(place >= 0, values[place // n_columns if rows else place % n_columns], np.nan)


def _each(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the same values for every row: a row then says by itself what it holds."""
    return np.broadcast_to(values, (len(rows), *values.shape)).copy()


def _curve(name: str, text: str, found: Tuning) -> dict[str, tuple[str, Any]]:
    rows = np.arange(len(found.rate))
    return {
        f"{name}_values": (f"each {name.replace('_', ' ')} {text}", _each(found.axes[0], rows)),
        f"{name}_rate": (f"mean rate at each of {name}_values (spikes/s)", found.rate),
        f"{name}_n_trials": (f"number of trials at each of {name}_values", _each(found.n_trials, rows)),
        f"{name}_p_value": (f"for {name}_rate: {_TEST}", found.p_value),
    }


def _table(name: str, stimuli: str, units: Units, columns: dict[str, tuple[str, Any]]) -> DynamicTable:
    from hdmf.common import DynamicTable, VectorData

    names = unit_names(units)
    if not columns:
        raise ComponentUnavailable(f"There are no {stimuli.split(' (')[0]} from which units could be mapped.")
    if not names:
        raise ComponentUnavailable("There are no units whose receptive fields could be mapped.")
    columns = {"unit_id": ("the unit, as in the units table", names), **columns}
    kept = {
        column: (text, values)
        for column, (text, values) in columns.items()
        if not (isinstance(values, np.ndarray) and np.isnan(values).all())
    }
    return DynamicTable(
        name=name,
        description=f"Responses of each unit to {stimuli}, by position or value; one row for a unit.",
        id=np.arange(len(names)),
        columns=[
            VectorData(name=column, description=text, data=data) for column, (text, data) in kept.items()
        ],
        colnames=list(kept),
    )
