"""The pupil and the corneal reflection in a picture of an eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from project_cache.analysis.ellipse import Ellipse, fit_ellipse, fit_ellipse_robustly
from project_cache.analysis.motion import binned

__all__ = ["PupilFit", "find_pupil", "find_reflection", "pupil_level"]

#: a component of fewer dark pixels is noise, or an eye that is closed
_FEWEST_PIXELS = 40
#: a pupil that is flatter than this is not one, but a lid's edge or a shadow
_FLATTEST = 0.35


@dataclass(frozen=True, slots=True)
class PupilFit:
    """The pupil that was found in a picture.

    Attributes
    ----------
    ellipse : Ellipse
        Its outline, in pixels; (0, 0) is the centre of the picture's first pixel.
    likelihood : float
        From 0 to 1: the share of the outline (in directions from its centre) along which an edge was found
        where the ellipse says.
    """

    ellipse: Ellipse
    likelihood: float


def pupil_level(pictures: Sequence[NDArray[np.uint8]]) -> float:
    """Return the grey level halfway between the dark pupil and what is around it, or -1 where none is seen.

    Parameters
    ----------
    pictures : sequence of numpy.ndarray of uint8, shape (height, width)
        A sample of a video's frames: twenty or so.

    Notes
    -----
    Pupils are looked for at sixteen levels from the darkest grey to the median. What is found at the right one
    is darker inside than around itself, and has an edge all around: the level is taken at which contrast times
    likelihood is largest, on average. A level from the histogram of greys alone (Otsu's) tells a pupil that is
    large in the picture from the eye, and a small one not: it then parts eye and fur.
    """
    if not len(pictures):
        return -1.0
    sample = np.concatenate([picture.ravel()[::7] for picture in pictures])
    darkest, median = np.percentile(sample, [0.05, 50])
    best, level = 0.0, -1.0
    for candidate in np.linspace(darkest, median, 18)[1:-1]:
        scores, halfway = [], []
        for picture in pictures:
            fit = find_pupil(picture, float(candidate))
            if fit is not None:
                inside, around = _greys(picture, fit.ellipse)
                scores.append(max(around - inside, 0.0) * fit.likelihood)
                halfway.append((inside + around) / 2)
        score = sum(scores) / len(pictures)
        if score > best:
            best, level = score, float(np.median(halfway))
    return level


def _greys(picture: NDArray[np.uint8], pupil: Ellipse) -> tuple[float, float]:
    """Return the median grey levels on ellipses of three quarters and of five quarters of the pupil's size."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    along, beside = pupil.width * np.cos(angle), pupil.height * np.sin(angle)
    across = along * np.cos(pupil.phi) - beside * np.sin(pupil.phi)
    down = along * np.sin(pupil.phi) + beside * np.cos(pupil.phi)
    height, width = picture.shape
    greys = []
    for scale in (0.75, 1.25):
        column = np.clip(np.rint(pupil.center_x + scale * across), 0, width - 1).astype(int)
        row = np.clip(np.rint(pupil.center_y + scale * down), 0, height - 1).astype(int)
        greys.append(float(np.median(picture[row, column])))
    return greys[0], greys[1]


def find_pupil(picture: NDArray[np.uint8], level: float) -> PupilFit | None:
    """Return the pupil in a picture: the largest dark and round thing. None where there is none (a blink).

    Parameters
    ----------
    picture : numpy.ndarray of uint8, shape (height, width)
        The eye.
    level : float
        The pupil is darker than this (:func:`pupil_level`).

    Notes
    -----
    Of the dark components, filled so that a reflection makes no hole, those that touch the picture's border
    are shadows; the largest of the others is the pupil. Its outline is where the grey level crosses `level`
    between two pixels, by linear interpolation, which is finer than a pixel; points of it that a lid, a
    whisker or a reflection moved are left out of the fit.
    """
    from scipy import ndimage

    place = _coarse_place(picture, level)
    if place is None:
        return None
    rows, columns = place
    smooth = ndimage.uniform_filter(picture[rows, columns].astype(np.float32), 3)
    labels, number = ndimage.label(smooth < level)
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    sizes[0] = 0
    if sizes.max() < _FEWEST_PIXELS:
        return None
    mask = ndimage.binary_fill_holes(labels == np.argmax(sizes))
    x, y = _outline(smooth, mask, level)
    ellipse, near = fit_ellipse_robustly(x, y)
    if ellipse is None or ellipse.height < _FLATTEST * ellipse.width:
        return None
    directions = np.arctan2(y - ellipse.center_y, x - ellipse.center_x)[near]
    sectors = np.unique(np.floor((directions + np.pi) / (2 * np.pi) * 36).astype(int) % 36)
    found = Ellipse(
        ellipse.center_x + columns.start,
        ellipse.center_y + rows.start,
        ellipse.width,
        ellipse.height,
        ellipse.phi,
    )
    height, width = picture.shape
    if not (
        0 <= found.center_x < width and 0 <= found.center_y < height and 2 * found.width < max(width, height)
    ):
        return None
    return PupilFit(found, len(sectors) / 36)


def _coarse_place(picture: NDArray[np.uint8], level: float) -> tuple[slice, slice] | None:
    """Return rows and columns around the largest dark thing that does not touch the picture's border.

    It is looked for in means over squares of pixels: on all pixels this would take most of the time.
    """
    from scipy import ndimage

    step = max(1, min(picture.shape) // 100)
    labels, number = ndimage.label(binned(picture, step) < level)
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    sizes[0] = 0
    sizes[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = 0
    if not sizes.max():
        return None
    rows, columns = ndimage.find_objects((labels == np.argmax(sizes)).astype(np.int8))[0]
    margin = 2 * step + 2
    return (
        slice(max(rows.start * step - margin, 0), rows.stop * step + margin),
        slice(max(columns.start * step - margin, 0), columns.stop * step + margin),
    )


def _outline(
    picture: NDArray[np.float32], mask: NDArray[np.bool_], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the picture crosses a level between pixels inside and outside of a mask."""
    x: list[NDArray[np.float64]] = []
    y: list[NDArray[np.float64]] = []
    for axis in (0, 1):
        first = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        second = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        row, column = np.nonzero(mask[first] != mask[second])
        here, there = picture[first][row, column].astype(float), picture[second][row, column].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.clip((level - here) / (there - here), 0, 1)
        part = np.nan_to_num(part, nan=0.5)
        x.append(column + (part if axis == 1 else 0.0))
        y.append(row + (part if axis == 0 else 0.0))
    return np.concatenate(x), np.concatenate(y)


def find_reflection(picture: NDArray[np.uint8], pupil: Ellipse, level: float = 240.0) -> Ellipse | None:
    """Return the corneal reflection: the bright spot nearest to the pupil's centre. None where there is none.

    Parameters
    ----------
    picture : numpy.ndarray of uint8, shape (height, width)
        The eye.
    pupil : Ellipse
        The pupil. The spot is looked for within two of its larger half-axes, and is not larger than it.
    level : float
        The spot is as bright as this, or brighter.
    """
    from scipy import ndimage

    reach = 2 * pupil.width
    top, left = max(int(pupil.center_y - reach), 0), max(int(pupil.center_x - reach), 0)
    part = picture[top : int(pupil.center_y + reach) + 2, left : int(pupil.center_x + reach) + 2]
    labels, number = ndimage.label(part >= level)
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    names = [name for name in range(1, number + 1) if 4 <= sizes[name] <= pupil.area]
    if not names:
        return None
    centers = np.array(ndimage.center_of_mass(labels > 0, labels, names))
    off = np.hypot(centers[:, 1] + left - pupil.center_x, centers[:, 0] + top - pupil.center_y)
    if off.min() > reach:
        return None
    nearest = names[int(np.argmin(off))]
    mask = np.pad(labels == nearest, 1)
    x, y = _outline(mask.astype(np.float32), mask, 0.5)
    ellipse = fit_ellipse(x, y)
    if ellipse is None:
        return None
    return Ellipse(
        ellipse.center_x + left - 1, ellipse.center_y + top - 1, ellipse.width, ellipse.height, ellipse.phi
    )
