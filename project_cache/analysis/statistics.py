"""How many spikes units fire under each condition: number, mean, spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project_cache.analysis.windows import Side, bounds

__all__ = ["ConditionStatistics", "statistics_by_condition"]


@dataclass(frozen=True, slots=True)
class ConditionStatistics:
    """What units did under each condition; arrays are of conditions by units, if not said otherwise.

    Attributes
    ----------
    windows : numpy.ndarray of int64, shape (conditions,)
        How many windows there are of each condition.
    spikes : numpy.ndarray of int64
        How many spikes there are in them.
    mean, std, sem : numpy.ndarray of float64
        Of the number of spikes in a window, or of the rate (1/s). The standard deviation is of a sample
        (``ddof=1``); it and the standard error are NaN for conditions of one window.
    fired : numpy.ndarray of bool, shape (units,)
        Whether a unit fired in any window, of a condition or of none.
    """

    windows: NDArray[np.int64]
    spikes: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    sem: NDArray[np.float64]
    fired: NDArray[np.bool_]


def statistics_by_condition(
    train_of: Callable[[Any], NDArray[np.float64]],
    units: Sequence[Any],
    starts: NDArray[np.float64],
    stops: NDArray[np.float64],
    condition: NDArray[np.intp],
    durations: NDArray[np.float64] | None = None,
    start_side: Side = "right",
    stop_side: Side = "right",
) -> ConditionStatistics:
    """Return how many spikes each unit fires in the windows of each condition.

    Parameters
    ----------
    train_of : callable
        Gives the spike times of a unit (s), in order. It is called once for each.
    units : sequence
        The units.
    starts, stops : numpy.ndarray, shape (windows,)
        Where the windows begin and end (s).
    condition : numpy.ndarray of int, shape (windows,)
        The condition of each, from 0 on, without gaps; -1 for those of none.
    durations : numpy.ndarray, shape (windows,), optional
        What to divide each window's number of spikes by, to have rates.
    start_side, stop_side : {"left", "right"}
        As of :func:`~project_cache.analysis.windows.bounds`. By default a window is without its start.

    Examples
    --------
    >>> found = statistics_by_condition(
    ...     {7: np.array([0.5, 1.5, 1.6])}.get, [7], np.arange(3.0), np.arange(1.0, 4.0), np.array([0, 0, 1])
    ... )
    >>> found.spikes.tolist(), found.mean.tolist(), found.windows.tolist()
    ([[3], [0]], [[1.5], [0.0]], [2, 1])
    """
    order = np.argsort(condition, kind="stable")
    order = order[condition[order] >= 0]
    windows = np.bincount(condition[order]) if len(order) else np.zeros(0, dtype=np.int64)
    begins = np.cumsum(windows) - windows
    shape = (len(units), len(windows))
    spikes, fired = np.zeros(shape, dtype=np.int64), np.zeros(len(units), dtype=bool)
    mean, variance = np.empty(shape), np.empty(shape)
    by_duration = None if durations is None else durations[order]
    with np.errstate(divide="ignore", invalid="ignore"):
        for number, unit in enumerate(units):
            count = bounds(train_of(unit), starts, stops, start_side, stop_side)[1]
            fired[number] = count.any()
            if not len(windows):
                continue
            count = count[order]
            spikes[number] = np.add.reduceat(count, begins)
            values = count if by_duration is None else count / by_duration
            total = spikes[number] if by_duration is None else np.add.reduceat(values, begins)
            mean[number] = total / windows
            off = values - np.repeat(mean[number], windows)
            variance[number] = np.add.reduceat(off * off, begins) / (windows - 1)
        std = np.sqrt(variance)
        sem = std / np.sqrt(windows)
    return ConditionStatistics(windows.astype(np.int64), spikes.T, mean.T, std.T, sem.T, fired)
