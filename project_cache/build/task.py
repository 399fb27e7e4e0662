"""The stimulus files that components are made from: those that are there, with times that can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    import pandas as pd

    from project_cache.build.clock import SessionClock
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["files_of", "stored_table", "task_file"]


def task_file(raw: RawRecording, clock: SessionClock) -> StimulusFile:
    """Return the task's stimulus file.

    Raises
    ------
    ComponentUnavailable
        There is none, it cannot be read, or its frames could not be placed in time; the text says which.
    """
    if raw.layout == "tables":
        raise ComponentUnavailable(f"{raw.id} has tables only: no stimulus file lies with them.")
    task = raw.task
    if task is None:
        broken = [
            f"{stem} ({error})" for stem, error in raw.stimulus_errors.items() if "DynamicRouting" in stem
        ]
        why = f"cannot be read: {'; '.join(broken)}" if broken else "is missing"
        raise ComponentUnavailable(f"The task's stimulus file of {raw.id} (DynamicRouting1_….hdf5) {why}.")
    if task.stem in clock.issues:
        raise ComponentUnavailable(f"The frames of {task.stem} have no times: {clock.issues[task.stem]}")
    return task


def files_of(raw: RawRecording, clock: SessionClock, script: str) -> list[StimulusFile]:
    """Return the files of a script (``"RFMapping"``) in time order.

    Raises
    ------
    ComponentUnavailable
        There are none whose frames have times; the text says why.
    """
    if raw.layout == "tables":
        raise ComponentUnavailable(f"{raw.id} has tables only: no stimulus file lies with them.")
    found = [stimulus for stimulus in clock.usable if stimulus.script == script]
    if found:
        return found
    reasons = [f"{stem}: {why}" for stem, why in clock.issues.items() if stem.startswith(script)]
    reasons += [f"{stem}: {error}" for stem, error in raw.stimulus_errors.items() if stem.startswith(script)]
    if reasons:
        raise ComponentUnavailable(f"No {script} file of {raw.id} has times. {'; '.join(reasons)}")
    if not clock.has_sync and any(stimulus.script == script for stimulus in raw.stimuli):
        raise ComponentUnavailable(
            f"{raw.id} has no sync file, without which its {script} file cannot be placed in time."
        )
    raise ComponentUnavailable(f"{raw.id} has no {script} file.")


def stored_table(raw: RawRecording, name: str) -> pd.DataFrame:
    """Return a copy of a table of a session that is only tables.

    Raises
    ------
    ComponentUnavailable
        It has no such table.
    """
    if name not in raw.tables:
        raise ComponentUnavailable(
            f"{raw.id} has no table of {name}. It has: {', '.join(sorted(raw.tables))}."
        )
    return raw.tables[name].copy()
