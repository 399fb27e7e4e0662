"""Epochs: which stimulus script ran when, what kind of epoch that made, and which tables have its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from project_cache.build.invalid_times import invalid_intervals, overlapping, recording_stop
from project_cache.build.nwb_tables import time_intervals
from project_cache.build.optogenetic_trials import has_light
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from pynwb.epoch import TimeIntervals

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["epochs", "epochs_table"]

#: the tables that hold the trials of a script
_INTERVALS = {
    "DynamicRouting1": ["trials", "performance"],
    "RFMapping": ["vis_rf_mapping_trials", "aud_rf_mapping_trials"],
    "OptoTagging": ["optotagging_trials"],
    "LuminanceTest": ["luminance_test_trials"],
}
_DESCRIPTIONS = {
    "start_time": "first frame of the script that was seen (s)",
    "stop_time": "last frame of the script that was seen (s)",
    "script_name": "the class of the script (of the TaskControl family) that ran",
    "tags": "what kind of epoch it was",
    "interval_names": "the tables of intervals that hold its trials",
    "notes": "what else is known of it",
}


def epochs_table(
    raw: RawRecording, clock: SessionClock, options: Options, is_wildtype: bool = True
) -> pd.DataFrame:
    """Return the epochs of a session by their start.

    Returns
    -------
    pandas.DataFrame
        ``start_time``, ``stop_time`` (s; by the screen, or without sync by the script), ``script_name``,
        ``tags`` and ``interval_names`` (lists of str), ``notes``. Scripts without frame times are left out.
    """
    rows = _stored(raw) if raw.layout == "tables" else _scripted(clock, is_wildtype)
    if not rows:
        why = "; ".join(f"{stem}: {issue}" for stem, issue in clock.issues.items())
        raise ComponentUnavailable(f"{raw.id} has no stimulus file with frame times. {why}".strip())
    table = pd.DataFrame(rows).sort_values("start_time", kind="stable").reset_index(drop=True)
    table["notes"] = ""
    if options.invalid_times:
        invalid = invalid_intervals(options.invalid_times, recording_stop(raw, clock))
        for row, epoch in table.iterrows():
            bad = overlapping(invalid["start_time"], invalid["stop_time"], pd.DataFrame([epoch]))
            if bad.any():
                epoch["tags"].append("invalid_times")
                reasons = ", ".join(reason for reason in invalid["reason"][bad] if reason)
                note = "includes invalid times"
                table.loc[row, "notes"] = f"{note}: {reasons}" if reasons else note
    return table


def epochs(
    raw: RawRecording, clock: SessionClock, options: Options, is_wildtype: bool = True
) -> TimeIntervals:
    """Return the epochs of a session as TimeIntervals."""
    return time_intervals(
        "epochs",
        "the scripts that ran in the session, each with the tables of its trials",
        epochs_table(raw, clock, options, is_wildtype),
        _DESCRIPTIONS,
    )


def _scripted(clock: SessionClock, is_wildtype: bool) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for stimulus in clock.usable:
        if clock.has_sync:
            frames = clock.frames(stimulus)
            seen = np.isfinite(frames.display)
            times = frames.display[seen] if seen.any() else frames.flip
            start, stop = float(times.min()), float(times.max())
        else:
            start, stop = 0.0, stimulus.duration
        rows.append(
            {
                "start_time": start,
                "stop_time": stop,
                "script_name": stimulus.script,
                "tags": _tags(stimulus, is_wildtype),
                "interval_names": list(_INTERVALS.get(stimulus.script, [])),
            }
        )
    return rows


def _stored(raw: RawRecording) -> list[dict[str, object]]:
    """The epochs of a session that is only tables: from the first to the last trial of each script."""
    kinds = {"DynamicRouting1": "task", "RFMapping": "mapping", "OptoTagging": "optotagging"}
    rows: list[dict[str, object]] = []
    for script, tag in kinds.items():
        tables = [raw.tables[name] for name in _INTERVALS[script] if name in raw.tables]
        if not tables:
            continue
        names = [name for name in _INTERVALS[script] if name in raw.tables or name == "performance"]
        rows.append(
            {
                "start_time": min(float(table["start_time"].min()) for table in tables),
                "stop_time": max(float(table["stop_time"].max()) for table in tables),
                "script_name": script,
                "tags": [tag],
                "interval_names": names,
            }
        )
    return rows


def _tags(stimulus: StimulusFile, is_wildtype: bool) -> list[str]:
    tags = []
    if stimulus.script == "DynamicRouting1":
        tags.append("task")
        if has_light(stimulus):
            # the opsin is not expressed: light has no effect but by itself
            tags.append("opto_control" if is_wildtype else "opto_perturbation")
    if "Spontaneous" in stimulus.script:
        tags.append("spontaneous")
    if stimulus.script == "RFMapping":
        tags.append("mapping")
    if stimulus.script == "OptoTagging":
        tags.append("optotagging_control" if is_wildtype else "optotagging")
    if np.any(stimulus.get("rewardFrames", [])):
        tags.append("rewards")
    return tags
