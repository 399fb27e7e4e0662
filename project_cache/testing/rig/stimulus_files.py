"""The HDF5 files of the stimulus scripts: every attribute of the script as a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from project_cache.testing.rig.timeline import Floats, Ints, Stimulus

__all__ = ["WHEEL_RADIUS", "detected", "wheel_counts", "write_stimulus"]

WHEEL_RADIUS = 4.69  # cm
COUNTS = 8192  # of the encoder, for each turn

#: what all scripts store (TaskControl), with the values of a real rig
COMMON: dict[str, Any] = {
    "acquisitionSignalLine": np.array([1, 0], np.int32),
    "behavNidaqDevice": "Dev1",
    "configPath": "C:/ProgramData/AIBS_MPE/camstim/config/stim.cfg",
    "customSampling": False,
    "deltaWheelPos": np.zeros(0),
    "digitalSolenoidTrigger": True,
    "drawDiodeBox": True,
    "frameRate": np.int32(60),
    "frameSignalLine": np.array([1, 1], np.int32),
    "lickLine": np.array([0, 0], np.int32),
    "maxFrames": np.nan,
    "maxTrials": np.nan,
    "maxWheelAngleChange": 0.5,
    "microphoneCh": np.nan,
    "microphoneData": np.zeros(0),
    "minWheelAngleChange": np.int32(0),
    "monBackgroundColor": np.int32(0),
    "monDistance": 15.3,
    "monGamma": 2.3,
    "monSizePix": np.array([1920, 1200], np.int32),
    "monWidth": 52.0,
    "networkNidaqDevices": np.zeros(0),
    "optoNidaqDevice": np.nan,
    "pixelsPerDeg": 16.12772471528669,
    "rewardLine": np.array([0, 7], np.int32),
    "rewardSound": "device",
    "rewardSoundDeviceOpenTime": 0.01,
    "rewardSoundDur": 0.1,
    "rewardSoundFreq": np.int32(10000),
    "rewardSoundLevel": np.int32(68),
    "rewardSoundLine": np.array([2, 0], np.int32),
    "rewardSoundVolume": 0.0665,
    "rewardVol": 0.005,
    "rotaryEncoder": "digital",
    "rotaryEncoderCh": np.int32(1),
    "rotaryEncoderCountsPerRev": np.int32(COUNTS),
    "rotaryEncoderSerialPort": "COM6",
    "rotaryEncoderVolts": np.zeros(0),
    "saveDir": np.nan,
    "saveFrameIntervals": True,
    "saveParams": True,
    "screen": np.int32(0),
    "solenoidOpenTime": 0.0553475,
    "soundCalibrationFit": np.array([28.67626467, -3.54041409, 61.98218469]),
    "soundChannel": np.nan,
    "soundHanningDur": 0.005,
    "soundLibrary": "psychtoolbox",
    "soundMode": "sound card",
    "soundNidaqDevice": np.nan,
    "soundSampleRate": np.int32(48000),
    "spacebarRewardsEnabled": True,
    "syncNidaqDevice": "Dev2",
    "warp": np.nan,
    "warpFile": np.nan,
    "waterCalibrationIntercept": 0.0125,
    "waterCalibrationSlope": 8.5695,
    "wheelPolarity": np.int32(-1),
    "wheelPosRadians": np.zeros(0),
    "wheelRadius": WHEEL_RADIUS,
}


def wheel_counts(times: Floats, speed: Floats) -> Ints:
    """Return the encoder's count at each of `times` (s) for a mouse that runs at `speed` (cm/s)."""
    steps = np.diff(times, prepend=times[0]) * speed
    return np.asarray(75 + np.round(np.cumsum(steps) / (2 * np.pi * WHEEL_RADIUS) * COUNTS), dtype=np.int64)


def detected(stimulus: Stimulus) -> tuple[Ints, Ints]:
    """Return the frames in which the script saw the tongue on the spout, and those where it was new."""
    reads = np.concatenate([[-np.inf], stimulus.frames.vsync[:-1]])
    first = np.searchsorted(reads, stimulus.lick_on)
    last = np.searchsorted(reads, stimulus.lick_off)
    seen = [np.arange(a, b) for a, b in zip(first, last, strict=True)]
    frames = np.unique(np.concatenate([*seen, np.zeros(0, np.int64)])).astype(np.int64)
    return frames, frames[np.diff(frames, prepend=-10) > 1]


def write_stimulus(
    path: Path, stimulus: Stimulus, *, subject: int, rig: str, speed: Floats, all_licks: bool
) -> None:
    """Write the file of one stimulus.

    Parameters
    ----------
    path : Path
    stimulus : Stimulus
    subject : int
    rig : str
        As the script calls it: 'NP3'.
    speed : ndarray of float64
        cm/s at each vsync.
    all_licks : bool
        Whether `lickFrames` has all frames that saw the tongue on the spout, as in old files; newer ones have
        those where it was new, and all in `lickDetectorFrames`.
    """
    script = stimulus.script
    frames, new = detected(stimulus)
    counts = wheel_counts(stimulus.frames.vsync, speed)
    contents = COMMON | {
        "frameIntervals": stimulus.intervals,
        "lickDetectorFrames": _frames(frames),
        "lickFrames": _frames(frames if all_licks else new),
        "manualRewardFrames": _frames(script.manual_rewards),
        "quiescentViolationFrames": _frames(script.violations),
        "rewardFrames": _frames(script.rewards),
        "rewardSize": np.full(len(script.rewards), 0.005),
        "rigName": rig,
        "rotaryEncoderCount": counts.astype(np.int32),
        "rotaryEncoderIndex": (359255601 + np.arange(script.n_frames)).astype(np.int32),
        "savePath": f"C:/ProgramData/AIBS_MPE/camstim/data\\{path.name}",
        "startTime": stimulus.started,
        "subjectName": str(subject),
        **script.parameters,
    }
    if all_licks:
        del contents["lickDetectorFrames"]
    if script.name != "DynamicRouting1":
        del contents["quiescentViolationFrames"]
    with h5py.File(path, "w") as file:
        _write(file, contents)


def _frames(frames: Ints) -> Any:
    # an empty python list has no integers in it: h5py stores float64
    return frames.astype(np.int32) if len(frames) else np.zeros(0)


def _write(group: h5py.Group, contents: Mapping[str, Any]) -> None:
    for key in sorted(contents):
        value = contents[key]
        if isinstance(value, Mapping):
            _write(group.create_group(key), value)
        elif isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], str)):
            group.create_dataset(key, data=value, dtype=h5py.string_dtype(), track_times=False)
        elif isinstance(value, list):
            ragged = group.create_dataset(
                key, (len(value),), dtype=h5py.vlen_dtype(np.float64), track_times=False
            )
            for i, row in enumerate(value):
                ragged[i] = row
        else:
            group.create_dataset(key, data=value, track_times=False)
