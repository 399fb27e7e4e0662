"""TimeSeries: their data, and the time of each sample."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from project_cache.errors import MissingDataError
from project_cache.nwb.arrays import check, path_of, read
from project_cache.nwb.links import find_dataset, need_dataset

__all__ = ["series_data", "series_times"]


def series_data(series: h5py.Group) -> NDArray[Any]:
    """Return the samples of a series as they are stored, time first (see its ``conversion`` for units)."""
    return read(need_dataset(series, "data"))


def series_times(series: h5py.Group) -> NDArray[np.float64]:
    """Return the time of each sample, in seconds from the session's reference time.

    They are stored, or linked from another series, or follow from a starting time and a rate.
    """
    stored = find_dataset(series, "timestamps")
    if stored is not None:
        return read(stored).astype(np.float64, copy=False)
    start = find_dataset(series, "starting_time")
    if start is None or "rate" not in start.attrs:
        raise MissingDataError(f"{path_of(series)} says nothing of when its samples were taken.")
    data = need_dataset(series, "data")
    check(data)
    samples = (data.shape or (0,))[0]
    return np.float64(start[()]) + np.arange(samples) / float(start.attrs["rate"])
