"""Ellipses fitted to points of the plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ellipse", "fit_ellipse", "fit_ellipse_robustly"]

#: a fit that this part of the points is near to needs no other
_MOST = 0.9
_STARTS = 12
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse, in the unit of the points that it was fitted to (pixels, for images).

    Attributes
    ----------
    center_x, center_y : float
        The centre.
    width, height : float
        The two half-axes, the larger one first.
    phi : float
        The angle of the larger axis from the x axis towards the y axis (rad), in (-π/2, π/2].
    """

    center_x: float
    center_y: float
    width: float
    height: float
    phi: float

    @property
    def area(self) -> float:
        """The area that it encloses."""
        return float(np.pi * self.width * self.height)

    def distances(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far outside of the ellipse points are (negative: inside), along the line to its centre.

        Parameters
        ----------
        x, y : numpy.ndarray
            The points.
        """
        across, down = x - self.center_x, y - self.center_y
        cosine, sine = np.cos(self.phi), np.sin(self.phi)
        along = (across * cosine + down * sine) / self.width
        beside = (down * cosine - across * sine) / self.height
        scale = np.hypot(along, beside)
        radius = np.hypot(across, down)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(scale > 0, radius - radius / scale, -self.height)


def fit_ellipse(x: NDArray[np.float64], y: NDArray[np.float64]) -> Ellipse | None:
    """Return the ellipse that fits points best, or None where no ellipse does.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (points,)
        At least six points.

    Notes
    -----
    The direct least-squares fit of Fitzgibbon, Pilu & Fisher (IEEE TPAMI 21, 476, 1999): the algebraic
    distance is made least under the constraint that the conic is an ellipse; in the form of Halíř & Flusser
    (WSCG 1998), which stays stable for points that lie exactly on one.

    Examples
    --------
    >>> angle = np.linspace(0, 2 * np.pi, 20)
    >>> found = fit_ellipse(5 + 3 * np.cos(angle), 7 + 2 * np.sin(angle))
    >>> [round(value, 6) for value in (found.center_x, found.center_y, found.width, found.height)]
    [5.0, 7.0, 3.0, 2.0]
    """
    if len(x) < 6:
        return None
    # centred and scaled: squares of pixel coordinates would spread the matrices over many magnitudes
    middle_x, middle_y = float(x.mean()), float(y.mean())
    scale = float(np.sqrt(((x - middle_x) ** 2 + (y - middle_y) ** 2).mean()))
    if not scale > 0:
        return None
    u, v = (x - middle_x) / scale, (y - middle_y) / scale
    squares = np.stack([u * u, u * v, v * v], axis=1)
    lines = np.stack([u, v, np.ones_like(u)], axis=1)
    scatter, cross, linear = squares.T @ squares, squares.T @ lines, lines.T @ lines
    try:
        reduce = -np.linalg.solve(linear, cross.T)
        reduced = scatter + cross @ reduce
        # the inverse of the constraint 4ac - b² = 1
        _, vectors = np.linalg.eig(np.stack([reduced[2] / 2, -reduced[1], reduced[0] / 2]))
    except np.linalg.LinAlgError:
        return None
    vectors = vectors.real
    with np.errstate(invalid="ignore"):
        elliptic = 4 * vectors[0] * vectors[2] - vectors[1] ** 2 > 0
    if not elliptic.any():
        return None
    a, b, c = vectors[:, np.flatnonzero(elliptic)[0]]
    d, e, f = reduce @ np.array([a, b, c])
    return _from_conic(a, b, c, d, e, f, middle_x, middle_y, scale)


def _from_conic(
    a: float, b: float, c: float, d: float, e: float, f: float, middle_x: float, middle_y: float, scale: float
) -> Ellipse | None:
    """Return the ellipse au² + buv + cv² + du + ev + f = 0, moved back and scaled."""
    determinant = b * b - 4 * a * c
    center_u, center_v = (2 * c * d - b * e) / determinant, (2 * a * e - b * d) / determinant
    value = f + (d * center_u + e * center_v) / 2
    values, axes = np.linalg.eigh(np.array([[a, b / 2], [b / 2, c]]))
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = -value / values
    if not (np.isfinite(squared).all() and (squared > 0).all()):
        return None
    longer = int(np.argmax(squared))
    phi = float(np.arctan2(axes[1, longer], axes[0, longer]))
    if phi > np.pi / 2:
        phi -= np.pi
    elif phi <= -np.pi / 2:
        phi += np.pi
    half = np.sqrt(squared) * scale
    return Ellipse(
        float(center_u * scale + middle_x),
        float(center_v * scale + middle_y),
        float(half[longer]),
        float(half[1 - longer]),
        phi,
    )


def fit_ellipse_robustly(
    x: NDArray[np.float64], y: NDArray[np.float64], tolerance: float = 1.0
) -> tuple[Ellipse | None, NDArray[np.bool_]]:
    """Return the ellipse that fits most points, and which points these are.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (points,)
        The points.
    tolerance : float
        A point is of the ellipse if it is not further from it than this.

    Returns
    -------
    ellipse : Ellipse or None
        None where no ellipse fits.
    near : numpy.ndarray of bool, shape (points,)
        Which points are of it.

    Notes
    -----
    Where the fit to all points leaves more than a tenth of them aside, it is begun anew with each of twelve half
    outlines, of which some are without what does not belong (a lid, a reflection). The one that comes near
    the most points is fitted again to these, until they stay the same.
    """
    found, near = _near(x, y, np.ones(len(x), dtype=bool), tolerance)
    if near.all():
        return found, near
    if found is None or near.mean() < _MOST:
        direction = np.arctan2(y - y.mean(), x - x.mean())
        for middle in np.linspace(-np.pi, np.pi, _STARTS, endpoint=False):
            start = _near(x, y, np.cos(direction - middle) > 0, tolerance)
            if start[1].sum() > near.sum():
                found, near = start
    for _ in range(_ROUNDS):
        again, kept = _near(x, y, near, tolerance)
        if again is None or kept.sum() < near.sum() or (kept == near).all():
            break
        found, near = again, kept
    if found is None:
        return None, np.zeros(len(x), dtype=bool)
    return fit_ellipse(x[near], y[near]) or found, near


def _near(
    x: NDArray[np.float64], y: NDArray[np.float64], of: NDArray[np.bool_], tolerance: float
) -> tuple[Ellipse | None, NDArray[np.bool_]]:
    """Return the ellipse that fits some of the points, and which of all points are near it."""
    found = fit_ellipse(x[of], y[of])
    if found is None:
        return None, np.zeros(len(x), dtype=bool)
    return found, np.abs(found.distances(x, y)) <= tolerance
