"""When light was on: by the sync line of the laser that a trial used."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from project_cache.errors import MissingDataError
from project_cache.raw.stimulus import StimulusFile
from project_cache.raw.sync import SyncFile

__all__ = ["devices", "durations", "laser_line", "onset_frames", "switched_off"]

Floats = npt.NDArray[np.float64]

# line 10 was a camera's until then, and is still labelled so in many files
_LASER_633_SINCE = datetime.date(2024, 4, 19)


def onset_frames(stimulus: StimulusFile) -> Floats:
    """Return the frame at which each trial's light was asked for, NaN for trials without.

    In OptoTagging the file counts frames from the start, elsewhere from the trial's stimulus.

    Raises
    ------
    MissingDataError
        The file has no light.
    """
    frames = _first_of_each(stimulus, "trialOptoOnsetFrame")
    if stimulus.script == "OptoTagging" or "trialStimStartFrame" not in stimulus:
        return frames
    return frames + np.asarray(stimulus.trial("trialStimStartFrame"), np.float64)


def durations(stimulus: StimulusFile) -> tuple[Floats, Floats, Floats]:
    """Return how long each trial's light was asked for, how long it is on with both ramps, its delay, s."""
    nominal = duration = _first_of_each(stimulus, "trialOptoDur")
    for name, general in (("trialOptoOnRamp", "optoOnRamp"), ("trialOptoOffRamp", "optoOffRamp")):
        duration = duration + np.nan_to_num(_first_of_each(stimulus, name, general))
    return nominal, duration, np.nan_to_num(_first_of_each(stimulus, "trialOptoDelay", "optoDelay"))


def devices(stimulus: StimulusFile) -> list[str]:
    """Return the name of each trial's (first) light source: ``"laser_488"``; empty where it is not known."""
    if "trialOptoDevice" in stimulus:
        return [_first_name(value) for value in stimulus.trial("trialOptoDevice")]
    general = stimulus.get("optoDevName", stimulus.get("optoDev"))
    return [_first_name(general)] * stimulus.n_trials


def laser_line(device: str, sync: SyncFile, date: datetime.date) -> str | None:
    """Return the label of the sync line of a light source; None where none was recorded.

    A label in the file wins; a rig whose files do not label it has 488 nm lasers on line 11, and 633 nm ones on
    line 10 since 2024-04-19.
    """
    wavelength = re.search(r"488|633", device)
    if device and not wavelength:
        return None  # an LED has no line
    label = f"laser_{wavelength.group()}" if wavelength else "laser_488"
    if label not in sync.line_labels and label == "laser_633" and date < _LASER_633_SINCE:
        return None
    return label if sync.has(label) else None


def switched_off(falling: Floats, onsets: Floats, active: Floats) -> Floats:
    """Return when light that went on at `onsets` went off.

    That is the falling edge nearest to the planned end (a sine has one in each cycle), after the onset and
    before the next trial's; NaN where there is none.

    Parameters
    ----------
    falling : array
        Ascending, s.
    onsets, active : array, shape (n_trials,)
        When it went on and for how long it should have, s; NaN for trials without light.
    """
    planned = onsets + active
    if not len(falling):
        return np.full(len(onsets), np.nan)
    later = np.clip(np.searchsorted(falling, planned), 1, max(len(falling) - 1, 1))
    before, after = falling[later - 1], falling[np.minimum(later, len(falling) - 1)]
    nearest = np.where(np.abs(planned - before) <= np.abs(after - planned), before, after)
    lit = np.isfinite(onsets)
    until = np.full(len(onsets), np.inf)
    until[np.flatnonzero(lit)[:-1]] = onsets[lit][1:]
    return np.where(lit & (nearest > onsets) & (nearest < until), nearest, np.nan)


def _first_of_each(stimulus: StimulusFile, name: str, general: str | None = None) -> Floats:
    """A number for each trial: of the first device that has one, where there are several."""
    if name in stimulus:
        return np.array([_first_number(value) for value in stimulus.trial(name)])
    if general is not None:
        return np.full(stimulus.n_trials, _first_number(stimulus.get(general, np.nan)))
    if name == "trialOptoDelay":
        return np.zeros(stimulus.n_trials)
    raise MissingDataError(f"The stimulus file {stimulus.path} has no {name!r}: it used no light.")


def _first_number(value: Any) -> float:
    try:
        numbers = np.asarray(value, np.float64).reshape(-1)
    except (TypeError, ValueError):
        return float("nan")
    numbers = numbers[np.isfinite(numbers)]
    return float(numbers[0]) if len(numbers) else float("nan")


def _first_name(value: Any) -> str:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value if isinstance(value, str) else ""
