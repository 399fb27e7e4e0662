"""Trials of the change detection task, and the licks and rewards in them."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.analysis.change_detection import NO_TRIAL
from project_cache.errors import MissingDataError
from project_cache.nwb.links import find_group, need_group
from project_cache.nwb.series import series_data, series_times
from project_cache.nwb.table import frame, read_table

__all__ = ["change_times", "read_licks", "read_rewards", "read_speed", "read_trials"]

_RENAMED = {"stimulus_change": "is_change"}
#: an average below this (cm/s) means that the wheel was wired the wrong way round
_BACKWARDS = -1.0


def read_trials(handle: h5py.File) -> pd.DataFrame:
    """Return the trials by ``trials_id`` (times in seconds, volumes in mL, ``change_frame`` -99 for none)."""
    group = find_group(handle, "intervals/trials")
    if group is None:
        raise MissingDataError(f"{handle.filename} has no trials.")
    table = read_table(group, skip=("lick_events",))
    columns: dict[str, NDArray[Any]] = {}
    for name in table.columns:
        values = table[name].to_numpy()
        if name == "lick_times":
            values = _lick_times(values)
        elif name == "change_frame" and values.dtype.kind == "f":
            values = np.where(np.isnan(values), NO_TRIAL, values).astype(np.int64)
        elif name == "change_frame":
            values = values.astype(np.int64)
        columns[_RENAMED.get(name, name)] = values
    return frame(columns, table.index.to_numpy(), "trials_id")


def _lick_times(values: NDArray[Any]) -> NDArray[np.object_]:
    """Return an array of times for each trial.

    Where nobody licked in a whole session, AllenSDK's writer fills the column with text.
    """
    cells = np.empty(len(values), dtype=object)
    for n, licks in enumerate(values):
        cells[n] = np.asarray(licks if len(licks) else [], dtype=np.float64)
    return cells


def change_times(trials: pd.DataFrame) -> NDArray[np.float64]:
    """Return when the image changed in each trial (s), NaN where it did not."""
    for name in ("change_time", "change_time_no_display_delay"):
        if name in trials.columns:
            return trials[name].to_numpy(dtype=np.float64)
    raise MissingDataError("These trials do not say when their images changed.")


def read_licks(handle: h5py.File) -> pd.DataFrame:
    """Return the licks: timestamps (s), and the frame of the stimulus at which each came; empty for none."""
    licks = find_group(handle, "processing/licking/licks")
    if licks is None:
        return frame({"timestamps": np.empty(0), "frame": np.empty(0)})
    return frame({"timestamps": series_times(licks), "frame": series_data(licks)})


def read_rewards(handle: h5py.File) -> pd.DataFrame:
    """Return the rewards: volume (mL), timestamps (s), auto_rewarded; empty for none."""
    rewards = find_group(handle, "processing/rewards")
    if rewards is None:
        return frame({"volume": np.empty(0), "timestamps": np.empty(0), "auto_rewarded": np.empty(0)})
    automatic = need_group(rewards, "autorewarded")
    return frame(
        {
            "volume": series_data(need_group(rewards, "volume")),
            "timestamps": series_times(automatic),
            "auto_rewarded": series_data(automatic),
        }
    )


def read_speed(handle: h5py.File, name: str) -> pd.DataFrame:
    """Return a running speed: timestamps (s), speed (cm/s).

    Parameters
    ----------
    handle : h5py.File
        The file.
    name : str
        ``speed``, or ``speed_unfiltered``.

    Notes
    -----
    Some sessions were recorded with the wheel the wrong way round: a mouse that ran backwards on average
    is turned round (AllenSDK #2661).
    """
    series = need_group(handle, f"processing/running/{name}")
    speed = series_data(series)
    known = speed[~np.isnan(speed)]
    if known.size and known.mean() < _BACKWARDS:
        speed = -speed
    return frame({"timestamps": series_times(series), "speed": speed})
