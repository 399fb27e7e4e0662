"""A tuned population: units that answer to gratings, sounds and light, have receptive fields, and drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from project_cache.testing.rig.open_ephys import CHANNELS, Clock
from project_cache.testing.rig.timeline import Floats, Ints

__all__ = ["Drive", "Population", "populate", "templates"]

KINDS = ("visual", "auditory", "both", "silent", "tagged")
REFRACTORY_S = 0.0015
TEMPLATE_SAMPLES = 40
TROUGH = 15
LATENCY_S = {"vis": 0.045, "aud": 0.018, "opto": 0.003}
FIELD_PIXELS = 330.0  # standard deviation of a receptive field


@dataclass(frozen=True, slots=True)
class Drive:
    """Moments at which the world speaks to the population.

    Attributes
    ----------
    kind : str
        'vis', 'aud' or 'opto'.
    times, seconds : ndarray of float64
        When it began and how long it was.
    x, y : ndarray of float64
        Where on the screen, pixels from the centre; NaN for the whole of it.
    strength : ndarray of float64
    letter : str, optional
        The one probe that it reaches.
    """

    kind: str
    times: Floats
    seconds: Floats
    x: Floats
    y: Floats
    strength: Floats
    letter: str | None = None


@dataclass(frozen=True, slots=True)
class Population:
    """The units of one probe and their spikes.

    Attributes
    ----------
    units : DataFrame
        One row for each: cluster_id, kind, peak_channel, amplitude (µV), rate (Hz), field_x, field_y
        (pixels), gain_vis, gain_aud, gain_opto (spikes for each stimulus), drifts.
    samples : ndarray of int64
        Of the AP stream, counted from its first.
    unit_index : ndarray of int64
        Rows of `units`.
    times : ndarray of float64
        Seconds on the sync clock.
    amplitudes : ndarray of float32
        µV, negative as the sorter gives them.
    """

    units: pd.DataFrame
    samples: Ints
    unit_index: Ints
    times: Floats
    amplitudes: np.ndarray[tuple[int], np.dtype[np.float32]]


def populate(
    rng: np.random.Generator, letter: str, n_units: int, clock: Clock, stop: float, drives: Sequence[Drive]
) -> Population:
    """Return the units of a probe that records from the clock's start to `stop` (s)."""
    units = _units(rng, n_units)
    all_times: list[Floats] = []
    all_units: list[Ints] = []
    start = clock.start
    for row, unit in enumerate(units.to_dict("records")):
        parts = [start + (stop - start) * rng.random(rng.poisson(unit["rate"] * (stop - start)))]
        for drive in drives:
            if drive.letter is not None and drive.letter != letter:
                continue
            counts = rng.poisson(unit[f"gain_{drive.kind}"] * drive.strength * _seen(unit, drive))
            onset = np.repeat(drive.times, counts)
            seconds = np.repeat(drive.seconds, counts)
            # half of it at the onset, the rest as long as the stimulus lasts
            shape = np.where(
                rng.random(len(onset)) < 0.5,
                rng.exponential(0.02, len(onset)),
                seconds * rng.random(len(onset)),
            )
            parts.append(onset + LATENCY_S[drive.kind] + np.minimum(shape, seconds + 0.05))
        times = np.sort(np.concatenate(parts))
        times = times[(times > start + 0.01) & (times < stop - 0.01)]
        if unit["drifts"]:
            times = times[rng.random(len(times)) < np.interp(times, [start, stop], [1.0, 0.03])]
        samples = np.unique(clock.samples(times))
        samples = samples[np.diff(samples, prepend=-(10**6)) > REFRACTORY_S * clock.rate]
        all_times.append(samples.astype(np.float64))
        all_units.append(np.full(len(samples), row, np.int64))
    samples = np.concatenate([*all_times, np.zeros(0)]).astype(np.int64)
    index = np.concatenate([*all_units, np.zeros(0, np.int64)])
    order = np.lexsort((index, samples))
    samples, index = samples[order], index[order]
    peaks = units["amplitude"].to_numpy()[index] if n_units else np.zeros(0)
    amplitudes = -(peaks * rng.normal(1.0, 0.12, len(index)).clip(0.5, 1.6)).astype(np.float32)
    return Population(units, samples, index, clock.times(samples), amplitudes)


def templates(units: pd.DataFrame) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Return the mean waveform (µV) of each unit on each channel: (unit, 40 samples, 384 channels)."""
    t = (np.arange(TEMPLATE_SAMPLES) - TROUGH) / 30.0  # ms
    shape = -np.exp(-0.5 * (t / 0.09) ** 2) + 0.45 * np.exp(-0.5 * ((t - 0.35) / 0.16) ** 2)
    shape /= np.ptp(shape)
    made = np.zeros((len(units), TEMPLATE_SAMPLES, CHANNELS), np.float32)
    for row, (channel, amplitude) in enumerate(zip(units["peak_channel"], units["amplitude"], strict=True)):
        near = np.arange(max(0, channel - 9), min(CHANNELS, channel + 9))
        made[row, :, near] = amplitude * np.exp(-(np.abs(near - channel)[:, None]) / 4.0) * shape
    return made


def _units(rng: np.random.Generator, n: int) -> pd.DataFrame:
    kinds = np.array([KINDS[i % len(KINDS)] for i in range(n)], dtype=object)
    visual = np.isin(kinds, ("visual", "both"))
    heard = np.isin(kinds, ("auditory", "both"))
    drifts = np.zeros(n, bool)
    drifts[7::8] = True  # "both", "tagged", "silent" … in turn
    return pd.DataFrame(
        {
            # sorters leave gaps where they merged or dropped clusters
            "cluster_id": np.cumsum(rng.integers(1, 8, n)) - 1,
            "kind": kinds,
            "peak_channel": rng.integers(12, CHANNELS - 12, n),
            "amplitude": rng.uniform(70, 300, n),
            "rate": np.where(drifts, 3.0, 1.0) * rng.uniform(2.0, 9.0, n).clip(np.where(drifts, 5.0, 0.0)),
            "field_x": np.where(visual, rng.uniform(-700, 700, n), np.nan),
            "field_y": np.where(visual, rng.uniform(-380, 380, n), np.nan),
            "gain_vis": np.where(visual, rng.uniform(5.0, 10.0, n), 0.0),
            "gain_aud": np.where(heard, rng.uniform(4.0, 9.0, n), 0.0),
            "gain_opto": np.where(kinds == "tagged", 3.0, 0.0),
            "drifts": drifts,
        }
    )


def _seen(unit: Mapping[Any, Any], drive: Drive) -> Floats:
    """Return how much of each stimulus falls into the unit's receptive field, 0 to 1."""
    if drive.kind != "vis" or not np.isfinite(unit["field_x"]):
        return np.ones(len(drive.times))
    distance = np.hypot(drive.x - unit["field_x"], drive.y - unit["field_y"])
    return np.where(np.isfinite(distance), np.exp(-0.5 * (distance / FIELD_PIXELS) ** 2), 0.6)
