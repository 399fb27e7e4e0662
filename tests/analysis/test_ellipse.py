"""Ellipses that are known, from points on them, near them and elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from project_cache.analysis.ellipse import Ellipse, fit_ellipse, fit_ellipse_robustly


def points(ellipse: Ellipse, number: int = 100, stop: float = 2 * np.pi) -> tuple[np.ndarray, np.ndarray]:
    angle = np.linspace(0, stop, number, endpoint=False)
    along, beside = ellipse.width * np.cos(angle), ellipse.height * np.sin(angle)
    cosine, sine = np.cos(ellipse.phi), np.sin(ellipse.phi)
    return (
        ellipse.center_x + along * cosine - beside * sine,
        ellipse.center_y + along * sine + beside * cosine,
    )


@pytest.mark.parametrize("phi", [0.0, 0.4, np.pi / 2, -1.2])
def test_an_ellipse_is_found_from_points_on_it(phi: float) -> None:
    known = Ellipse(321.5, 240.25, 40.0, 25.0, phi)
    found = fit_ellipse(*points(known))
    assert found is not None
    assert (found.center_x, found.center_y) == pytest.approx((321.5, 240.25))
    assert (found.width, found.height) == pytest.approx((40, 25))
    assert np.sin(found.phi - phi) == pytest.approx(0, abs=1e-8)
    assert found.area == pytest.approx(np.pi * 1000)


def test_half_of_the_outline_is_enough() -> None:
    known = Ellipse(100.0, 80.0, 30.0, 24.0, 0.3)
    rng = np.random.default_rng(0)
    x, y = points(known, 80, np.pi)
    found = fit_ellipse(x + rng.normal(0, 0.1, 80), y + rng.normal(0, 0.1, 80))
    assert found is not None
    assert np.hypot(found.center_x - 100, found.center_y - 80) < 1
    assert found.area == pytest.approx(known.area, rel=0.05)


def test_points_of_something_else_are_left_out() -> None:
    known = Ellipse(50.0, 40.0, 20.0, 15.0, 0.0)
    x, y = points(known, 100)
    # a lid that cuts a piece off: its points lie on a straight line inside the ellipse
    y[75:] = np.maximum(y[75:], 33.0)
    plain = fit_ellipse(x, y)
    found, near = fit_ellipse_robustly(x, y)
    assert plain is not None
    assert found is not None
    assert abs(found.area / known.area - 1) < 0.02 < abs(plain.area / known.area - 1)
    assert near.sum() < 90


def test_what_is_no_ellipse_has_none() -> None:
    line = np.arange(20.0)
    assert fit_ellipse(line[:5], line[:5] ** 2) is None
    assert fit_ellipse(line, np.zeros(20)) is None
    assert fit_ellipse(np.full(20, 3.0), np.full(20, 4.0)) is None
    assert fit_ellipse_robustly(line, 2 * line)[0] is None


def test_distances_are_outside_positive_and_inside_negative() -> None:
    circle = Ellipse(0.0, 0.0, 2.0, 2.0, 0.0)
    assert circle.distances(np.array([3.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])).tolist() == [
        1.0,
        -1.0,
        -2.0,
    ]
