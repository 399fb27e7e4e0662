"""Eye tracking of the behaviour projects: ellipses fitted to eye, pupil and corneal reflection; the rig."""

from __future__ import annotations

from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.analysis.blinks import likely_blinks
from project_cache.nwb.arrays import as_text, read
from project_cache.nwb.links import find_group, need_dataset, need_group
from project_cache.nwb.series import series_data, series_times
from project_cache.nwb.table import frame

__all__ = ["Coordinates", "read_eye_tracking", "read_rig_geometry"]

#: what the file calls each ellipse, and the columns begin with
_ELLIPSES = {"corneal_reflection_tracking": "cr", "eye_tracking": "eye", "pupil_tracking": "pupil"}
_COLUMNS = (
    "timestamps", "cr_area", "eye_area", "pupil_area", "likely_blink", "pupil_area_raw", "cr_area_raw",
    "eye_area_raw", "cr_center_x", "cr_center_y", "cr_width", "cr_height", "cr_phi", "eye_center_x",
    "eye_center_y", "eye_width", "eye_height", "eye_phi", "pupil_center_x", "pupil_center_y", "pupil_width",
    "pupil_height", "pupil_phi",
)  # fmt: skip
#: unknown in a blink
_NOT_IN_BLINKS = (
    "cr_area", "eye_area", "eye_height", "eye_phi", "eye_width", "pupil_area", "pupil_height", "pupil_phi",
    "pupil_width",
)  # fmt: skip
_RIG = "processing/eye_tracking_rig_metadata/eye_tracking_rig_metadata"
#: what AllenSDK calls each place, and the file does
_PLACES = {
    "camera_position_mm": "camera_position",
    "camera_rotation_deg": "camera_rotation",
    "led_position": "led_position",
    "monitor_position_mm": "monitor_position",
    "monitor_rotation_deg": "monitor_rotation",
}


class Coordinates(NamedTuple):
    """A place (mm), or a rotation (degrees), of three axes."""

    x: float
    y: float
    z: float


def read_eye_tracking(handle: h5py.File, z_threshold: float, dilation_frames: int) -> pd.DataFrame:
    """Return the ellipses by ``frame`` of the video: positions and half-axes in px, areas in px², angles in rad.

    Parameters
    ----------
    handle : h5py.File
        The file.
    z_threshold, dilation_frames : float, int
        Which frames are blinks, as of :func:`project_cache.analysis.blinks.likely_blinks`. They are worked
        out from the raw areas: what the file says of blinks is not used.

    Returns
    -------
    pandas.DataFrame
        Empty, with the same columns, where the eye was not tracked.
    """
    tracking = find_group(handle, "acquisition/EyeTracking")
    if tracking is None:
        nothing = frame({name: np.empty(0) for name in _COLUMNS})
        nothing.index = pd.Index([], dtype=object, name="frame")
        return nothing
    found = {"timestamps": series_times(need_group(tracking, "eye_tracking"))}
    for name, short in _ELLIPSES.items():
        ellipse = need_group(tracking, name)
        center = series_data(ellipse)
        found[f"{short}_center_x"], found[f"{short}_center_y"] = center[:, 0], center[:, 1]
        found[f"{short}_area_raw"] = read(need_dataset(ellipse, "area_raw"))
        found[f"{short}_area"] = found[f"{short}_area_raw"].copy()
        for column, stored in (("width", "width"), ("height", "height"), ("phi", "angle")):
            found[f"{short}_{column}"] = read(need_dataset(ellipse, stored))
    blinks = likely_blinks(found["eye_area_raw"], found["pupil_area_raw"], z_threshold, dilation_frames)
    for name in _NOT_IN_BLINKS:
        found[name][blinks] = np.nan
    columns: dict[str, NDArray[Any]] = {"likely_blink": blinks, **found}
    table = frame({name: columns[name] for name in _COLUMNS})
    table.index.name = "frame"
    return table


def read_rig_geometry(handle: h5py.File) -> dict[str, Coordinates | str | None]:
    """Return where camera, light and monitor stood (mm, degrees), and the rig's name; empty if the file does not say."""
    group = find_group(handle, _RIG)
    if group is None:
        return {}
    geometry: dict[str, Coordinates | str | None] = {
        name: Coordinates(*read(need_dataset(group, stored)).astype(float).tolist())
        for name, stored in _PLACES.items()
    }
    geometry["equipment"] = as_text(group.attrs.get("equipment"))
    return dict(sorted(geometry.items()))
