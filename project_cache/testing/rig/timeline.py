"""When the frames of each stimulus were sent, and when they were on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CENTRE",
    "LAG",
    "REFRESH",
    "TICK",
    "Floats",
    "Frames",
    "Ints",
    "Script",
    "Stimulus",
    "on_ticks",
    "shown",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TICK = 1e-5  # seconds: the sync board samples its lines at 100 kHz
REFRESH = 1 / 59.95  # seconds between two refreshes of the monitor
CENTRE = 0.008  # seconds from the top of the screen, where the diode sits, to its centre
LAG = 0.01955 + CENTRE  # mean seconds from the fall of the vsync line to light at the centre of the screen


def on_ticks(times: npt.ArrayLike) -> Floats:
    """Return times (s) as the sync board can tell them."""
    return np.round(np.asarray(times, dtype=np.float64) / TICK) * TICK


@dataclass(frozen=True, slots=True)
class Frames:
    """The clock of one stimulus: seconds on the sync clock, one for each frame."""

    vsync: Floats
    display: Floats
    dropped: Ints  # frames that came at least one refresh late

    def at(self, frames: npt.ArrayLike) -> Floats:
        """Return the vsync times (s) of frame numbers; NaN for NaN."""
        return _picked(self.vsync, frames)

    def shown_at(self, frames: npt.ArrayLike) -> Floats:
        """Return the display times (s) of frame numbers; NaN for NaN."""
        return _picked(self.display, frames)

    def read_at(self, frames: npt.ArrayLike) -> Floats:
        """Return when the script read its inputs in these frames (s): right after the frame before was sent."""
        return _picked(np.concatenate([[np.nan], self.vsync[:-1]]), frames)


@dataclass(frozen=True, slots=True)
class Script:
    """What one stimulus script did, in its own frame numbers.

    Attributes
    ----------
    name : str
        The TaskControl class.
    n_frames : int
    parameters : mapping
        What the script stores beside what all scripts store.
    lick_on, lick_off : ndarray of float64
        Licks in frames, with fractions: 10.5 is half-way between the vsyncs of frames 10 and 11.
    rewards : ndarray of int64
        Frames in which the solenoid was opened.
    sound_frames, sound_seconds : ndarray
        Frame in which each trial's sound was started (NaN: no sound), and how long it was.
    opto_frames, opto_seconds : ndarray
        The same for the laser.
    trials : list of dict
        What is true of each trial.
    """

    name: str
    n_frames: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lick_on: Floats = field(default_factory=lambda: np.zeros(0))
    lick_off: Floats = field(default_factory=lambda: np.zeros(0))
    rewards: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    manual_rewards: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    violations: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    sound_frames: Floats = field(default_factory=lambda: np.zeros(0))
    sound_seconds: Floats = field(default_factory=lambda: np.zeros(0))
    opto_frames: Floats = field(default_factory=lambda: np.zeros(0))
    opto_seconds: Floats = field(default_factory=lambda: np.zeros(0))
    trials: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Stimulus:
    """One stimulus of a session: its script, its file's stem and its clock."""

    script: Script
    stem: str
    started: str  # YYYYMMDD_HHMMSS, as in the file
    frames: Frames
    intervals: Floats  # as the script measured them, n_frames - 1
    sound_on: Floats  # seconds, one for each trial; NaN where no sound
    sound_off: Floats
    opto_on: Floats
    opto_off: Floats
    lick_on: Floats
    lick_off: Floats


def shown(rng: np.random.Generator, start: float, n_frames: int, dropped: float) -> Frames:
    """Return the clock of a stimulus whose first vsync falls at about `start` seconds.

    `dropped` is the share of frames that miss their refresh and are shown one or two later; never two
    of them in a row.
    """
    late = rng.random(n_frames) < dropped
    late[:10] = late[-10:] = False
    late[1:] &= ~late[:-1]
    refreshes = np.arange(n_frames) + np.cumsum(late * rng.choice([1, 1, 1, 2], n_frames))
    light = on_ticks(
        start + LAG - CENTRE + refreshes * REFRESH + rng.normal(0, 5e-5, n_frames).clip(-2e-4, 2e-4)
    )
    # the software's call returns some time before the refresh, and not always the same time before
    vsync = light - (LAG - CENTRE) + rng.normal(0, 2e-4, n_frames).clip(-6e-4, 6e-4)
    return Frames(on_ticks(vsync), light + CENTRE, np.flatnonzero(late))


def _picked(times: Floats, frames: npt.ArrayLike) -> Floats:
    wanted = np.asarray(frames, dtype=np.float64)
    there = np.isfinite(wanted) & (wanted >= 0) & (wanted < len(times))
    return np.where(there, times[np.where(there, wanted, 0).astype(np.int64)], np.nan)
