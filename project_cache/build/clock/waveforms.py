"""The sounds and light pulses of trials, made anew as the script made them from what it saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from project_cache.errors import MissingDataError
from project_cache.raw.stimulus import StimulusFile

__all__ = ["opto_waveform", "sound_waveform"]

Floats = npt.NDArray[np.float64]

_SOUND_RATE = 48_000.0  # Hz, of scripts that did not save theirs
_OPTO_RATE = 2_000.0
_RAMP = 0.005  # s
_FILTER_ORDER = 10


def sound_waveform(stimulus: StimulusFile, trial: int) -> tuple[Floats, float]:
    """Return the sound of a trial, as it was sent to the speaker, and its sampling rate.

    The saved samples where the script saved them, or else the same from type, frequencies, seed, duration and
    volume: a sine; a sweep; or uniform noise of the saved seed, band-passed forth and back (Butterworth, order
    10). Noise with a modulation frequency is modulated in full; all other sounds begin and end with Hann ramps.

    Parameters
    ----------
    stimulus : StimulusFile
    trial : int
        Index in the file.

    Returns
    -------
    waveform : array, shape (n_samples,)
        In units of the sound card's full scale.
    rate : float
        Hz.

    Raises
    ------
    MissingDataError
        The trial has no sound, or the file does not say enough of it.
    """
    rate = _number(stimulus.get("soundSampleRate"), _SOUND_RATE)
    saved = stimulus.get("trialSoundArray")
    if saved is not None and trial < len(saved) and np.size(saved[trial]):
        return np.asarray(saved[trial], np.float64), rate
    duration = _number(_of_trial(stimulus, "trialSoundDur", trial))
    kind = _of_trial(stimulus, "trialSoundType", trial)
    if not (isinstance(kind, str) and kind and duration > 0):
        raise MissingDataError(f"Trial {trial} of {stimulus.path} has no sound that could be made anew.")
    times = np.arange(int(round(duration * rate, 6))) / rate
    frequencies = np.atleast_1d(np.asarray(_of_trial(stimulus, "trialSoundFreq", trial), np.float64))
    modulation = _number(_of_trial(stimulus, "trialSoundAM", trial))
    waveform = _carrier(stimulus, kind, frequencies, trial, times, rate)
    if np.isfinite(modulation) and modulation > 0:
        waveform = waveform * (np.sin(1.5 * np.pi + 2 * np.pi * modulation * times) + 1) / 2
    else:
        _ramp(waveform, int(_number(stimulus.get("soundHanningDur"), _RAMP) * rate))
    volume = _number(_of_trial(stimulus, "trialSoundVolume", trial, "soundVolume"), 1.0)
    loudest = np.abs(waveform).max(initial=0)
    return waveform * (volume / loudest if loudest else 0.0), rate


def _carrier(
    stimulus: StimulusFile, kind: str, frequencies: Floats, trial: int, times: Floats, rate: float
) -> Floats:
    from scipy.signal import butter, chirp, filtfilt

    ends = frequencies[np.isfinite(frequencies)]
    if kind == "tone" and len(ends):
        return np.asarray(np.sin(2 * np.pi * ends[0] * times))
    if kind in ("linear sweep", "log sweep") and len(ends) == 2 and len(times):
        # those of log sweeps are octaves above 1 kHz
        first, last = ends if kind == "linear sweep" else 1000 * 2**ends
        method = "linear" if kind == "linear sweep" else "logarithmic"
        return np.asarray(chirp(times, first, times[-1], last, method=method, phi=-90))
    if kind in ("noise", "AM noise"):
        seed = _number(_of_trial(stimulus, "trialSoundSeed", trial), np.nan)
        if np.isfinite(seed):
            # the generator that the script used: another would be other noise
            noise = 2 * np.random.RandomState(int(seed)).random_sample(len(times)) - 1  # noqa: NPY002
            if len(ends) != 2:
                return np.asarray(noise)
            b, a = butter(_FILTER_ORDER, ends, btype="bandpass", fs=rate)
            return np.asarray(filtfilt(b, a, noise))
    raise MissingDataError(
        f"The sound of trial {trial} of {stimulus.path} cannot be made anew: the file does not say what it was "
        f"made of ({kind}, {frequencies.tolist()} Hz)."
    )


def _ramp(waveform: Floats, length: int) -> None:
    """Let a sound begin and end softly, in place."""
    length = min(length, len(waveform) // 2)
    if length:
        hann = np.hanning(2 * length)
        waveform[:length] *= hann[:length]
        waveform[-length:] *= hann[length:]


def opto_waveform(stimulus: StimulusFile, trial: int, device: int = 0) -> tuple[Floats, float]:
    """Return the voltage that drove the light in a trial, and its sampling rate.

    After the delay, the pulse: its duration and both ramps long, and one sample at 0; flat, or a sine between
    the offset voltage and the trial's where the trial has a frequency.

    Parameters
    ----------
    stimulus : StimulusFile
    trial : int
        Index in the file.
    device : int
        Which one, in trials with several.

    Returns
    -------
    waveform : array, shape (n_samples,)
        V.
    rate : float
        Hz.

    Raises
    ------
    MissingDataError
        The trial has no light.
    """
    rate = _number(stimulus.get("optoSampleRate"), _OPTO_RATE)

    def number(name: str, general: str | None = None, default: float = 0.0) -> float:
        return _number(_of_device(_of_trial(stimulus, name, trial, general), device), default)

    duration, voltage = number("trialOptoDur", None, np.nan), number("trialOptoVoltage", None, np.nan)
    if not (np.isfinite(duration) and np.isfinite(voltage)):
        raise MissingDataError(f"Trial {trial} of {stimulus.path} has no light.")
    on = number("trialOptoOnRamp", "optoOnRamp")
    off = number("trialOptoOffRamp", "optoOffRamp")
    frequency = number("trialOptoSinFreq", "optoSinFreq")
    delay = number("trialOptoDelay")
    offset = _offset(stimulus, trial, device)
    pulse = np.full(int(round((duration + on + off) * rate, 6)) + 1, voltage)
    if frequency > 0:
        times = np.arange(len(pulse)) / rate
        pulse = offset + (voltage - offset) * (np.sin(1.5 * np.pi + 2 * np.pi * frequency * times) + 1) / 2
    for length, part in ((on, slice(None)), (off, slice(None, None, -1))):
        samples = int(round(length * rate, 6))
        if samples:
            pulse[:-1][part][:samples] *= np.linspace(0, 1, samples)
    pulse[-1] = 0
    return np.append(np.zeros(int(round(delay * rate, 6))), pulse), rate


def _offset(stimulus: StimulusFile, trial: int, device: int) -> float:
    """The voltage at which a laser begins to shine; one for all, or by the device's name."""
    offset = stimulus.get("optoOffsetVoltage", 0.0)
    if isinstance(offset, dict):
        name = _of_device(_of_trial(stimulus, "trialOptoDevice", trial), device)
        offset = offset.get(str(name), 0.0)
    return _number(offset)


def _of_trial(stimulus: StimulusFile, name: str, trial: int, general: str | None = None) -> Any:
    """The trial's value; else what holds for all trials; else None."""
    values = stimulus.get(name)
    # a list may be ragged: of one laser's name in some trials, and none in others
    listed = isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.ndim > 0)
    if listed and trial < len(values):
        return values[trial]
    if general is not None and isinstance(stimulus.get(general), (int, float, np.ndarray)):
        return stimulus[general]
    return None


def _of_device(value: Any, device: int) -> Any:
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return value[min(device, len(value) - 1)] if len(value) else None
    return value


def _number(value: Any, default: float = 0.0) -> float:
    """A number out of what a script saved of one: NaN for None, arrays of one."""
    try:
        found = float(np.asarray(value, np.float64).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        return default
    return found if np.isfinite(found) else default
