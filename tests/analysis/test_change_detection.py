"""Changes of image, and the trial that each presentation belongs to."""

from __future__ import annotations

import numpy as np

from project_cache.analysis.change_detection import (
    copy_to_replays,
    find_active,
    find_changes,
    find_trials,
    flashes_since_change,
)

NAMES = np.array(["a", "a", "omitted", "b", "b", "omitted", "b", "a"], dtype=object)
OMITTED = NAMES == "omitted"


def test_omitted_images_are_passed_over() -> None:
    changes = find_changes(NAMES, ~OMITTED)
    assert np.flatnonzero(changes).tolist() == [3, 7]
    assert flashes_since_change(changes, OMITTED).tolist() == [0, 1, 1, 0, 1, 1, 2, 0]


def test_a_session_that_begins_with_an_omission() -> None:
    names, omitted = NAMES[2:], OMITTED[2:]
    changes = find_changes(names, ~omitted)
    assert np.flatnonzero(changes).tolist() == [5]
    assert flashes_since_change(changes, omitted).tolist() == [0, 1, 2, 2, 3, 0]


def test_no_presentations() -> None:
    nothing = np.empty(0, dtype=bool)
    assert len(find_changes(np.empty(0, dtype=object), nothing)) == 0
    assert len(flashes_since_change(nothing, nothing)) == 0


def test_a_block_is_active_as_a_whole() -> None:
    start = np.arange(6.0)
    image = np.array([True, True, True, True, False, True])
    block = np.array([0, 0, 0, 1, 1, 2])
    began, ended = np.array([0.5, 1.5]), np.array([1.5, 2.5])
    assert find_active(start, image, block, began, ended).tolist() == [True, True, True, False, False, False]
    assert find_active(start, image, None, began, ended).tolist() == [False, True, True, False, False, False]
    assert not find_active(start, image, block, began[:0], ended[:0]).any()


def test_each_presentation_is_in_the_last_trial_that_had_begun() -> None:
    start = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 9.0])
    image = np.array([True, True, True, False, True, True])
    trials = np.array([7, 8, 9]), np.array([0.5, 1.0, 3.5]), np.array([0.9, 2.0, 5.0])
    assert find_trials(start, image, *trials).tolist() == [-99, 7, 8, -99, 9, -99]
    assert find_trials(start, image, *(each[:0] for each in trials)).tolist() == [-99] * 6


def test_a_replay_of_the_same_images_has_the_same_trials() -> None:
    names = np.array(["a", "b", np.nan, "a", "b", "b", "a"], dtype=object)
    block = np.array([0, 0, 1, 2, 2, 3, 3])
    active = block == 0
    assert copy_to_replays(np.arange(7), names, block, active).tolist() == [0, 1, 2, 0, 1, 5, 6]
