"""All spikes in windows of time, of many units, in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project_cache.analysis.windows import Side, bounds

__all__ = ["SpikesInWindows", "spikes_by_time"]

#: spikes that are put in order at once: what is sorted should stay in the processor's memory
_AT_ONCE = 1 << 17


@dataclass(frozen=True, slots=True)
class SpikesInWindows:
    """Spikes in the order of time, and to which window and unit each belongs.

    Attributes
    ----------
    times : numpy.ndarray, shape (spikes,)
        When each was fired (s). Spikes of the same time are in the order of their units.
    window, unit : numpy.ndarray of int32, shape (spikes,)
        The number of its window, and of its unit.
    """

    times: NDArray[np.float64]
    window: NDArray[np.int32]
    unit: NDArray[np.int32]


def spikes_by_time(
    train_of: Callable[[Any], NDArray[np.float64]],
    units: Sequence[Any],
    starts: NDArray[np.float64],
    stops: NDArray[np.float64],
    start_side: Side = "right",
    stop_side: Side = "right",
) -> SpikesInWindows:
    """Return the spikes of all units in all windows, in the order of time.

    Parameters
    ----------
    train_of : callable
        Gives the spike times of a unit (s), in order. It is called once for each.
    units : sequence
        The units.
    starts, stops : numpy.ndarray, shape (windows,)
        Where the windows begin and end (s); they may overlap, and be in any order.
    start_side, stop_side : {"left", "right"}
        As of :func:`~project_cache.analysis.windows.bounds`. By default a window is without its start.

    Notes
    -----
    Each spike is put at once among those of its window, so that what is left to be sorted is short.
    """
    order = np.argsort(starts, kind="stable")
    starts, stops = starts[order], stops[order]
    found: list[NDArray[np.float64]] = []
    counts = np.empty((len(units), len(starts)), dtype=np.int32)
    for number, unit in enumerate(units):
        train = train_of(unit)
        first, count = bounds(train, starts, stops, start_side, stop_side)
        found.append(train[_places(first, count)])
        counts[number] = count
    in_window = counts.sum(axis=0, dtype=np.int64)
    ends = np.cumsum(in_window)
    total = int(ends[-1]) if len(ends) else 0
    times, of_unit = np.empty(total), np.empty(total, dtype=np.int32)
    free = ends - in_window
    for number, some in enumerate(found):
        into = _places(free, counts[number])
        times[into] = some
        of_unit[into] = number
        free += counts[number]
    del found, counts
    window = np.repeat(order.astype(np.int32), in_window)
    for start, stop in _stretches(starts, stops, ends):
        sort = _order(times[start:stop])
        for values in (times, of_unit, window):
            values[start:stop] = values[start:stop][sort]
    return SpikesInWindows(times, window, of_unit)


def _places(first: NDArray[np.intp], count: NDArray[Any]) -> NDArray[np.intp]:
    """Return ``count`` places from each ``first`` on, one row of them after the other.

    >>> _places(np.array([5, 9]), np.array([2, 1])).tolist()
    [5, 6, 9]
    """
    ends = np.cumsum(count)
    places = np.arange(ends[-1] if len(ends) else 0)
    places += np.repeat(first - (ends - count), count)
    return places


def _order(times: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return what puts times in order, those that are equal as they come.

    The sort that leaves equal times as they come is a fifth as fast as the one that does not. So it is
    the latter, and then equal times, which are few, are put right by a sort of whole numbers.

    >>> _order(np.array([2.0, 1.0, 2.0, 1.0])).tolist()
    [1, 3, 0, 2]
    """
    order = np.argsort(times)
    in_order = times[order]
    changes = in_order[1:] != in_order[:-1]
    if not changes.all():
        tied = np.flatnonzero(~np.concatenate(([True], changes)) | ~np.concatenate((changes, [True])))
        group = np.concatenate(([0], np.cumsum(changes)))[tied] * len(times)
        order[tied] = np.sort(group + order[tied]) - group
    return order


def _stretches(
    starts: NDArray[np.float64], stops: NDArray[np.float64], ends: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """Return where to cut the spikes so that no window overlaps with one of another stretch."""
    if not len(ends) or not ends[-1]:
        return []
    latest = np.maximum.accumulate(stops)
    cuts: list[int] = [0]
    for end in ends[:-1][latest[:-1] <= starts[1:]].tolist() if len(ends) > 1 else []:
        if end - cuts[-1] >= _AT_ONCE:
            cuts.append(end)
    cuts.append(int(ends[-1]))
    return [(start, stop) for start, stop in zip(cuts[:-1], cuts[1:], strict=True) if stop > start]
