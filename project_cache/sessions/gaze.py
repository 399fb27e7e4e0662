"""Eye tracking: the ellipses that were fitted to eye, pupil and corneal reflection, and the gaze on the screen."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.nwb.links import find_group, need_group
from project_cache.nwb.series import series_data, series_times
from project_cache.nwb.table import frame, read_column

__all__ = ["read_pupil_data", "read_screen_gaze_data"]

_TRACKING = "processing/eye_tracking"
_ELLIPSES = {"corneal_reflection": "cr", "pupil": "pupil", "eye": "eye"}
_TIME = "Time (s)"


def read_pupil_data(handle: h5py.File) -> pd.DataFrame | None:
    """Return the ellipses by the time of their frame (``Time (s)``); None if there was no eye tracking.

    Each of ``corneal_reflection``, ``pupil`` and ``eye`` has a centre (``_center_x``, ``_center_y``, in
    pixels), ``_height`` and ``_width`` (pixels, from edge to edge: the file has half of it) and ``_phi``.
    """
    tracking, mapping = find_group(handle, _TRACKING), find_group(handle, "processing/raw_gaze_mapping")
    if tracking is None or mapping is None:
        return None
    columns: dict[str, NDArray[Any]] = {}
    for what, short in _ELLIPSES.items():
        fits = need_group(tracking, f"{short}_ellipse_fits")
        for name, factor in (("center_x", 1), ("center_y", 1), ("height", 2), ("width", 2), ("phi", 1)):
            values = read_column(fits, name)
            columns[f"{what}_{name}"] = values if factor == 1 else factor * values
    return _by_time(columns, need_group(mapping, "eye_area"))


def read_screen_gaze_data(handle: h5py.File, *, filtered: bool) -> pd.DataFrame | None:
    """Return where on the screen the mouse looked, by ``Time (s)``; None if there was no eye tracking.

    Areas are in pixels squared, screen coordinates in cm and degrees. With ``filtered``, the columns
    ``filtered_…`` follow the columns ``raw_…``; in these, what is not to be trusted is NaN.
    """
    kinds = ("raw", "filtered")[: 2 if filtered else 1]
    groups = [find_group(handle, f"processing/{kind}_gaze_mapping") for kind in kinds]
    columns: dict[str, NDArray[Any]] = {}
    for kind, group in zip(kinds, groups, strict=True):
        if group is None:
            return None
        for name in ("eye_area", "pupil_area"):
            columns[f"{kind}_{name}"] = series_data(need_group(group, name))
        for name, unit in (("screen_coordinates", "cm"), ("screen_coordinates_spherical", "deg")):
            places = series_data(need_group(group, name))
            # the file has y before x
            columns[f"{kind}_{name}_x_{unit}"] = places[:, 1]
            columns[f"{kind}_{name}_y_{unit}"] = places[:, 0]
    return _by_time(columns, need_group(handle, "processing/raw_gaze_mapping/eye_area"))


def _by_time(columns: dict[str, NDArray[Any]], series: h5py.Group) -> pd.DataFrame:
    table = frame({name: np.ascontiguousarray(values) for name, values in columns.items()})
    table.index = pd.Index(series_times(series), name=_TIME)
    return table
