"""Blinks: the frames of an eye video in which the fits are not to be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["likely_blinks"]


def likely_blinks(
    eye_area: NDArray[np.float64],
    pupil_area: NDArray[np.float64],
    z_threshold: float = 3.0,
    dilation_frames: int = 2,
) -> NDArray[np.bool_]:
    """Return whether each frame is likely part of a blink.

    Parameters
    ----------
    eye_area, pupil_area : numpy.ndarray, shape (frames,)
        The areas of the ellipses that were fitted (px²), NaN where none could be.
    z_threshold : float
        A frame is an outlier if either area is further from its mean than this many standard deviations.
    dilation_frames : int
        How many frames on either side of an outlier, or of a frame without a fit, are marked with it.

    Notes
    -----
    The rule is that of the Allen Institute's behaviour projects (AllenSDK 2.16.2). Means and standard
    deviations are of the whole population (``ddof=0``) of frames that have a fit.

    Examples
    --------
    >>> area = np.array([5.0, 5, 5, np.nan, 5, 5, 5])
    >>> likely_blinks(area, np.ones(7), dilation_frames=1)
    array([False, False,  True,  True,  True, False, False])
    """
    blinks = np.zeros(len(eye_area), dtype=bool)
    for area in (eye_area, pupil_area):
        known = ~np.isnan(area)
        blinks |= ~known
        fits = area[known]
        spread = fits.std() if fits.size else 0.0
        if spread > 0:
            blinks[known] |= np.abs((fits - fits.mean()) / spread) > z_threshold
    for _ in range(dilation_frames):
        before = blinks.copy()
        blinks[1:] |= before[:-1]
        blinks[:-1] |= before[1:]
    return blinks
