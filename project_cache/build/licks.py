"""Licks: contacts with the lick sensor, from its sync line or from the frames at which the script saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.nwb_tables import dynamic_table, events
from project_cache.build.rewards import pulses
from project_cache.errors import ComponentUnavailable, MissingDataError

if TYPE_CHECKING:
    from ndx_events import Events
    from pynwb.core import DynamicTable

    from project_cache.build.clock import FrameTimes, SessionClock
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = [
    "lick_edges",
    "lick_sensor_falling_edges",
    "lick_sensor_rising_edges",
    "lick_table",
    "licks",
    "licks_details",
    "scripted_licks",
]

#: a tongue does not touch for longer, s; what does is a paw, or a drop on the spout
LONGEST_LICK = 0.5
#: frames further apart than this are of two licks, s
_SAME_LICK = 0.05

_DESCRIPTIONS = {
    "timestamps": "start of the contact with the lick sensor (s)",
    "duration": "length of the contact (s)",
    "is_likely_lick": f"the contact was no longer than {LONGEST_LICK} s; longer ones are of a paw, or of water",
}


def lick_edges(raw: RawRecording) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the lick sensor's rising and falling edges (s).

    Raises
    ------
    ComponentUnavailable
        There is no sync file, or its lick line never changed.
    """
    if raw.sync is None:
        raise ComponentUnavailable(f"{raw.id} has no sync file, and so no edges of the lick sensor.")
    try:
        rising, falling = raw.sync.rising("lick_sensor"), raw.sync.falling("lick_sensor")
    except MissingDataError as error:
        raise ComponentUnavailable(str(error)) from error
    if not len(rising):
        raise ComponentUnavailable(f"The lick sensor's line never went up in the sync file of {raw.id}.")
    return rising, falling


def scripted_licks(stimulus: StimulusFile, frames: FrameTimes) -> npt.NDArray[np.float64]:
    """Return when licks began (s) by the frames at which a script saw the lick line high.

    Parameters
    ----------
    stimulus : StimulusFile
        Older versions list every such frame, newer ones the first of each lick. A lick begins at a listed frame
        whose flip is more than 0.05 s after that of the one listed before.
    frames : FrameTimes
        The times of its frames; a lick's is that at which the frame's inputs were read.
    """
    seen = np.asarray(stimulus.get("lickFrames", []), np.float64).reshape(-1)
    spacing = np.diff(frames.at("flip", seen), prepend=-np.inf)
    times = frames.at("input", seen)
    new: npt.NDArray[np.bool_] = (spacing > _SAME_LICK) & np.isfinite(times)
    return times[new]


def lick_table(raw: RawRecording, clock: SessionClock) -> pd.DataFrame:
    """Return every contact with the lick sensor, in time order.

    Returns
    -------
    pandas.DataFrame
        ``timestamps`` (s) and, where the sensor's line was recorded, ``duration`` (s; NaN if it never
        fell) and ``is_likely_lick``.
    """
    if raw.layout == "tables":
        raise ComponentUnavailable(
            f"{raw.id} has tables only, and no licks but the response_time of its trials."
        )
    try:
        rising, falling = lick_edges(raw)
    except ComponentUnavailable as error:
        seen = [scripted_licks(stimulus, clock.frames(stimulus)) for stimulus in clock.usable]
        times = np.sort(np.concatenate([np.zeros(0), *seen]))
        if not len(times):
            raise ComponentUnavailable(f"{error} No stimulus file with frame times lists licks.") from error
        return pd.DataFrame({"timestamps": times})
    timestamps, duration = pulses(rising, falling)
    return pd.DataFrame(
        {"timestamps": timestamps, "duration": duration, "is_likely_lick": duration <= LONGEST_LICK}
    )


def licks(lick_table: pd.DataFrame) -> Events:
    """Return when the subject touched the lick sensor, as Events."""
    source = (
        "rising edges of its sync line" if "duration" in lick_table else "frames at which the script saw it"
    )
    return events("licks", f"starts of contacts with the lick sensor ({source})", lick_table["timestamps"])


def licks_details(lick_table: pd.DataFrame) -> DynamicTable:
    """Return what is known of each of the `licks`, row by row."""
    if "duration" not in lick_table:
        raise ComponentUnavailable(
            "The lick sensor's line was not recorded: nothing but times is known of licks."
        )
    return dynamic_table(
        "licks_details", "one row for each of the events in `licks`", lick_table, _DESCRIPTIONS
    )


def lick_sensor_rising_edges(raw: RawRecording) -> Events:
    """Return when the lick sensor's line went up (s), as Events."""
    return events(
        "lick_sensor_rising_edges",
        "rising edges of the lick sensor's line: a contact began",
        lick_edges(raw)[0],
    )


def lick_sensor_falling_edges(raw: RawRecording) -> Events:
    """Return when the lick sensor's line went down (s), as Events."""
    falling = lick_edges(raw)[1]
    if not len(falling):
        raise ComponentUnavailable(f"The lick sensor's line never went down in the sync file of {raw.id}.")
    return events(
        "lick_sensor_falling_edges", "falling edges of the lick sensor's line: a contact ended", falling
    )
