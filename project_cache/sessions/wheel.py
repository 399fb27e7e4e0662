"""The wheel's own recordings: how far it had turned, and the voltages that say so."""

from __future__ import annotations

import h5py
import pandas as pd

from project_cache.nwb.links import need_group
from project_cache.nwb.series import series_data, series_times
from project_cache.nwb.table import frame

__all__ = ["read_net_rotation", "read_raw_running_data"]


def read_net_rotation(handle: h5py.File) -> pd.Series[float]:
    """Return how far the wheel turned in each interval of ``running_speed``, in radians."""
    series = need_group(handle, "processing/running/running_wheel_rotation")
    return pd.Series(series_data(series), name="net_rotation")


def read_raw_running_data(handle: h5py.File) -> pd.DataFrame:
    """Return what was recorded of the wheel: frame_time (s), net_rotation (radians), signal_voltage, supply_voltage (V)."""
    rotation = need_group(handle, "acquisition/raw_running_wheel_rotation")
    return frame(
        {
            "frame_time": series_times(rotation),
            "net_rotation": series_data(rotation),
            "signal_voltage": series_data(need_group(handle, "acquisition/running_wheel_signal_voltage")),
            "supply_voltage": series_data(need_group(handle, "acquisition/running_wheel_supply_voltage")),
        }
    )
