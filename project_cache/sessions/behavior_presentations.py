"""Stimulus presentations of the behaviour projects: changes of image, the trial of each, nullable truth values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.analysis.change_detection import (
    copy_to_replays,
    find_active,
    find_changes,
    find_trials,
    flashes_since_change,
)
from project_cache.nwb.table import frame
from project_cache.sessions.presentations import arranged, read_presentations

__all__ = ["read_behavior_presentations"]

Columns = dict[str, Any]
#: of the trial that a presentation is in; later releases have written them into the file
_OF_TRIALS = ("active", "trials_id", "is_sham_change")
_TIMES = ("start_time", "stop_time")
#: counts, which may well be nothing but 0 and 1
_COUNTS = ("flashes_since_change", "movie_repeat", "repeat")
_HIDDEN = ("image_set", "index")


def read_behavior_presentations(
    handle: h5py.File, trials: Callable[[], pd.DataFrame | None], *, add_is_change: bool
) -> pd.DataFrame:
    """Return the presentations by ``stimulus_presentations_id``, in the order of time (times in seconds).

    Parameters
    ----------
    handle : h5py.File
        The file.
    trials : callable
        Gives the trials, or None; called where the file does not itself say which trial each
        presentation is in.
    add_is_change : bool
        Whether ``is_change`` and ``flashes_since_change`` are worked out from the images, whatever the
        file says.
    """
    columns: Columns = dict(read_presentations(handle, truth_values=False))
    columns = {name: _nullable(name, values) for name, values in columns.items()}
    if add_is_change:
        _add_changes(columns)
    if any(name not in columns for name in _OF_TRIALS):
        known = trials()
        if known is not None:
            _add_trials(columns, known)
    columns = arranged(columns)
    shown = {
        "end_time" if name == "stop_time" else name: values
        for name, values in columns.items()
        if name not in _HIDDEN
    }
    table = frame(shown)
    table.index.name = "stimulus_presentations_id"
    return table


def _nullable(name: str, values: NDArray[Any]) -> Any:
    """Return numbers of nothing but 0, 1 and NaN as truth values that can be unknown, which is what they were."""
    if values.dtype.kind != "f" or name.endswith("_index") or name in _TIMES or name in _COUNTS:
        return values
    unknown = np.isnan(values)
    if not np.isin(values[~unknown], (0.0, 1.0)).all():
        return values
    return pd.arrays.BooleanArray(np.where(unknown, 0.0, values).astype(bool), unknown)


def _image_names(columns: Columns) -> NDArray[np.object_]:
    """Return the image of each presentation, NaN for what is no image."""
    if "image_name" in columns:
        names: NDArray[np.object_] = np.asarray(columns["image_name"], dtype=object)
        return names
    return np.full(len(columns["start_time"]), np.nan, dtype=object)


def _is(values: Any, truth: bool) -> NDArray[np.bool_]:
    """Return where truth values of any kind are known to be ``truth``."""
    return np.array([not pd.isna(each) and bool(each) is truth for each in values], dtype=bool)


def _add_changes(columns: Columns) -> None:
    """Work out which presentations are changes, and how long ago the last one was."""
    names = _image_names(columns)
    omitted = columns.get("omitted", np.zeros(len(names), dtype=bool))
    changes = find_changes(names, _is(omitted, False))
    columns["is_change"] = changes
    columns["flashes_since_change"] = flashes_since_change(changes, _is(omitted, True) | (names == "omitted"))


def _add_trials(columns: Columns, trials: pd.DataFrame) -> None:
    """Add what the file does not say of the trial that each presentation is in."""
    names = _image_names(columns)
    has_image = ~pd.isna(names)
    start = columns["start_time"]
    block = columns.get("stimulus_block")
    began, ended = trials["start_time"].to_numpy(), trials["stop_time"].to_numpy()
    if "active" not in columns:
        columns["active"] = find_active(start, has_image, block, began, ended)
    active = _is(columns["active"], True)
    if "trials_id" not in columns:
        found = find_trials(start, has_image, trials.index.to_numpy(), began, ended)
        columns["trials_id"] = found if block is None else copy_to_replays(found, names, block, active)
    if "is_sham_change" not in columns and block is not None and "start_frame" in columns:
        seen = trials.index.isin(columns["trials_id"])
        sham = trials["change_frame"].to_numpy()[seen & trials["catch"].to_numpy(dtype=bool)]
        columns["is_sham_change"] = copy_to_replays(
            np.isin(columns["start_frame"], sham), names, block, active
        )
