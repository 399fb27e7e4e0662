"""When sounds began: by the sync line that copies the speaker's signal, or found in the recorded sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["found_in", "next_edges", "with_usual_latency"]

Floats = npt.NDArray[np.float64]

_AROUND = 0.15  # s, before the trigger and after the end, in which a sound is looked for
_SMOOTH = 8  # times as many samples as were played make its voltage smooth
_LEAST_LIKENESS = 0.3  # correlation coefficient of a recorded sound with the one that was sent


def next_edges(edges: Floats, triggers: Floats, latest: npt.ArrayLike) -> Floats:
    """Return the first edge at or after each trigger, NaN where there is none within `latest` seconds.

    Parameters
    ----------
    edges : array
        Ascending, s.
    triggers : array
        When the script asked for the sound or light, s; NaN where it did not.
    latest : float or array like triggers
        Seconds after the trigger.
    """
    if not len(edges):
        return np.full(len(triggers), np.nan)
    # NaN is sorted last, and its difference to anything is NaN
    first = np.searchsorted(edges, triggers)
    found = edges[np.minimum(first, len(edges) - 1)]
    late = found - triggers
    return np.where((late >= 0) & (late <= np.asarray(latest, np.float64)), found, np.nan)


def found_in(
    recorded: Callable[[int, int], Floats],
    rate: float,
    start: float,
    n_samples: int,
    triggers: Floats,
    waveforms: Sequence[tuple[Floats, float] | None],
) -> Floats:
    """Return when waveforms that were played begin in a recording, by cross-correlation; NaN where not found.

    Parameters
    ----------
    recorded : callable
        ``recorded(first, stop)`` gives those samples of the recording.
    rate, start, n_samples : float, float, int
        The recording's sampling rate (Hz), the time of its first sample (s), its length.
    triggers : array
        When the script asked for each, s; NaN where it did not.
    waveforms : sequence
        What was played after each trigger, with its own sampling rate; None where it is not known.

    Notes
    -----
    A waveform is looked for from 0.15 s before its trigger; its onset is good to a sample of the recording. The NI-DAQ
    samples without a filter, so a tone above half of its rate is recorded as another, lower one, and so is the
    waveform sampled that is looked for. A tone is nearly as like itself some cycles later, and seems more so where
    these fall on whole samples: so it is looked for in whatever phase.
    """
    from scipy.signal import correlate, hilbert, resample_poly

    onsets = np.full(len(triggers), np.nan)
    for i, (trigger, waveform) in enumerate(zip(triggers, waveforms, strict=True)):
        if waveform is None or not np.isfinite(trigger) or not len(waveform[0]):
            continue
        samples, played_at = waveform
        duration = len(samples) / played_at
        first = int((trigger - _AROUND - start) * rate)
        stop = int((trigger + duration + _AROUND - start) * rate)
        if first < 0 or stop > n_samples:
            continue
        # the voltage between the samples that were played
        smooth = resample_poly(samples, _SMOOTH, 1)
        at = np.arange(int(duration * rate)) * _SMOOTH * played_at / rate
        sound, heard = np.interp(at, np.arange(len(smooth)), smooth), recorded(first, stop).astype(np.float64)
        sound, heard = sound - sound.mean(), heard - heard.mean()
        if len(heard) < len(sound):
            continue
        alike = np.abs(correlate(heard, hilbert(sound), "valid", "fft"))
        lag = int(np.argmax(alike))
        loudness = np.linalg.norm(heard[lag : lag + len(sound)]) * np.linalg.norm(sound)
        if loudness > 0 and alike[lag] / loudness >= _LEAST_LIKENESS:
            onsets[i] = start + (first + lag) / rate
    return onsets


def with_usual_latency(onsets: Floats, triggers: Floats) -> Floats:
    """Return `onsets`, those that were not found at the median latency of the others after their triggers."""
    latency = onsets - triggers
    found = np.isfinite(latency)
    return np.where(found, onsets, triggers + (np.median(latency[found]) if found.any() else 0.0))
