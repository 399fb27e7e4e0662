"""Spike counts in time bins: presentations by bins by units, without going through the bins.

Most bins of a recording are empty: 200 bins of 12 ms around 600 presentations hold ten spikes a
hundred bins. So it is the spikes in the windows that are looked at, each once, and not the bins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from project_cache.analysis.windows import spikes_in
from project_cache.errors import ConfigurationError

__all__ = ["build_spike_histogram", "build_time_window_domain"]

#: units that are counted together before they are written to the result, of which they are neighbours
_TOGETHER = 32
#: … as long as what they are counted in stays below this many bytes
_BLOCK = 1 << 23


def build_time_window_domain(
    bin_edges: ArrayLike,
    offsets: ArrayLike,
    callback: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> NDArray[np.float64]:
    """Return the bin edges around each of several times.

    Parameters
    ----------
    bin_edges : array-like, shape (edges,)
        Edges relative to each time, in seconds.
    offsets : array-like, shape (rows,)
        The times, in seconds.
    callback : callable, optional
        What is to be done to the result before it is returned.

    Returns
    -------
    numpy.ndarray, shape (rows, edges)

    Examples
    --------
    >>> build_time_window_domain([0, 0.5, 1], [10, 20]).tolist()
    [[10.0, 10.5, 11.0], [20.0, 20.5, 21.0]]
    """
    edges, times = np.asarray(bin_edges, dtype=np.float64), np.asarray(offsets, dtype=np.float64)
    domain: NDArray[np.float64] = edges[np.newaxis, :] + times[:, np.newaxis]
    return domain if callback is None else callback(domain)


def build_spike_histogram(
    time_domain: ArrayLike,
    spike_times: Mapping[Any, NDArray[np.float64]],
    unit_ids: ArrayLike,
    dtype: DTypeLike | None = None,
    binarize: bool = False,
    *,
    half_open: bool = False,
) -> NDArray[Any]:
    """Return how many spikes each unit fired in each bin.

    Parameters
    ----------
    time_domain : array-like, shape (rows, edges)
        The edges of each row's bins (s), in order.
    spike_times : mapping
        The spike times of each unit (s), in order.
    unit_ids : array-like
        The units.
    dtype : dtype-like, optional
        Of the result. uint16 if it is not given; uint8 for ``binarize``.
    binarize : bool
        1 for any number of spikes.
    half_open : bool
        Bins are ``[start, stop)``, so that no spike is counted twice. By default both ends belong to a
        bin, as in AllenSDK, and a spike on the edge of two bins is in both.

    Returns
    -------
    numpy.ndarray, shape (rows, edges - 1, units)

    Raises
    ------
    ConfigurationError
        The edges are not a table, or not in order.

    Examples
    --------
    >>> build_spike_histogram([[0, 1, 2]], {5: np.array([0.5, 1.0])}, [5])[:, :, 0].tolist()
    [[2, 1]]
    >>> build_spike_histogram([[0, 1, 2]], {5: np.array([0.5, 1.0])}, [5], half_open=True)[:, :, 0].tolist()
    [[1, 1]]
    """
    domain = np.ascontiguousarray(time_domain, dtype=np.float64)
    units = np.asarray(unit_ids)
    if domain.ndim != 2 or domain.shape[1] < 1:
        raise ConfigurationError(f"The edges of bins must be a table of rows by edges, not {domain.shape}.")
    if (domain[:, 1:] < domain[:, :-1]).any():
        raise ConfigurationError("The edges of bins go back in time. Sort them within each row.")
    kind = np.dtype((np.uint8 if binarize else np.uint16) if dtype is None else dtype)
    rows, bins = domain.shape[0], domain.shape[1] - 1
    counts = np.zeros((rows, bins, units.size), dtype=kind)
    flat = counts.reshape(rows * bins, units.size)
    if not flat.size:
        return counts
    together = max(1, min(_TOGETHER, units.size, _BLOCK // max(1, rows * bins * kind.itemsize)))
    block = np.empty((rows * bins, together), dtype=kind)
    listed = units.ravel().tolist()
    for first in range(0, len(listed), together):
        some = listed[first : first + together]
        block[:] = 0
        for n, unit in enumerate(some):
            _count(block, n, np.asarray(spike_times[unit]), domain, binarize, half_open)
        flat[:, first : first + len(some)] = block[:, : len(some)]
    return counts


def _count(
    block: NDArray[Any],
    column: int,
    train: NDArray[np.float64],
    domain: NDArray[np.float64],
    binarize: bool,
    half_open: bool,
) -> None:
    """Put one unit's counts into one column of zeros, of which there is a row for each bin of each row."""
    edges = domain.shape[1]
    bins = edges - 1
    row, times = spikes_in(train, domain[:, 0], domain[:, -1])
    if not len(times):
        return
    at = _edges_before(times, row, domain)
    flat = domain.ravel()
    # there is one edge more than bins in each row; a spike on a row's last edge is in no bin from there on
    inside = at - row * edges < bins
    where = (at - row)[inside]
    cells = block.reshape(-1)
    width = block.shape[1]
    if len(where):
        begins = np.concatenate(([0], np.flatnonzero(where[1:] != where[:-1]) + 1))
        number = np.diff(begins, append=len(where))
        cells[where[begins] * width + column] = 1 if binarize else number
    if half_open:
        return
    # a spike on an edge is also in the bin that ends there (and in more, where bins have no width)
    on_edge = flat[at] == times
    at, row, times = at[on_edge], row[on_edge], times[on_edge]
    while len(at):
        more = at > row * edges
        at, row, times = at[more] - 1, row[more], times[more]
        place = (at - row) * width + column
        if binarize:
            cells[place] = 1
        else:
            np.add.at(cells, place, 1)
        more = flat[at] == times
        at, row, times = at[more], row[more], times[more]


def _edges_before(
    times: NDArray[np.float64], row: NDArray[np.intp], domain: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return the place in the flat domain of the last edge of its row that is not after each time.

    Where bins are of one width, that is a division, right but for its rounding. So the guess is held
    against the edges themselves, and what is not right is searched for.
    """
    flat, edges = domain.ravel(), domain.shape[1]
    first = domain[:, 0]
    length = domain[:, -1] - first
    scale = np.divide(edges - 1, length, out=np.zeros_like(length), where=length > 0)
    at: NDArray[np.intp] = ((times - first[row]) * scale[row]).astype(np.intp)
    np.minimum(at, edges - 2, out=at)
    at += row * edges
    wrong = np.flatnonzero((times < flat[at]) | (times >= flat[at + 1]))
    if len(wrong):
        low = row[wrong] * edges
        high = low + edges - 1
        sought = times[wrong]
        while (low < high).any():
            middle = (low + high + 1) // 2
            before = flat[middle] <= sought
            low = np.where(before, middle, low)
            high = np.where(before, high, middle - 1)
        at[wrong] = low
    return at
