"""Stretches of a recording that are not to be used, and the rows of tables that they take with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.nwb_tables import time_intervals
from project_cache.errors import ComponentUnavailable, ConfigurationError

if TYPE_CHECKING:
    from pynwb.epoch import TimeIntervals

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording

__all__ = ["invalid_intervals", "invalid_times", "overlapping", "recording_stop", "valid_rows"]

_DESCRIPTIONS = {
    "start_time": "start of the stretch (s)",
    "stop_time": "end of the stretch (s)",
    "reason": "why the data of this stretch are not to be used",
}


def invalid_intervals(given: Iterable[Mapping[str, Any]], stop: float) -> pd.DataFrame:
    """Return the invalid stretches as a frame: ``start_time``, ``stop_time`` (s) and ``reason``, by start.

    Parameters
    ----------
    given : iterable of mapping
        ``start_time``, ``stop_time`` and perhaps ``reason``; a stop of -1 or None stands for the end.
    stop : float
        The end of the recording, s.

    Raises
    ------
    ConfigurationError
        A stretch has no start, is no number, or ends before it starts.
    """
    rows = []
    for interval in given:
        try:
            start = float(interval["start_time"])
            end = interval.get("stop_time")
            end = stop if end is None or float(end) == -1 else float(end)
        except (KeyError, TypeError, ValueError):
            raise ConfigurationError(
                f"Invalid times need start_time and stop_time in seconds, not {dict(interval)!r}."
            ) from None
        if not start <= end:
            raise ConfigurationError(f"Invalid times {dict(interval)!r} end before they start.")
        rows.append((start, end, str(interval.get("reason") or "")))
    rows.sort()
    return pd.DataFrame(
        {
            "start_time": np.array([row[0] for row in rows], np.float64),
            "stop_time": np.array([row[1] for row in rows], np.float64),
            "reason": [row[2] for row in rows],
        }
    )


def overlapping(start: npt.ArrayLike, stop: npt.ArrayLike, intervals: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which of the stretches start…stop share more than an end with any of the intervals."""
    starts, stops = np.asarray(start, np.float64)[:, None], np.asarray(stop, np.float64)[:, None]
    first, last = intervals["start_time"].to_numpy(), intervals["stop_time"].to_numpy()
    found: npt.NDArray[np.bool_] = np.any((starts < last) & (stops > first), axis=1)
    return found


def valid_rows(frame: pd.DataFrame, raw: RawRecording, clock: SessionClock, options: Options) -> pd.DataFrame:
    """Return the rows of a table of intervals that overlap no invalid stretch."""
    if not options.invalid_times:
        return frame
    intervals = invalid_intervals(options.invalid_times, recording_stop(raw, clock))
    bad = overlapping(frame["start_time"], frame["stop_time"], intervals)
    return frame[~bad].reset_index(drop=True)


def recording_stop(raw: RawRecording, clock: SessionClock) -> float:
    """Return when the recording ends, s; of a session that is only tables, when the last row does."""
    if raw.layout != "tables":
        return float(clock.stop)
    return max(
        (float(table["stop_time"].max()) for table in raw.tables.values() if "stop_time" in table),
        default=0.0,
    )


def invalid_times(raw: RawRecording, clock: SessionClock, options: Options) -> TimeIntervals:
    """Return the stretches that are not to be used, as they were given."""
    if not options.invalid_times:
        raise ComponentUnavailable("No invalid times were given for this session.")
    return time_intervals(
        "invalid_times",
        "stretches of time that are not to be used; trials that overlap them are left out of the tables",
        invalid_intervals(options.invalid_times, recording_stop(raw, clock)),
        _DESCRIPTIONS,
    )
