"""The other stimuli: receptive-field mapping, opto-tagging, luminance, and frames with nothing on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from project_cache.testing.rig.timeline import Script

__all__ = ["luminance", "opto_tagging", "receptive_fields", "spontaneous", "tone"]

GRID_X = (-798.7, -479.22, -159.74, 159.74, 479.22, 798.7)  # pixels from the centre of the screen
GRID_Y = (-438.7, -146.23, 146.23, 438.7)
SOUND_S = 0.25
RATE = 48_000
ORIENTATIONS = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
TONES = tuple(float(hz) for hz in range(4_000, 17_000, 1_000))
AM_NOISE = (0.0, 12.0, 20.0, 40.0, 80.0)


def tone(hertz: float, seconds: float = SOUND_S) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a pure tone at 48 kHz with 5 ms Hann ramps, rounded to 4 decimals as the scripts' arrays are."""
    t = np.arange(int(seconds * RATE)) / RATE
    wave = np.sin(2 * np.pi * hertz * t)
    ramp = np.hanning(2 * int(0.005 * RATE))
    wave[: len(ramp) // 2] *= ramp[: len(ramp) // 2]
    wave[-len(ramp) // 2 :] *= ramp[len(ramp) // 2 :]
    return np.asarray(np.round(0.08 * wave, 4), dtype=np.float64)


def receptive_fields(rng: np.random.Generator, repeats: int) -> Script:
    """Return RFMapping: gratings over a 6 x 4 grid, full-field flashes, tones and noise, `repeats` rounds of all."""
    kinds: list[tuple[str, float, float]] = []
    for _ in range(repeats):
        once = [("grating", x, y) for x in GRID_X for y in GRID_Y]
        once += [("flash", c, 0.0) for c in (-1.0, 0.0, 1.0)]
        once += [("tone", float(hz), 0.0) for hz in rng.choice(TONES, 4, replace=False)]
        once += [("noise", float(hz), 0.0) for hz in rng.choice(AM_NOISE, 2, replace=False)]
        kinds += [once[i] for i in rng.permutation(len(once))]
    n = len(kinds)
    start = 31 * np.arange(n)
    xy = np.array([(a, b) if k == "grating" else (np.nan, np.nan) for k, a, b in kinds])
    sound = np.array([k in ("tone", "noise") for k, _, _ in kinds])
    noise = np.round(0.08 * rng.uniform(-1, 1, int(SOUND_S * RATE)), 4)

    def column(kind: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([a if k == kind else np.nan for k, a, _ in kinds])

    gratings = np.where(np.isfinite(xy[:, 0]), rng.choice(ORIENTATIONS, n), np.nan)
    arrays = [tone(a) if k == "tone" else noise if k == "noise" else np.zeros(0) for k, a, _ in kinds]
    trials = [
        {
            "trial_index": i,
            "kind": k,
            "grating_x": xy[i, 0],
            "grating_y": xy[i, 1],
            "grating_orientation": gratings[i],
            "flash_contrast": a if k == "flash" else np.nan,
            "freq": a if k in ("tone", "noise") else np.nan,
            "stim_frame": int(start[i]),
            "stim_frames": 15,
        }
        for i, (k, a, _) in enumerate(kinds)
    ]
    parameters = {
        "amNoiseFreq": np.array(AM_NOISE, np.int32),
        "fullFieldContrast": np.array([-1, 0, 1], np.int32),
        "gratingOri": np.array(ORIENTATIONS, np.int32),
        "gratingSF": 0.08,
        "gratingSize": np.int32(20),
        "gratingTF": np.int32(4),
        "gridX": np.array(GRID_X),
        "gridY": np.array(GRID_Y),
        "interStimFrames": np.int32(15),
        "maxBlocks": np.int32(repeats),
        "soundDur": SOUND_S,
        "soundLevel": np.int32(68),
        "soundRandomSeed": np.int32(0),
        "soundVolume": 0.08,
        "stimFrames": np.int32(15),
        "stimStartFrame": start.astype(np.int32),
        "taskVersion": np.nan,
        "toneFreq": np.array(TONES, np.int32),
        "trialAMNoiseFreq": column("noise"),
        "trialFullFieldContrast": column("flash"),
        "trialGratingOri": gratings,
        "trialSoundArray": arrays,
        "trialToneFreq": column("tone"),
        "trialVisXY": xy,
    }
    return Script(
        "RFMapping",
        int(start[-1]) + 31,
        parameters,
        sound_frames=np.where(sound, start, np.nan),
        sound_seconds=np.full(n, SOUND_S),
        trials=trials,
    )


def opto_tagging(rng: np.random.Generator, trials_per_type: int, letters: str) -> Script:
    """Return OptoTagging: pulses of 10 and 200 ms of a 488 nm laser over each probe's place."""
    letters = letters or "A"
    galvo = np.array([[0.31 - 0.05 * i, -0.62 - 0.07 * i] for i in range(len(letters))])
    places = np.array([[-1.5 - 0.3 * i, -2.8 - 0.2 * i] for i in range(len(letters))])
    kinds = [(i, s) for i in range(len(letters)) for s in (0.01, 0.2) for _ in range(trials_per_type)]
    kinds = [kinds[i] for i in rng.permutation(len(kinds))]
    site = np.array([i for i, _ in kinds])
    seconds = np.array([s for _, s in kinds])
    onset = 65 + np.cumsum(rng.integers(58, 70, len(kinds)) + np.round(seconds * 60).astype(int))
    volts = 1.25
    polynomial = np.array([0.2, 3.9, -0.2])
    parameters = {
        "bregmaXY": places,
        "galvoVoltage": galvo,
        "optoDev": "laser_488",
        "optoDur": np.array([0.01, 0.2]),
        "optoInterval": np.int32(60),
        "optoIntervalJitter": np.int32(6),
        "optoOffRamp": 0.001,
        "optoOffsetVoltage": 0.05,
        "optoOnRamp": 0.001,
        "optoPower": np.array([5.0]),
        "optoPowerCalibrationData": {
            "input (V)": np.array([0.0, 1.0, 2.0]),
            "offsetV": 0.05,
            "poly coefficients": polynomial,
            "power (mW)": np.polyval(polynomial, [0.0, 1.0, 2.0]),
        },
        "optoSampleRate": np.int32(2000),
        "optoTaggingLocs": {"X": places[:, 0], "Y": places[:, 1], "label": list(letters)},
        "optoVoltage": np.array([volts]),
        "taskVersion": "opto tagging",
        "trialGalvoVoltage": galvo[site],
        "trialOptoDur": seconds,
        "trialOptoLabel": [letters[i] for i in site],
        "trialOptoOnsetFrame": onset.astype(np.int32),
        "trialOptoVoltage": np.full(len(kinds), volts),
        "trialsPerType": np.int32(trials_per_type),
    }
    trials = [
        {
            "trial_index": i,
            "location": f"probe{letters[s]}",
            "bregma_x": places[s, 0],
            "bregma_y": places[s, 1],
            "nominal_duration": seconds[i],
            "power": round(float(np.polyval(polynomial, volts)), 3),
            "wavelength": 488,
            "stim_frame": int(onset[i]),
        }
        for i, s in enumerate(site)
    ]
    return Script(
        "OptoTagging",
        int(onset[-1]) + 70,
        parameters,
        opto_frames=onset.astype(np.float64),
        # on ramp, off ramp and the one sample at the end that puts the laser back to its offset
        opto_seconds=seconds + 0.002,
        trials=trials,
    )


def luminance(rng: np.random.Generator, levels: int = 10, frames_per_level: int = 60) -> Script:
    """Return LuminanceTest: the whole screen at one grey after the other."""
    level = rng.permutation(np.linspace(-1, 1, levels))
    start = frames_per_level * np.arange(levels)
    return Script(
        "LuminanceTest",
        frames_per_level * levels,
        {
            "framesPerLevel": np.int32(frames_per_level),
            "levels": np.sort(level),
            "taskVersion": "luminance test",
            "trialStartFrame": start.astype(np.int32),
            "trialEndFrame": (start + frames_per_level - 1).astype(np.int32),
            "trialLevel": level,
        },
        trials=[
            {
                "trial_index": i,
                "level": float(v),
                "stim_frame": int(start[i]),
                "stim_frames": frames_per_level,
            }
            for i, v in enumerate(level)
        ],
    )


def spontaneous(rng: np.random.Generator, seconds: float, *, rewards: bool = False) -> Script:
    """Return Spontaneous, or with `rewards` SpontaneousRewards: a drop every 10 to 15 s, and licks after it."""
    n_frames = int(seconds * 60)
    parameters: dict[str, Any] = {"taskVersion": "spontaneous rewards" if rewards else "spontaneous"}
    if not rewards:
        return Script("Spontaneous", n_frames, parameters)
    given = np.cumsum(rng.integers(240, 480, max(1, n_frames // 360)))
    given = given[given < n_frames - 120]
    licks = np.concatenate([[f + 8 + 8.6 * i + rng.uniform(0, 2) for i in range(6)] for f in given] or [[]])
    return Script(
        "SpontaneousRewards",
        n_frames,
        parameters,
        lick_on=licks,
        lick_off=licks + 3.5,
        rewards=given.astype(np.int64),
    )
