"""Which lick, and which water, is a trial's."""

from __future__ import annotations

import numpy as np

from project_cache.build.trial_columns import assigned_rewards, first_inside

START, STOP = np.array([0.0, 10.0, 20.0]), np.array([8.0, 18.0, 28.0])


def test_the_first_lick_in_each_window() -> None:
    licks = np.array([7.0, 8.0, 19.0, 20.0, 21.0])
    np.testing.assert_array_equal(first_inside(licks, START, STOP), [7.0, np.nan, 20.0])
    assert np.isnan(first_inside([], START, STOP)).all()


def test_one_reward_for_each_rewarded_trial() -> None:
    # the second came after its trial had ended
    made = assigned_rewards(np.array([5.0, 19.0]), START, STOP, np.array([True, True, False]))
    np.testing.assert_array_equal(made, [5.0, 19.0, np.nan])


def test_more_rewards_than_rewarded_trials() -> None:
    made = assigned_rewards(np.array([5.0, 6.0, 25.0, 40.0]), START, STOP, np.array([True, False, False]))
    np.testing.assert_array_equal(made, [5.0, np.nan, np.nan])
