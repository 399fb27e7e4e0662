"""Motion energy and components of videos whose motion is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from project_cache.analysis.motion import binned, motion_components


def moving(n_frames: int) -> np.ndarray:
    """Frames in which two patches flicker, each in a time course of its own, on top of a still picture."""
    rng = np.random.default_rng(1)
    frames = np.full((n_frames, 12, 10), 100.0)
    frames[:, 2:5, 1:4] += np.cumsum(rng.choice([-1, 1], n_frames) * rng.exponential(3, n_frames))[
        :, None, None
    ]
    frames[:, 7:11, 5:9] += np.cumsum(rng.choice([-1, 1], n_frames) * rng.exponential(1, n_frames))[
        :, None, None
    ]
    return frames.astype(np.float32)


def test_the_components_are_those_of_the_whole_decomposition() -> None:
    frames = moving(900)
    motion = motion_components(lambda: iter(frames), 900, n_components=2)
    differences = np.abs(np.diff(frames, axis=0)).reshape(899, -1)
    centred = differences - differences.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    assert motion.masks.shape == (2, 12, 10)
    overlap = np.abs(np.sum(motion.masks.reshape(2, -1) * axes[:2], axis=1))
    assert (overlap > 0.999).all()
    np.testing.assert_allclose(motion.singular_values, values[:2], rtol=0.01)
    np.testing.assert_allclose(np.abs(motion.scores[1:]), np.abs(centred @ axes[:2].T), atol=0.05)
    np.testing.assert_allclose(motion.average, differences.mean(axis=0).reshape(12, 10), rtol=1e-4)


def test_energy_is_the_mean_absolute_difference_and_unknown_for_the_first_frame() -> None:
    frames = np.zeros((3, 2, 2), dtype=np.float32)
    frames[2, 0, 0] = 8
    motion = motion_components(lambda: iter(frames), 3, n_components=5)
    assert np.isnan(motion.energy[0])
    assert motion.energy[1:].tolist() == [0.0, 2.0]


def test_a_frame_that_is_no_picture_does_not_count_as_motion() -> None:
    frames = moving(40)
    frames[0] = 255
    motion = motion_components(lambda: iter(frames), 40, n_components=3, first=1)
    assert np.isnan(motion.energy[:2]).all()
    assert np.isnan(motion.scores[:2]).all()
    assert np.nanmax(motion.energy) < 20


def test_what_stands_still_has_no_components() -> None:
    motion = motion_components(lambda: iter(np.ones((5, 4, 4), dtype=np.float32)), 5)
    assert motion.scores.shape == (5, 0)
    assert motion_components(lambda: iter([]), 0).scores.shape == (0, 0)


def test_frames_are_streamed_twice_and_the_result_is_always_the_same() -> None:
    passes = []

    def frames() -> Iterator[np.ndarray]:
        passes.append(len(passes))
        yield from moving(300)

    first, second = (motion_components(frames, 300, n_components=4) for _ in range(2))
    assert len(passes) == 4
    assert np.array_equal(first.scores, second.scores, equal_nan=True)
    assert (first.masks.reshape(len(first.masks), -1).max(axis=1) > 0).all()


def test_binning_takes_means_and_cuts_off_what_is_left() -> None:
    frame = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert binned(frame, 2).tolist() == [[3.0, 5.0], [13.0, 15.0]]
