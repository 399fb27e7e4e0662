"""The rig, and the wheel on it: geometry and running speed."""

from __future__ import annotations

import h5py
import pandas as pd

from project_cache.nwb.arrays import as_text, read
from project_cache.nwb.links import find_group, need_dataset, need_group
from project_cache.nwb.series import series_data, series_times
from project_cache.nwb.table import frame

__all__ = ["read_rig", "read_running_speed"]

_RIG = "processing/eye_tracking_rig_metadata/eye_tracking_rig_metadata"
_PLACES = ("monitor_position", "camera_position", "led_position", "monitor_rotation", "camera_rotation")


def read_rig(handle: h5py.File) -> tuple[pd.DataFrame, str | None] | None:
    """Return where monitor, camera and light stood, and the name of the rig; None if the file does not say.

    The frame has a row for each axis (x, y, z), and the units in the names of its columns.
    """
    group = find_group(handle, _RIG)
    if group is None:
        return None
    columns = {}
    for name in _PLACES:
        place = need_dataset(group, name)
        columns[f"{name}_{as_text(place.attrs.get('unit'))}"] = read(place)
    geometry = frame(columns)
    geometry.index = pd.Index(["x", "y", "z"], dtype=object)
    return geometry, as_text(group.attrs.get("equipment"))


def read_running_speed(handle: h5py.File) -> pd.DataFrame:
    """Return the running speed: start_time, end_time (s), velocity (cm/s)."""
    speed = need_group(handle, "processing/running/running_speed")
    # a series whose data are NaN: the writer keeps the end times as its timestamps
    ends = need_group(handle, "processing/running/running_speed_end_times")
    return frame(
        {
            "start_time": series_times(speed),
            "end_time": series_times(ends),
            "velocity": series_data(speed),
        }
    )
