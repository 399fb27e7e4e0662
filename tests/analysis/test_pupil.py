"""Pupils that were drawn, found again."""

from __future__ import annotations

import numpy as np
import pytest

from project_cache.analysis.ellipse import Ellipse
from project_cache.analysis.pupil import find_pupil, find_reflection, pupil_level

SHAPE = (246, 329)


def eye(pupil: Ellipse | None, reflection: tuple[float, float] | None = None, lid: int = 0) -> np.ndarray:
    """Draw an eye of grey 100 in fur of grey 150, a pupil of 25, a white reflection, and a lid from above."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]

    def inside(ellipse: Ellipse) -> np.ndarray:
        return np.clip(0.5 - ellipse.distances(x.astype(float), y.astype(float)), 0, 1)

    picture = 150 - 50 * inside(Ellipse(165, 120, 100, 75, 0))
    if pupil is not None:
        picture += (25 - picture) * inside(pupil)
    if reflection is not None:
        picture += (255 - picture) * inside(Ellipse(*reflection, 4, 4, 0))
    picture[:lid] = 150
    return np.clip(picture + np.random.default_rng(1).normal(0, 4, SHAPE), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "known",
    [
        Ellipse(160.3, 118.7, 30.0, 26.0, 0.5),
        Ellipse(150.0, 110.5, 8.0, 7.0, 0.0),
        Ellipse(190.2, 130.1, 55.0, 50.0, -1.0),
    ],
    ids=["usual", "small", "large"],
)
def test_a_pupil_is_found_where_it_is_and_as_large(known: Ellipse) -> None:
    picture = eye(known, (known.center_x + 3, known.center_y - 2))
    level = pupil_level([picture])
    assert 50 < level < 75
    found = find_pupil(picture, level)
    assert found is not None
    assert np.hypot(found.ellipse.center_x - known.center_x, found.ellipse.center_y - known.center_y) < 0.5
    assert found.ellipse.area == pytest.approx(known.area, rel=0.05)
    # a quarter of the small one's outline is under the reflection
    assert found.likelihood > 0.7


def test_a_reflection_on_the_edge_and_a_lid_do_not_move_it() -> None:
    known = Ellipse(160.0, 120.0, 30.0, 28.0, 0.0)
    picture = eye(known, (188.0, 121.0), lid=104)
    found = find_pupil(picture, 62.0)
    assert found is not None
    assert np.hypot(found.ellipse.center_x - 160, found.ellipse.center_y - 120) < 1.5
    assert found.ellipse.area == pytest.approx(known.area, rel=0.08)
    # the part of the outline that nobody saw
    assert 0.5 < found.likelihood < 0.9


def test_a_closed_eye_has_no_pupil() -> None:
    assert find_pupil(eye(None), 62.0) is None


def test_a_shadow_at_the_border_is_no_pupil() -> None:
    picture = eye(Ellipse(160.0, 120.0, 20.0, 18.0, 0.0))
    picture[:, :60] = 20
    found = find_pupil(picture, 62.0)
    assert found is not None
    assert found.ellipse.center_x == pytest.approx(160, abs=1)
    picture[:, :] = 20
    assert find_pupil(picture, 62.0) is None


def test_a_picture_of_one_grey_has_no_level_and_no_pupil() -> None:
    blank = np.full(SHAPE, 90, dtype=np.uint8)
    assert pupil_level([blank]) == -1
    assert pupil_level([]) == -1
    assert find_pupil(blank, pupil_level([blank])) is None


def test_the_reflection_is_found_near_the_pupil_only() -> None:
    known = Ellipse(160.0, 120.0, 20.0, 18.0, 0.0)
    found = find_reflection(eye(known, (168.4, 113.2)), known)
    assert found is not None
    assert np.hypot(found.center_x - 168.4, found.center_y - 113.2) < 1
    assert found.area == pytest.approx(np.pi * 16, rel=0.3)
    assert find_reflection(eye(known), known) is None
    assert find_reflection(eye(known, (260.0, 120.0)), known) is None
