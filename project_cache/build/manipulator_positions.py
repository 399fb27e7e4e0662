"""Where the manipulators stood that held the probes, when the recording began."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from project_cache.build.probes import group_name, probe_letters
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from hdmf.common import DynamicTable

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording

__all__ = ["last_positions", "manipulator_positions"]

#: which manipulator holds which probe on the rig NP.3, by the rig's description in aind-metadata-mapper (MIT)
LETTERS: Mapping[str, str] = {
    "SN40906": "A",
    "SN40908": "B",
    "SN40907": "C",
    "SN41084": "D",
    "SN40903": "E",
    "SN40902": "F",
}
#: µm: how far the z axis of manipulators travels
TRAVELS = (15000.0, 6000.0)

_COLUMNS = {
    "electrode_group_name": "Name of the probe's electrode group; empty where it is not known which probe it held.",
    "device_name": "Name of the manipulator: its serial number.",
    "x": "Position on the manipulator's x axis, in micrometers.",
    "y": "Position on the manipulator's y axis, in micrometers.",
    "z": "Position on the manipulator's z axis, in micrometers; 0 is fully retracted.",
    "last_movement_time": "When it last moved, in seconds from the start of the ephys recording: negative.",
}


def last_positions(log: pd.DataFrame, start: datetime) -> pd.DataFrame:
    """Return where each manipulator stood at a time, and since when.

    Some manipulators count z from the far end. Where a day's log has more rows at the far end of the travel than
    at 0 it is the far end that they were parked at, and z is turned over.

    Parameters
    ----------
    log : pandas.DataFrame
        ``time`` (naive), ``device_name``, ``x``, ``y``, ``z`` (µm), by time.
    start : datetime.datetime
        When the recording began, naive and of the same clock.

    Returns
    -------
    pandas.DataFrame
        ``device_name``, ``x``, ``y``, ``z``, ``last_movement_time`` (s, negative), by name. Manipulators that the
        log does not have before the start are left out.
    """
    rows = []
    for name, moves in log.groupby("device_name", sort=True):
        before = moves[moves["time"] < start]
        if before.empty:
            continue
        last = before.iloc[-1]
        near = (moves.loc[moves["time"].dt.date == start.date(), "z"] / 100).round() * 100
        z = float(last["z"])
        for travel in TRAVELS:
            if (near == travel).sum() > (near == 0).sum():
                z = travel - z
                break
        since = (last["time"] - pd.Timestamp(start)).total_seconds()
        rows.append((str(name), float(last["x"]), float(last["y"]), z, since))
    return pd.DataFrame(rows, columns=["device_name", "x", "y", "z", "last_movement_time"])


def manipulator_positions(
    raw: RawRecording, clock: SessionClock, options: Options, is_surface_channels: bool = False
) -> DynamicTable:
    """Return ``manipulator_positions``: where each manipulator stood when the recording began.

    Which probe a manipulator held is known for one rig; for others `Options.given` can say it:
    ``manipulators={"SN32148": "A"}``.

    Raises
    ------
    ComponentUnavailable
        There is no log, or it begins after the recording.
    """
    from project_cache.build.nwb_tables import dynamic_table

    if raw.manipulators is None:
        raise ComponentUnavailable(f"{raw.root} has no log of manipulators.")
    # the log tells local time, as the settings of the recording do
    start = raw.ephys.start_time if raw.ephys is not None else None
    frame = last_positions(raw.manipulators, start or clock.start_time.replace(tzinfo=None))
    letters = {**LETTERS, **options.given.get("manipulators", {})}
    held = frame["device_name"].map(letters)
    if raw.is_ephys:
        used = probe_letters(raw, options, is_surface_channels)
        frame, held = frame[held.isna() | held.isin(used)], held[held.isna() | held.isin(used)]
    if frame.empty:
        raise ComponentUnavailable(f"{raw.newscale_log_path} has no position before the recording began.")
    named = [group_name(letter) if isinstance(letter, str) else "" for letter in held]
    frame = frame.assign(electrode_group_name=np.array(named, dtype=object))
    return dynamic_table(
        "manipulator_positions",
        "Where the manipulators stood that held the probes, when the recording began.",
        frame[list(_COLUMNS)].reset_index(drop=True),
        _COLUMNS,
    )
