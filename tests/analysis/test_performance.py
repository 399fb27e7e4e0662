"""Rates, d prime, rewards a minute: against sums done one trial at a time."""

from __future__ import annotations

import numpy as np
import pytest

from project_cache.analysis.performance import (
    corrected_rate,
    d_prime,
    response_latency,
    reward_rate,
    rolling_rate,
)


def test_rate_looks_back_on_100_trials_and_no_further() -> None:
    rng = np.random.default_rng(0)
    outcome = rng.integers(0, 3, 350)
    rate, count = rolling_rate(outcome == 0, outcome == 1)
    for trial in (0, 1, 99, 100, 349):
        seen = outcome[max(0, trial - 99) : trial + 1]
        yes, no = (seen == 0).sum(), (seen == 1).sum()
        assert count[trial] == yes + no
        np.testing.assert_equal(rate[trial], yes / (yes + no) if yes + no else np.nan)


def test_rate_is_unknown_until_the_first_trial_of_its_kind() -> None:
    rate, count = rolling_rate(np.array([False, False, True]), np.array([False, False, False]))
    np.testing.assert_array_equal(rate, [np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(corrected_rate(rate, count), [np.nan, np.nan, 0.5])


def test_no_trials() -> None:
    nothing = np.empty(0)
    rate, count = rolling_rate(nothing.astype(bool), nothing.astype(bool))
    assert len(rate) == len(count) == 0
    assert len(reward_rate(nothing, nothing)) == 0


def test_d_prime_is_finite_at_the_ends() -> None:
    # 2 * norm.ppf(0.99)
    assert d_prime(np.array([1.0]), np.array([0.0]))[0] == pytest.approx(4.65269574808168, rel=1e-14)


def test_only_licks_within_the_window_answer() -> None:
    licks = [np.array([9.0, 10.1, 10.14, 10.4]), np.array([11.0]), np.array([]), np.array([1.0])]
    change = np.array([10.0, 12.0, 3.0, np.nan])
    np.testing.assert_allclose(response_latency(licks, change, 0.15), [0.4, np.inf, np.inf, np.inf])


def test_reward_rate_counts_the_trials_around() -> None:
    rng = np.random.default_rng(1)
    latency, start = rng.uniform(0, 2, 80), np.cumsum(rng.uniform(1, 5, 80))
    rate = reward_rate(latency, start)
    assert np.isnan(rate[:10]).all()
    for trial in (10, 30, 79):
        first, last = max(0, trial - 25), min(trial + 25, 80)
        rewards = (latency[first:last] < 0.75).sum()
        assert rate[trial] == pytest.approx(60 * rewards / (start[last - 1] - start[first]))


def test_trials_that_began_all_at_once_have_no_rate() -> None:
    assert np.isnan(reward_rate(np.zeros(12), np.ones(12))).all()
