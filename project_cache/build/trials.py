"""The trials of the behavior task: one row each, from the task's file and the clock, or from stored tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from project_cache.build import optogenetic_trials, trial_columns
from project_cache.build.invalid_times import valid_rows
from project_cache.build.licks import lick_edges
from project_cache.build.nwb_tables import time_intervals, without_empty_columns
from project_cache.build.rewards import delivery_frames, solenoid_openings
from project_cache.build.task import stored_table, task_file
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from pynwb.epoch import TimeIntervals

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["task_trials", "trials", "trials_table"]

_OPTO_TIMES = ["opto_start_time", "opto_stop_time"]


def trials_table(raw: RawRecording, clock: SessionClock, options: Options) -> pd.DataFrame:
    """Return the trials of the task, without those that overlap invalid times.

    Returns
    -------
    pandas.DataFrame
        One row a trial (several, if light went to several places), times in seconds. The columns are those of
        `trial_columns.DESCRIPTIONS` and, where light was used, of `optogenetic_trials.DESCRIPTIONS`; a column of
        times or numbers that has none is left out.

    Raises
    ------
    ComponentUnavailable
        There is no task file with frame times, it has no completed trial, or none of them is valid.
    """
    if raw.layout == "tables":
        table = stored_table(raw, "trials")
    else:
        task = task_file(raw, clock)
        if not task.n_trials:
            raise ComponentUnavailable(f"No trial was completed in {task.stem}.")
        table = task_trials(task, raw, clock)
    table = valid_rows(table, raw, clock, options)
    if table.empty:
        raise ComponentUnavailable(f"All trials of {raw.id} overlap invalid times.")
    return table


def task_trials(task: StimulusFile, raw: RawRecording, clock: SessionClock) -> pd.DataFrame:
    """Return all completed trials of a task file (see `trials_table`)."""
    frames = clock.frames(task)
    labels = trial_columns.trial_labels(task)
    try:
        licks = lick_edges(raw)[0]
    except ComponentUnavailable:
        licks = None
    rewards = solenoid_openings(raw, clock)[0]
    if not len(rewards):
        given, by_hand = delivery_frames(task)
        rewards = frames.at("flip", given[~by_hand])
    times = trial_columns.trial_times(
        task, labels, frames, _sounds(task, labels, clock), licks=licks, rewards=rewards[np.isfinite(rewards)]
    )
    table = pd.concat([times, labels], axis=1)
    table["is_opto"] = False
    table["is_task_control_correct"] = (
        table["response_time"].isna() == table["task_control_response_time"].isna()
    )
    if optogenetic_trials.has_light(task):
        table = _with_light(table, optogenetic_trials.light(task, *clock.opto(task)))
    return without_empty_columns(table)


def _sounds(
    task: StimulusFile, labels: pd.DataFrame, clock: SessionClock
) -> tuple[trial_columns.Times, trial_columns.Times]:
    """On- and offset of each trial's sound, NaN where none was played."""
    onset, offset = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    played = labels["is_aud_stim"].to_numpy()
    if played.any():
        start = np.asarray(task.trial("trialStimStartFrame"), np.float64)[played]
        duration = np.asarray(task.trial("trialSoundDur"), np.float64)[played]
        onset[played], offset[played] = clock.sounds(task, start, duration)
    return onset, offset


def _with_light(table: pd.DataFrame, light: pd.DataFrame) -> pd.DataFrame:
    """The trials, repeated for each place that light went to, with the columns that say where."""
    rows = table.iloc[light["trial"]].reset_index(drop=True)
    rows = rows.assign(is_opto=light["opto_start_time"].notna(), **light.drop(columns="trial"))
    # times with the other times, what there was with the other labels, flags with the other flags
    order = [str(name) for name in table]
    names = [str(name) for name in light if str(name).startswith("opto_")]
    what = [name for name in names if name not in _OPTO_TIMES]
    order[order.index("is_response") : order.index("is_response")] = what
    order[order.index("stim_name") : order.index("stim_name")] = _OPTO_TIMES
    order.insert(order.index("is_opto") + 1, "is_single_opto_location")
    return rows[order]


def trials(raw: RawRecording, trials_table: pd.DataFrame) -> TimeIntervals:
    """Return the trials of the task as TimeIntervals."""
    descriptions = {**trial_columns.DESCRIPTIONS, **optogenetic_trials.DESCRIPTIONS}
    if raw.layout == "tables":
        descriptions |= raw.table_descriptions.get("trials", {})
    return time_intervals(
        "trials", "trials of the visual/auditory dynamic routing task", trials_table, descriptions
    )
