"""What the streams recorded: spikes in noise, a theta rhythm, the loudspeaker's copy and the laser's command."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from project_cache.testing.rig.open_ephys import CHANNELS, MICROVOLTS, VOLTS, Block, Data, Stream
from project_cache.testing.rig.population import TROUGH, Population, templates
from project_cache.testing.rig.timeline import Floats

__all__ = ["LFP_HZ", "LFP_MICROVOLTS", "Played", "am_noise", "ap_signal", "lfp_signal", "nidaq_signal"]

NOISE_MICROVOLTS = 8.0
LFP_HZ = 8.0
LFP_MICROVOLTS = 150.0  # at the deepest channel, falling to a third of it at the highest
SPEAKER, LASER = 1, 5  # columns of the NI-DAQ's data
SOUND_RATE = 48_000

#: something played: when (s), its samples, their rate
Played = tuple[float, Floats, float]


def ap_signal(rng: np.random.Generator, population: Population) -> Data:
    """Return the AP band of a probe: noise with its units' waveforms at their spikes."""
    tile = _noise(rng, 6_000)
    shapes = np.round(templates(population.units) / MICROVOLTS).astype(np.int16)
    length = shapes.shape[1]

    def data(begin: int, end: int) -> Block:
        block = tile[np.arange(begin, end) % len(tile)]
        first, last = np.searchsorted(population.samples, [begin - length, end + length])
        for sample, unit in zip(
            population.samples[first:last], population.unit_index[first:last], strict=True
        ):
            at = int(sample) - TROUGH - begin
            low, high = max(at, 0), min(at + length, end - begin)
            if low < high:
                block[low:high] += shapes[unit, low - at : high - at]
        return block

    return data


def lfp_signal(rng: np.random.Generator) -> Data:
    """Return the LFP band of a probe: `LFP_HZ` in its own sample count, weaker towards the surface, and noise."""
    tile = _noise(rng, 2_500)
    depth = np.linspace(1.0, 1 / 3, CHANNELS) * LFP_MICROVOLTS / MICROVOLTS

    def data(begin: int, end: int) -> Block:
        sample = np.arange(begin, end)
        theta = np.sin(2 * np.pi * LFP_HZ * sample / 2_500)
        return tile[sample % len(tile)] + np.round(theta[:, None] * depth).astype(np.int16)

    return data


def nidaq_signal(
    rng: np.random.Generator, stream: Stream, sounds: Sequence[Played], lasers: Sequence[Played]
) -> Data:
    """Return the NI-DAQ's eight channels: sounds as played on column 1, the laser's volts on column 5."""
    tile = rng.integers(-3, 4, (3_000, len(stream.channels))).astype(np.int16)

    def data(begin: int, end: int) -> Block:
        block = tile[np.arange(begin, end) % len(tile)]
        start, stop = stream.clock.times([begin, end])
        for column, played in ((SPEAKER, sounds), (LASER, lasers)):
            for onset, wave, rate in played:
                length = len(wave) / rate
                if onset + length < start or onset > stop:
                    continue
                low, high = stream.clock.samples([onset, onset + length]) - begin
                low, high = max(int(low), 0), min(int(high), end - begin)
                at = (stream.clock.times(np.arange(low, high) + begin) - onset) * rate
                volts = np.interp(at, np.arange(len(wave)), wave)
                block[low:high, column] += np.round(volts / VOLTS).astype(np.int16)
        return block

    return data


def am_noise(seed: int, seconds: float, band: tuple[float, float], hertz: float, volume: float) -> Floats:
    """Return the amplitude-modulated noise (48 kHz) that the task's script makes from a seed."""
    from scipy.signal import butter, filtfilt

    # the script seeds numpy's legacy generator, so the same noise comes of no other
    legacy = np.random.RandomState(seed)  # noqa: NPY002
    noise = 2 * legacy.random(int(seconds * SOUND_RATE)) - 1
    b, a = butter(10, band, btype="bandpass", fs=SOUND_RATE)
    t = np.arange(len(noise)) / SOUND_RATE
    wave = filtfilt(b, a, noise) * (np.sin(1.5 * np.pi + 2 * np.pi * hertz * t) + 1) / 2
    return np.asarray(volume * wave / np.abs(wave).max(), dtype=np.float64)


def _noise(rng: np.random.Generator, samples: int) -> Block:
    noise = rng.standard_normal((samples, CHANNELS), dtype=np.float32) * (NOISE_MICROVOLTS / MICROVOLTS)
    return np.round(noise).astype(np.int16)
