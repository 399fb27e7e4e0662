"""Deliveries of water: when the solenoid opened, or when the script said that it should."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.nwb_tables import dynamic_table, events
from project_cache.errors import ComponentUnavailable, MissingDataError

if TYPE_CHECKING:
    from ndx_events import Events
    from pynwb.core import DynamicTable

    from project_cache.build.clock import SessionClock
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["delivery_frames", "pulses", "reward_table", "rewards", "rewards_details", "solenoid_openings"]

#: since when sync has recorded the solenoid's line
SOLENOID_RECORDED_SINCE = date(2024, 4, 1)
#: how long after the script's word the solenoid may open, s
_SOLENOID_DELAY = 0.05

_DESCRIPTIONS = {
    "timestamps": "when water was delivered (s)",
    "duration": "how long the solenoid was open (s)",
    "is_solenoid_time": "the time is that of the solenoid's line; otherwise that of the video frame after which the "
    "script asked for water",
    "is_manual": "the experimenter asked for it",
}


def delivery_frames(stimulus: StimulusFile) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the frames at which a script gave water, in order, and which of them were asked for by hand.

    The script notes a reward by hand both with all rewards and by itself; it is one delivery, and listed once.
    """
    given, manual = (
        np.asarray(stimulus.get(name, []), np.float64).reshape(-1)
        for name in ("rewardFrames", "manualRewardFrames")
    )
    frames = np.unique(
        np.concatenate([given[np.isfinite(given)], manual[np.isfinite(manual)]]).astype(np.int64)
    )
    return frames, np.isin(frames, manual)


def reward_table(raw: RawRecording, clock: SessionClock) -> pd.DataFrame:
    """Return every delivery of water in the session, in time order.

    Returns
    -------
    pandas.DataFrame
        ``timestamps`` (s), ``duration`` (s; NaN unless the solenoid was recorded), ``is_solenoid_time``,
        ``is_manual``.
    """
    if raw.layout == "tables":
        raise ComponentUnavailable(
            f"{raw.id} has tables only: its rewards are the reward_time of its trials."
        )
    times: list[npt.NDArray[np.float64]] = [np.zeros(0)]
    by_hand: list[npt.NDArray[np.bool_]] = [np.zeros(0, np.bool_)]
    for stimulus in clock.usable:
        if "Mapping" in stimulus.script or "Tagging" in stimulus.script:
            continue
        frames, manual = delivery_frames(stimulus)
        times.append(clock.frames(stimulus).at("flip", frames))
        by_hand.append(manual)
    scripted, hand = np.concatenate(times), np.concatenate(by_hand)
    opened, duration = solenoid_openings(raw, clock)
    if len(opened):
        asked = scripted[hand][:, None]
        delay = opened[None, :] - asked
        is_manual = (np.abs(delay) < _SOLENOID_DELAY).any(axis=0)
        return pd.DataFrame(
            {"timestamps": opened, "duration": duration, "is_solenoid_time": True, "is_manual": is_manual}
        )
    known = np.isfinite(scripted)
    order = np.argsort(scripted[known], kind="stable")
    return pd.DataFrame(
        {
            "timestamps": scripted[known][order],
            "duration": np.nan,
            "is_solenoid_time": False,
            "is_manual": hand[known][order],
        }
    )


def solenoid_openings(
    raw: RawRecording, clock: SessionClock
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return when the solenoid opened and for how long (s); nothing where its line was not recorded."""
    nothing = np.zeros(0), np.zeros(0)
    if raw.sync is None or clock.start_time.date() < SOLENOID_RECORDED_SINCE:
        return nothing
    try:
        return pulses(raw.sync.rising("reward"), raw.sync.falling("reward"))
    except MissingDataError:
        return nothing


def pulses(
    rising: npt.NDArray[np.float64], falling: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the rising edges and how long the line stayed high after each (s; NaN if it never fell)."""
    following = np.append(falling, np.nan)[np.searchsorted(falling, rising)]
    return rising, following - rising


def _need_any(table: pd.DataFrame) -> None:
    if table.empty:
        raise ComponentUnavailable("No reward was given in this session.")


def rewards(reward_table: pd.DataFrame) -> Events:
    """Return when water was delivered, as Events."""
    _need_any(reward_table)
    text = (
        "openings of the reward solenoid"
        if reward_table["is_solenoid_time"].all()
        else "video frames after which the script asked for water"
    )
    return events("rewards", f"deliveries of water, earned or not: {text}", reward_table["timestamps"])


def rewards_details(reward_table: pd.DataFrame) -> DynamicTable:
    """Return what is known of each of the `rewards`, row by row."""
    _need_any(reward_table)
    return dynamic_table(
        "rewards_details", "one row for each of the events in `rewards`", reward_table, _DESCRIPTIONS
    )
