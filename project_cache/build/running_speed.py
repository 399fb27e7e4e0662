"""Running speed: the turning of the wheel, from its encoder's count at every frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from pynwb import TimeSeries

    from project_cache.build.clock import SessionClock
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["running_speed", "speed"]

#: frames a second, by which the counts of one frame become a speed
FRAME_RATE = 60.0
#: above which the wheel's speed is taken for noise, Hz, and how steeply
CUTOFF, ORDER = 4.0, 3
_SHORTEST = 3 * (ORDER + 1) + 1


def speed(
    stimulus: StimulusFile, frame_times: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return when the wheel's speed was sampled (s), and the speed (cm/s; forward is positive).

    Parameters
    ----------
    stimulus : StimulusFile
        With ``rotaryEncoderCount``, the encoder's count at each frame.
    frame_times : array
        When the inputs of each frame were read, s.

    Returns
    -------
    times, speeds : array
        Between each two readings: the time halfway, and the turn between them, low-pass filtered in both directions
        (Butterworth, third order, 4 Hz). Empty where the encoder was not read, or for a few frames only.
    """
    from scipy.signal import butter, filtfilt

    nothing = np.zeros(0), np.zeros(0)
    if stimulus.get("rotaryEncoder") != "digital":
        return nothing
    counts = np.asarray(stimulus.get("rotaryEncoderCount", []), np.float64).reshape(-1)
    n = min(len(counts), len(frame_times))
    if n < _SHORTEST + 1:
        return nothing
    turns = counts[:n] / float(stimulus["rotaryEncoderCountsPerRev"])
    raw_speed = np.diff(turns * 2 * np.pi * float(stimulus["wheelRadius"]) * FRAME_RATE)
    times = frame_times[1:n]
    # the time of a reading that failed is known; its speed is not, nor the next one's
    smooth = filtfilt(*butter(ORDER, CUTOFF, fs=FRAME_RATE), np.nan_to_num(raw_speed))
    return times + np.nanmedian(np.diff(times)) / 2, smooth


def running_speed(raw: RawRecording, clock: SessionClock) -> TimeSeries:
    """Return the running speed over all stimulus files of the session (cm/s).

    Raises
    ------
    ComponentUnavailable
        No stimulus file with frame times has readings of the wheel.
    """
    from pynwb import TimeSeries

    if raw.layout == "tables":
        raise ComponentUnavailable(f"{raw.id} has tables only: the wheel's readings do not lie with them.")
    parts = [speed(stimulus, clock.frames(stimulus).input) for stimulus in clock.usable]
    times = np.concatenate([np.zeros(0), *(part[0] for part in parts)])
    speeds = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
    order = np.argsort(times, kind="stable")
    times, speeds = times[order], speeds[order]
    # a NaN sorts last, and is later than nothing
    later = np.diff(times, prepend=-np.inf) > 0
    if not later.any():
        raise ComponentUnavailable(
            f"No stimulus file of {raw.id} with frame times has readings of the wheel."
        )
    return TimeSeries(
        name="running_speed",
        description="speed at the rim of the wheel, positive is forward: the encoder's counts from frame to frame, "
        f"low-pass filtered at {CUTOFF:g} Hz (Butterworth, order {ORDER}, zero phase) for each stimulus file",
        data=speeds[later],
        timestamps=times[later],
        unit="cm/s",
        conversion=1.0,
    )
