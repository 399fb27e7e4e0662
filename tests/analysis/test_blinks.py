"""Which frames of an eye video are likely blinks."""

from __future__ import annotations

import numpy as np

from project_cache.analysis.blinks import likely_blinks


def areas() -> np.ndarray:
    return np.tile([99.0, 101.0], 50)


def test_an_outlier_takes_two_frames_with_it_on_either_side() -> None:
    eye = areas()
    eye[50] = 1000
    found = likely_blinks(eye, areas())
    assert np.flatnonzero(found).tolist() == [48, 49, 50, 51, 52]
    assert np.flatnonzero(likely_blinks(eye, areas(), dilation_frames=0)).tolist() == [50]
    assert not likely_blinks(eye, areas(), z_threshold=50).any()


def test_a_pupil_that_was_not_found_is_a_blink() -> None:
    pupil = areas()
    pupil[[0, 99]] = np.nan
    assert np.flatnonzero(likely_blinks(areas(), pupil)).tolist() == [0, 1, 2, 97, 98, 99]


def test_an_eye_that_never_changes_does_not_blink() -> None:
    assert not likely_blinks(np.ones(5), np.ones(5)).any()


def test_nothing_found_at_all() -> None:
    assert likely_blinks(np.full(3, np.nan), np.ones(3)).all()
    assert len(likely_blinks(np.empty(0), np.empty(0))) == 0
