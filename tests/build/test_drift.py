"""Activity drift: scipy's statistic for many units at once, and which trials it compares."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from project_cache.build.drift import activity_drift, anderson_darling


def test_the_statistic_is_that_of_scipy() -> None:
    from scipy.stats import anderson_ksamp

    rng = np.random.default_rng(1)
    for n_samples in (2, 3, 5):
        for rate in (0.1, 2.0, 60.0):
            sizes = rng.integers(2, 30, n_samples)
            code = np.repeat(np.arange(n_samples), sizes)
            counts = rng.poisson(rate * (1 + 0.3 * code), (4, len(code)))
            found = anderson_darling(counts, code)
            for row, value in zip(counts, found, strict=True):
                if len(np.unique(row)) < 2:
                    assert np.isnan(value)
                    continue
                with warnings.catch_warnings():
                    # that the p-value is beyond its table
                    warnings.simplefilter("ignore")
                    expected = anderson_ksamp(
                        [row[code == each] for each in range(n_samples)], variant="midrank"
                    ).statistic
                assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_what_cannot_be_tested_is_nan() -> None:
    assert np.isnan(anderson_darling([[1, 2, 3, 4]], [0, 0, 0, 0])).all()
    assert np.isnan(anderson_darling([[1, 2, 3]], [0, 0, 1])).all()
    assert np.isnan(anderson_darling([[7, 7, 7, 7]], [0, 0, 1, 1])).all()
    assert anderson_darling(np.zeros((0, 5), dtype=int), [0, 0, 0, 1, 1]).shape == (0,)


def table(n_trials: int = 120, n_blocks: int = 3) -> pd.DataFrame:
    index = np.arange(n_trials)
    block = index * n_blocks // n_trials
    return pd.DataFrame(
        {
            "trial_index": index,
            "stim_start_time": 10.0 + 6.0 * index,
            "stim_name": np.array(["vis1", "sound1", "vis1", "catch"])[index % 4],
            "block_index": block,
            "rewarded_modality": np.where(block % 2, "aud", "vis"),
        }
    )


def spikes(trials: pd.DataFrame, rates: np.ndarray, seed: int = 0) -> np.ndarray:
    """Spikes of a unit in the 3.5 s around each trial's stimulus, at each trial's rate."""
    rng = np.random.default_rng(seed)
    start = trials["stim_start_time"].to_numpy()
    return np.sort(
        np.concatenate(
            [
                rng.uniform(at - 1.5, at + 2.0, rng.poisson(rate * 3.5))
                for at, rate in zip(start, rates, strict=True)
            ]
        )
    )


def test_a_unit_that_fades_drifts_and_one_that_does_not_is_stable() -> None:
    trials = table()
    steady = spikes(trials, np.full(120, 5.0))
    fading = spikes(trials, np.linspace(20.0, 1.0, 120))
    silent = np.empty(0)
    found = activity_drift([steady, fading, silent], trials, [[0.0, 1000.0]])
    assert found[0] < 0.1 < found[1] <= 1.0
    assert np.isnan(found[2])


def test_catch_trials_and_trials_that_were_not_recorded_do_not_count() -> None:
    trials = table()
    late = trials["stim_start_time"].to_numpy() > 500.0
    rates = np.where((trials["stim_name"] == "catch") | late, 40.0, 5.0)
    unit = spikes(trials, rates)
    assert activity_drift([unit], trials, [[0.0, 400.0]])[0] < 0.1
    assert activity_drift([unit], trials, [[0.0, 1000.0]])[0] > 0.1
    assert np.isnan(activity_drift([unit], trials, [[0.0, 5.0]])).all()


def test_one_block_is_compared_in_three_parts() -> None:
    trials = table(n_blocks=1)
    fading = spikes(trials, np.linspace(20.0, 1.0, 120))
    assert activity_drift([fading], trials, [[0.0, 1000.0]])[0] > 0.1


def test_rows_of_the_same_trial_count_once() -> None:
    trials = table()
    unit = spikes(trials, np.linspace(8.0, 4.0, 120))
    twice = pd.concat([trials, trials], ignore_index=True).sort_values("trial_index", ignore_index=True)
    seen = [[0.0, 1000.0]]
    assert activity_drift([unit], twice, seen)[0] == activity_drift([unit], trials, seen)[0]
