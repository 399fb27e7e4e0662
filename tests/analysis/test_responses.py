"""Rates before and after stimuli, on trains of known rates."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import wilcoxon

from project_cache.analysis.responses import Windows, rates_in, responses


def poisson(rng: np.random.Generator, rate: float, stop: float) -> np.ndarray:
    return np.sort(rng.uniform(0, stop, rng.poisson(rate * stop)))


def windows(onsets: np.ndarray) -> tuple[Windows, Windows]:
    return Windows(onsets - 1.5, onsets), Windows(onsets + 0.025, onsets + 0.2)


def test_rates_are_spikes_by_seconds_with_the_start_and_without_the_stop() -> None:
    found = rates_in([np.array([1.0, 1.5, 2.0])], Windows(np.array([1.0, np.nan]), np.array([2.0, np.nan])))
    assert found[0, 0] == 2.0
    assert np.isnan(found[0, 1])


def test_a_unit_that_responds_is_told_from_one_that_does_not() -> None:
    rng = np.random.default_rng(3)
    onsets = np.arange(5.0, 405.0, 4.0)
    quiet = poisson(rng, 10, 410)
    evoked = (onsets[:, None] + rng.uniform(0.05, 0.15, (100, 4))).ravel()
    suppressed = quiet[~((quiet[:, None] > onsets) & (quiet[:, None] < onsets + 0.2)).any(axis=1)]
    found = responses([quiet, np.sort(np.concatenate([quiet, evoked])), suppressed], onsets, *windows(onsets))
    assert found.n_trials.tolist() == [100, 100, 100]
    assert found.p_value[0] > 0.01
    assert (found.p_value[1:] < 1e-6).all()
    assert found.difference[1] == pytest.approx(4 / 0.175, rel=0.1)
    assert found.modulation_index[1] > 0.5
    assert found.modulation_index[2] == -1.0
    assert np.isnan(found.latency[2])
    # the first of four spikes between 50 and 150 ms, or one of the 10 /s before it
    assert 0.04 < found.latency[1] < 0.09
    np.testing.assert_allclose(found.difference, found.response_rate - found.baseline_rate)


def test_units_that_do_not_respond_pass_as_often_as_chance_has_it() -> None:
    rng = np.random.default_rng(5)
    onsets = np.sort(rng.uniform(5, 1990, 300))
    trains = [poisson(rng, rate, 2000) for rate in rng.uniform(0.5, 30, 400)]
    p_value = responses(trains, onsets, *windows(onsets)).p_value
    assert 0.02 < (p_value < 0.05).mean() < 0.09


def test_the_test_is_scipys_on_windows_of_one_length() -> None:
    rng = np.random.default_rng(6)
    onsets = np.arange(5.0, 105.0, 2.0)
    train = poisson(rng, 20, 110)
    found = responses([train], onsets, *windows(onsets))
    counts = [
        np.array([((train >= onset + start) & (train < onset + stop)).sum() for onset in onsets])
        for start, stop in ((-0.175, 0), (0.025, 0.2))
    ]
    assert found.p_value[0] == pytest.approx(wilcoxon(counts[1] - counts[0], method="asymptotic").pvalue)


def test_conditions_have_means_of_their_own() -> None:
    onsets = np.arange(2.0, 12.0, 1.0)
    spikes = np.sort(np.concatenate([onsets[::2] + 0.1, onsets[::2] + 0.11]))
    baseline, response = Windows(onsets - 0.2, onsets), Windows(onsets, onsets + 0.2)
    found = responses([spikes], onsets, baseline, response, np.arange(10) % 2)
    np.testing.assert_allclose(found.condition_difference, [[10.0, 0.0]], rtol=1e-6)
    assert found.difference[0] == pytest.approx(5.0)
    assert found.latency[0] == pytest.approx(0.1)


def test_trials_in_which_a_unit_was_not_observed_are_left_out() -> None:
    rng = np.random.default_rng(7)
    onsets = np.arange(5.0, 205.0, 2.0)
    train = poisson(rng, 20, 105)
    observed = np.array([onsets < 100, np.zeros(100, dtype=bool), np.ones(100, dtype=bool)])
    found = responses([train, train, train], onsets, *windows(onsets), observed=observed)
    assert found.n_trials.tolist() == [48, 0, 100]
    assert found.response_rate[0] == pytest.approx(2 * found.response_rate[2], rel=0.1)
    for values in (found.response_rate, found.p_value, found.difference):
        assert np.isnan(values[1])
    alone = responses([train], onsets[:48], *windows(onsets[:48]))
    assert found.p_value[0] == alone.p_value[0]


def test_a_silent_unit_has_no_index_and_no_significance() -> None:
    onsets = np.arange(5.0, 15.0)
    found = responses([np.zeros(0)], onsets, *windows(onsets))
    assert found.response_rate[0] == 0
    assert np.isnan(found.modulation_index[0])
    assert found.p_value[0] == 1.0


def test_no_trials_at_all() -> None:
    found = responses([np.array([1.0])], np.zeros(0), *windows(np.zeros(0)))
    assert found.n_trials.tolist() == [0]
    assert found.condition_difference.shape == (1, 0)
    assert np.isnan(found.p_value[0])


def test_a_large_session_takes_seconds() -> None:
    rng = np.random.default_rng(0)
    trains = [np.sort(rng.uniform(0, 7200, 20_000)) for _ in range(500)]
    onsets = np.sort(rng.uniform(5, 7190, 1000))
    start = time.process_time()
    responses(trains, onsets, *windows(onsets))
    # 2,000 units by 1,000 trials are to take 2 s; a quarter of them here, with room for a slow machine
    assert time.process_time() - start < 2
