"""Sounds: edges after their triggers, and sounds found in a recording."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, filtfilt, resample_poly

from project_cache.build.clock.sounds import found_in, next_edges, with_usual_latency

NAN = float("nan")


def test_the_first_edge_after_each_trigger() -> None:
    edges = np.array([0.5, 1.02, 1.3, 2.0, 5.9])
    found = next_edges(edges, np.array([1.0, 2.0, NAN, 4.0, 7.0]), 0.1)
    np.testing.assert_array_equal(found, [1.02, 2.0, NAN, NAN, NAN])
    found = next_edges(edges, np.array([1.0, 5.0]), np.array([0.01, 1.0]))
    np.testing.assert_array_equal(found, [NAN, 5.9])
    assert np.isnan(next_edges(np.empty(0), np.array([1.0]), 0.1)).all()


def test_what_was_not_found_is_as_late_as_the_others() -> None:
    triggers = np.array([1.0, 2.0, 3.0, NAN])
    np.testing.assert_allclose(
        with_usual_latency(np.array([1.02, NAN, 3.03, NAN]), triggers), [1.02, 2.025, 3.03, NAN]
    )
    np.testing.assert_array_equal(with_usual_latency(np.full(4, NAN), triggers), triggers)


@pytest.mark.parametrize("frequency", [11_000, 16_000])
def test_tones_that_the_nidaq_samples_coarsely_are_found_to_a_few_cycles(frequency: float) -> None:
    rng = np.random.default_rng(0)
    times = np.arange(12_000) / 48_000
    ramp = np.minimum(1, np.minimum(times, 0.25 - times) / 0.005)
    sound = np.sin(2 * np.pi * frequency * times) * ramp
    rate, start = 30_000.07, 12.5
    true = np.array([14.032115, 16.047337, 18.025501])
    recording = rng.normal(0, 2, 240_000)
    clock = start + np.arange(len(recording)) / rate
    for onset in true:
        # above 15 kHz it is recorded as a lower tone
        inside = (clock >= onset) & (clock < onset + 0.25)
        at = clock[inside] - onset
        recording[inside] += 400 * np.sin(2 * np.pi * frequency * at) * np.interp(at, times, ramp)
    found = found_in(
        lambda first, stop: recording[first:stop],
        rate,
        start,
        len(recording),
        true - 0.03,
        [(sound, 48_000.0)] * 3,
    )
    np.testing.assert_allclose(found, true, atol=3e-4, rtol=0)


@pytest.mark.parametrize("kind", ["noise", "tone", "modulated"])
def test_a_sound_is_found_to_a_sample(kind: str) -> None:
    rng = np.random.default_rng(0)
    rate, start = 30_000.07, 12.5
    times = np.arange(24_000) / 48_000
    noise = filtfilt(*butter(4, [2000, 10_000], "bandpass", fs=48_000), rng.uniform(-1, 1, len(times)))
    ramp = np.minimum(1, np.minimum(times, 0.5 - times) / 0.005)
    sound = {
        "noise": noise,
        "tone": np.sin(2 * np.pi * 6000 * times) * ramp,
        "modulated": noise * (np.sin(1.5 * np.pi + 2 * np.pi * 12 * times) + 1) / 2,
    }[kind]
    # the speaker's voltage between the samples
    smooth = resample_poly(sound, 16, 1)
    true = np.array([14.0321, 16.0473, 18.0255])
    recording = rng.normal(0, 20, 240_000)
    clock = start + np.arange(len(recording)) / rate
    for onset in true:
        recording += 1000 * np.interp(
            clock - onset, np.arange(len(smooth)) / 768_000, smooth, left=0, right=0
        )
    recording = recording.astype(np.int16)
    found = found_in(
        lambda first, stop: recording[first:stop].astype(float),
        rate,
        start,
        len(recording),
        true - 0.03,
        [(sound, 48_000.0)] * 3,
    )
    np.testing.assert_allclose(found, true, atol=1.1 / rate)


def test_sounds_that_are_not_there_are_not_found() -> None:
    rng = np.random.default_rng(0)
    recording = rng.normal(0, 20, 60_000)
    sound = (rng.uniform(-1, 1, 12_000), 48_000.0)
    found = found_in(
        lambda first, stop: recording[first:stop],
        30_000.0,
        0.0,
        len(recording),
        np.array([1.0, 0.05, 1.9, NAN, 1.0]),
        [sound, sound, sound, sound, None],
    )
    assert np.isnan(found).all()
    silent = found_in(
        lambda first, stop: np.zeros(stop - first), 30_000.0, 0.0, 60_000, np.array([1.0]), [sound]
    )
    assert np.isnan(silent).all()
