"""Spikes in windows of time: which, and how many, by two searches a window."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["bounds", "spikes_in"]

Side = Literal["left", "right"]


def bounds(
    train: NDArray[np.float64],
    starts: NDArray[np.float64],
    stops: NDArray[np.float64],
    start_side: Side = "left",
    stop_side: Side = "right",
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the place of each window's first spike in a train, and how many there are.

    Parameters
    ----------
    train : numpy.ndarray
        Spike times (s), in order.
    starts, stops : numpy.ndarray, shape (windows,)
        Where the windows begin and end (s); they may overlap, and be in any order.
    start_side, stop_side : {"left", "right"}
        A start belongs to its window with ``left``, a stop to its window with ``right``.

    Examples
    --------
    >>> bounds(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5]), np.array([2.0, 9.0]))
    (array([0, 2]), array([2, 1]))
    """
    first = np.searchsorted(train, starts, side=start_side)
    number = np.searchsorted(train, stops, side=stop_side) - first
    return first, np.maximum(number, 0)


def spikes_in(
    train: NDArray[np.float64],
    starts: NDArray[np.float64],
    stops: NDArray[np.float64],
    start_side: Side = "left",
    stop_side: Side = "right",
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the spikes in each of several windows, one window after the other.

    Parameters
    ----------
    train, starts, stops, start_side, stop_side
        As of :func:`bounds`.

    Returns
    -------
    window : numpy.ndarray of int, shape (spikes,)
        The number of each spike's window.
    times : numpy.ndarray, shape (spikes,)
        The spikes' times (s). A spike in two windows is there twice.

    Examples
    --------
    >>> spikes_in(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0]), np.array([2.0, 9.0]))
    (array([0, 0, 1, 1]), array([1., 2., 2., 3.]))
    """
    first, number = bounds(train, starts, stops, start_side, stop_side)
    ends = np.cumsum(number)
    total = int(ends[-1]) if len(ends) else 0
    window = np.repeat(np.arange(len(first)), number)
    place = np.arange(total)
    place += np.repeat(first - (ends - number), number)
    return window, train[place]
