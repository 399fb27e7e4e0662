"""The trials as they were shown, with their true times, and what of them the units answer to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from project_cache.testing.rig.population import Drive
from project_cache.testing.rig.timeline import Floats, Stimulus

__all__ = ["drives", "presentations", "trials"]


def trials(stimulus: Stimulus) -> pd.DataFrame:
    """Return the task's finished trials with their true times (s)."""
    frames = stimulus.frames
    table = pd.DataFrame(list(stimulus.script.trials))
    onset = table["stim_frame"].to_numpy(np.float64)
    sound = np.isfinite(stimulus.sound_on)
    shown_at = frames.shown_at(onset)
    # nothing is shown in a catch trial, for no time
    shown_frames = np.where(table["stim_name"] == "catch", 0, 30)
    return table.assign(
        start_time=frames.at(onset - 90),
        quiescent_stop_time=frames.read_at(onset - 1),
        stop_time=frames.at(table["end_frame"]),
        stim_start_time=np.where(sound, stimulus.sound_on, shown_at),
        stim_stop_time=np.where(sound, stimulus.sound_off, frames.shown_at(onset + shown_frames)),
        response_window_start_time=frames.read_at(onset + 6),
        response_window_stop_time=frames.at(onset + 60),
        task_control_response_time=frames.read_at(table["response_frame"]),
        reward_time=frames.at(table["reward_frame"]),
        opto_start_time=stimulus.opto_on,
        opto_stop_time=stimulus.opto_off,
    )


def presentations(stimulus: Stimulus) -> pd.DataFrame:
    """Return the trials of a mapping stimulus with their true times (s)."""
    frames = stimulus.frames
    table = pd.DataFrame(list(stimulus.script.trials))
    start = table["stim_frame"].to_numpy(np.float64)
    if "stim_frames" in table:
        stop = start + table["stim_frames"].to_numpy(np.float64)
        table["stim_start_time"] = frames.shown_at(start)
        table["stim_stop_time"] = frames.shown_at(stop)
    if len(stimulus.sound_on):
        table["sound_start_time"] = stimulus.sound_on
        table["sound_stop_time"] = stimulus.sound_off
    if len(stimulus.opto_on):
        table["stim_start_time"] = stimulus.opto_on
        table["stim_stop_time"] = stimulus.opto_off
    return table


def drives(stimuli: Sequence[Stimulus], probes: str) -> list[Drive]:
    """Return what of the stimuli the units answer to."""
    made: list[Drive] = []

    def add(kind: str, times: Floats, seconds: Any, letter: str | None = None, **where: Any) -> None:
        keep = np.isfinite(times)
        n = len(times)
        spread = {
            key: np.broadcast_to(np.asarray(where.get(key, default), np.float64), n)[keep]
            for key, default in (("x", np.nan), ("y", np.nan), ("strength", 1.0))
        }
        made.append(
            Drive(
                kind,
                times[keep],
                np.broadcast_to(np.asarray(seconds, np.float64), n)[keep],
                letter=letter,
                **spread,
            )
        )

    for stimulus in stimuli:
        script = stimulus.script
        table = pd.DataFrame(list(script.trials))
        if len(stimulus.sound_on):
            add("aud", stimulus.sound_on, script.sound_seconds)
        if script.name == "DynamicRouting1":
            seen = table["stim_name"].str.startswith("vis")
            # what pays is answered to more strongly
            strength = np.where(table["rewarded_modality"] == "vis", 1.0, 0.75)[seen]
            times = stimulus.frames.shown_at(table["stim_frame"][seen])
            add("vis", times, 0.5, strength=strength)
        elif script.name == "RFMapping":
            times = stimulus.frames.shown_at(table["stim_frame"])
            grating = np.isfinite(table["grating_x"].to_numpy(np.float64))
            flash = np.abs(table["flash_contrast"].to_numpy(np.float64)) > 0.5
            add("vis", times[grating], 0.25, x=table["grating_x"][grating], y=table["grating_y"][grating])
            add("vis", times[flash], 0.25, strength=0.5)
        elif script.name == "OptoTagging":
            for letter in probes:
                here = (table["location"] == f"probe{letter}").to_numpy()
                add("opto", stimulus.opto_on[here], script.opto_seconds[here], letter)
    return made
