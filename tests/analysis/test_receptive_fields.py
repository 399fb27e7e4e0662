"""Maps and curves of units whose tuning is known."""

from __future__ import annotations

import numpy as np

from project_cache.analysis.receptive_fields import chance_of, tuning


def grid(repeats: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid([-20.0, 0.0, 20.0, 40.0], [-10.0, 0.0, 10.0])
    return np.tile(x.ravel(), repeats), np.tile(y.ravel(), repeats)


def test_a_map_is_of_rows_y_by_columns_x() -> None:
    x, y = grid(3)
    counts = np.where((x == 40) & (y == -10), 5, 1)[None]
    found = tuning(counts, np.full(len(x), 0.25), x, y)
    assert found.axes[0].tolist() == [-20, 0, 20, 40]
    assert found.axes[1].tolist() == [-10, 0, 10]
    assert found.rate.shape == (1, 3, 4)
    assert found.rate[0, 0, 3] == 20.0
    assert found.rate[0, 2, 0] == 4.0
    assert (found.n_trials == 3).all()


def test_places_that_were_not_shown_are_nan() -> None:
    found = tuning(np.ones((2, 3)), np.ones(3), np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    assert np.isnan(found.rate[:, 1, 0]).all()
    assert found.n_trials.tolist() == [[1, 1], [0, 1]]


def test_tuned_units_are_significant_and_others_as_often_as_chance_has_it() -> None:
    rng = np.random.default_rng(2)
    x, y = grid(10)
    rate = rng.uniform(0.5, 6, 300)
    untuned = rng.poisson(rate[:, None], (300, len(x)))
    tuned = rng.poisson(np.where((x == 20) & (y == 0), 6, 1.5), (20, len(x)))
    found = tuning(np.concatenate([untuned, tuned]), np.full(len(x), 0.175), x, y)
    assert 0.02 < (found.p_value[:300] < 0.05).mean() < 0.09
    assert (found.p_value[300:] < 0.01).all()


def test_variability_alone_is_no_tuning() -> None:
    """Counts that vary more than Poisson's fail a chi-square test by its table; not this one."""
    rng = np.random.default_rng(4)
    x, _ = grid(10)
    counts = rng.poisson(rng.gamma(0.5, 6, (300, len(x))))
    assert 0.02 < (chance_of(counts, np.unique(x, return_inverse=True)[1]) < 0.05).mean() < 0.09


def test_the_same_data_give_the_same_chance() -> None:
    rng = np.random.default_rng(8)
    counts, condition = rng.poisson(2, (5, 60)), np.arange(60) % 6
    assert chance_of(counts, condition).tolist() == chance_of(counts, condition).tolist()
    # and do not depend on which units are with it
    assert chance_of(counts[2:3], condition)[0] == chance_of(counts, condition)[2]


def test_without_spikes_or_with_one_condition_there_is_nothing_to_test() -> None:
    assert np.isnan(chance_of(np.zeros((1, 6)), np.arange(6) % 2)).all()
    assert np.isnan(chance_of(np.ones((1, 6)), np.zeros(6, dtype=int))).all()


def test_two_conditions_that_differ_give_the_smallest_chance_there_is() -> None:
    counts = np.repeat([[9, 1]], 30, axis=0).T.reshape(1, -1)
    assert chance_of(counts, np.arange(60) // 30)[0] == 1 / 1001
