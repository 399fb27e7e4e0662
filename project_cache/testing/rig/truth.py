"""What is true of a simulated session: the numbers that a reader of its files has to find."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project_cache.testing.rig.open_ephys import Stream
from project_cache.testing.rig.population import Population
from project_cache.testing.rig.timeline import Floats, Ints

__all__ = ["CameraTruth", "SimulatedSession", "Truth"]


def _none() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class CameraTruth:
    """One camera.

    Attributes
    ----------
    times : ndarray of float64
        Seconds of each frame of the file; NaN for the metadata frame (the first) and for frames that the
        report counts and the line does not.
    line : str
        The line its exposures are on (another camera's, where the plugs were swapped).
    lost : ndarray of int64
        Exposures (from 0) that reached no file.
    frames_in_file : int
    exposure_ms : float
        How long each of the first ten exposures was: the fingerprint of the camera.
    pupil : DataFrame or None
        One row for each frame of the eye's video: x, y (pixels), radius (pixels); NaN for the first.
    """

    times: Floats
    line: str
    lost: Ints
    frames_in_file: int
    exposure_ms: float
    pupil: pd.DataFrame | None = None


@dataclass(slots=True, repr=False)
class Truth:
    """All times are seconds on the sync clock: 0 is its first sample.

    Attributes
    ----------
    session_id : str
        '712345_2024-05-02'.
    sync_start : datetime
        Local time of the rig, without a time zone.
    sync_seconds : float
    stimuli : list of str
        Stems of the files, in the order in which they were shown; `usable` those that a reader can time.
    vsync, display, intervals : dict of stem to ndarray of float64
        Fall of the vsync line, light at the centre of the screen, and the script's own intervals.
    dropped : dict of stem to ndarray of int64
        Frames shown late.
    sound_on, sound_off, opto_on, opto_off : dict of stem to ndarray of float64
        One for each trial, NaN where there was none.
    lick_on, lick_off : ndarray of float64
    reward_times : ndarray of float64
        By the script: vsync of the frame. `solenoid_on` and `solenoid_off` are the line's.
    quiescent_violations : ndarray of float64
    running_times, running_speed : ndarray of float64
        cm/s at each vsync.
    cameras : dict of label ('eye', 'face', 'behavior') to CameraTruth
    barcode_times, barcode_values : ndarray
    streams : dict of folder name to Stream
    populations : dict of probe letter to Population
    trials : DataFrame
        One row for each finished trial of the task, with its times. `reward_time` is the vsync of the frame
        that the script noted, `solenoid_time` when the valve opened.
    mapping : dict of stem to DataFrame
        Trials of the other stimuli.
    faults : dict of name to what was done
    """

    session_id: str
    subject: dict[str, Any]
    sync_start: datetime
    sync_seconds: float
    stimuli: list[str] = field(default_factory=list)
    usable: list[str] = field(default_factory=list)
    task: str | None = None
    vsync: dict[str, Floats] = field(default_factory=dict)
    display: dict[str, Floats] = field(default_factory=dict)
    intervals: dict[str, Floats] = field(default_factory=dict)
    dropped: dict[str, Ints] = field(default_factory=dict)
    sound_on: dict[str, Floats] = field(default_factory=dict)
    sound_off: dict[str, Floats] = field(default_factory=dict)
    opto_on: dict[str, Floats] = field(default_factory=dict)
    opto_off: dict[str, Floats] = field(default_factory=dict)
    lick_on: Floats = field(default_factory=_none)
    lick_off: Floats = field(default_factory=_none)
    reward_times: Floats = field(default_factory=_none)
    solenoid_on: Floats = field(default_factory=_none)
    solenoid_off: Floats = field(default_factory=_none)
    quiescent_violations: Floats = field(default_factory=_none)
    running_times: Floats = field(default_factory=_none)
    running_speed: Floats = field(default_factory=_none)
    cameras: dict[str, CameraTruth] = field(default_factory=dict)
    barcode_times: Floats = field(default_factory=_none)
    barcode_values: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    streams: dict[str, Stream] = field(default_factory=dict)
    populations: dict[str, Population] = field(default_factory=dict)
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    mapping: dict[str, pd.DataFrame] = field(default_factory=dict)
    manipulators: dict[str, dict[str, Any]] = field(default_factory=dict)
    experimenter: str = ""
    faults: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        wrong = f", {', '.join(sorted(self.faults))}" if self.faults else ""
        return f"Truth({self.session_id}, {self.sync_seconds:.0f} s, {len(self.trials)} trials{wrong})"


@dataclass(frozen=True, slots=True)
class SimulatedSession:
    """A raw folder that was written, and what is true of it.

    Attributes
    ----------
    path : Path
        The session's folder.
    sorted_path, annotations_path, surface_path : Path or None
    truth : Truth
    """

    path: Path
    sorted_path: Path | None
    annotations_path: Path | None
    surface_path: Path | None
    truth: Truth
