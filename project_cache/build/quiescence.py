"""Licks in the quiescent interval, each of which made the wait for the stimulus longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from project_cache.build.nwb_tables import events
from project_cache.build.task import task_file
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from ndx_events import Events

    from project_cache.build.clock import SessionClock
    from project_cache.raw.recording import RawRecording

__all__ = ["quiescent_interval_violations"]


def quiescent_interval_violations(raw: RawRecording, clock: SessionClock) -> Events:
    """Return when the subject licked in the interval before a stimulus in which it should not (s)."""
    task = task_file(raw, clock)
    frames = np.unique(np.asarray(task.get("quiescentViolationFrames", []), np.float64))
    if not len(frames):
        raise ComponentUnavailable(f"{task.stem} lists no violations of the quiescent interval.")
    times = clock.frames(task).at("input", frames)
    return events(
        "quiescent_interval_violations",
        "times at which a lick within the quiescent interval before a stimulus made the interval start over, "
        "as the task script read its lick line (one for each video frame)",
        np.unique(times[np.isfinite(times)]),
    )
