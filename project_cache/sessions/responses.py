"""Responses of units to presentations, as labelled arrays and frames."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike, NDArray

from project_cache.analysis.counts import build_spike_histogram, build_time_window_domain
from project_cache.analysis.statistics import statistics_by_condition
from project_cache.analysis.times import spikes_by_time
from project_cache.analysis.windows import Side
from project_cache.errors import ConfigurationError

if TYPE_CHECKING:
    import xarray

__all__ = ["condition_statistics", "spike_counts", "spike_times"]

Trains = Callable[[Any], NDArray[np.float64]]


class _Trains(dict[Any, NDArray[np.float64]]):
    """A mapping in which nothing is kept: each train is got when it is asked for."""

    def __init__(self, train_of: Trains) -> None:
        super().__init__()
        self._train_of = train_of

    def __missing__(self, unit: Any) -> NDArray[np.float64]:
        return self._train_of(unit)


def spike_counts(
    train_of: Trains,
    units: NDArray[np.int64],
    presentations: pd.DataFrame,
    bin_edges: ArrayLike,
    *,
    binarize: bool,
    dtype: DTypeLike | None,
    large_bin_size_threshold: float,
    time_domain_callback: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None,
    half_open: bool,
    stacklevel: int = 3,
) -> xarray.DataArray:
    """Return the spikes in each time bin around the start of each presentation, for each unit.

    Parameters
    ----------
    train_of : callable
        Gives the spike times of a unit.
    units : numpy.ndarray of int
        The units' ids.
    presentations : pandas.DataFrame
        The presentations.
    bin_edges, binarize, dtype, large_bin_size_threshold, time_domain_callback, half_open
        As of :meth:`EcephysSession.presentationwise_spike_counts`.
    stacklevel : int
        Whose line a warning names.
    """
    import xarray

    edges = np.asarray(bin_edges, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2:
        raise ConfigurationError(f"bin_edges must be two edges or more, not of shape {edges.shape}.")
    widths = np.diff(edges)
    if binarize and widths.max() > large_bin_size_threshold:
        warnings.warn(
            f"Bins of up to {widths.max():.5f} s are binarized: one spike and many become the same 1. Make bins of "
            f"{large_bin_size_threshold} s or less, or leave binarize out.",
            UserWarning,
            stacklevel=stacklevel,
        )
    domain = build_time_window_domain(
        edges, presentations["start_time"].to_numpy(dtype=np.float64), time_domain_callback
    )
    if domain.shape != (len(presentations), len(edges)):
        raise ConfigurationError(
            f"time_domain_callback returned edges of shape {domain.shape} for {len(presentations)} presentations and "
            f"{len(edges)} edges."
        )
    backwards = np.argwhere(np.diff(domain, axis=1) < 0)
    if len(backwards):
        shown = ", ".join(f"({row}, {column})" for row, column in backwards[:5].tolist())
        raise ConfigurationError(
            f"The bin edges go back in time at (presentation, edge) {shown}{' …' if len(backwards) > 5 else ''}. "
            f"Sort them."
        )
    gaps = domain[1:, 0] - domain[:-1, -1]
    if (gaps < 0).any():
        warnings.warn(
            f"The bins of {int((gaps < 0).sum())} presentations overlap with those of the next, by up to "
            f"{-gaps.min()} s: their spikes are counted for both.",
            UserWarning,
            stacklevel=stacklevel,
        )
    counts = build_spike_histogram(
        domain, _Trains(train_of), units, dtype=dtype, binarize=binarize, half_open=half_open
    )
    return xarray.DataArray(
        counts,
        dims=["stimulus_presentation_id", "time_relative_to_stimulus_onset", "unit_id"],
        coords={
            "stimulus_presentation_id": presentations.index.to_numpy(),
            "time_relative_to_stimulus_onset": edges[:-1] + widths / 2,
            "unit_id": units,
        },
        name="spike_counts",
    )


def spike_times(
    train_of: Trains, units: NDArray[np.int64], presentations: pd.DataFrame, *, half_open: bool
) -> pd.DataFrame:
    """Return the spikes of the units during the presentations, in the order of time.

    Parameters
    ----------
    train_of, units, presentations
        As of :func:`spike_counts`.
    half_open : bool
        Presentations are ``[start, stop)``, and not ``(start, stop]``.

    Returns
    -------
    pandas.DataFrame
        Columns stimulus_presentation_id, unit_id, time_since_stimulus_presentation_onset (s); index
        ``spike_time`` (s). Spikes of the same time are in the order of the units.
    """
    starts, stops = _times(presentations)
    found = spikes_by_time(train_of, units.tolist(), starts, stops, *_sides(half_open))
    ids = presentations.index.to_numpy()
    times, window = found.times, found.window
    since = starts[window]
    np.subtract(times, since, out=since)
    columns = {
        "stimulus_presentation_id": ids.take(window),
        "unit_id": units.take(found.unit),
        "time_since_stimulus_presentation_onset": since,
    }
    # what the frame does not need is let go of before it is made
    del found, window
    return pd.DataFrame(columns, index=pd.Index(times, name="spike_time"), copy=False)


def condition_statistics(
    train_of: Trains,
    units: NDArray[np.int64],
    presentations: pd.DataFrame,
    *,
    use_rates: bool,
    only_active: bool,
    half_open: bool,
) -> pd.DataFrame:
    """Return how many spikes each unit fires under each condition, by (unit_id, stimulus_condition_id).

    Parameters
    ----------
    train_of, units, presentations, half_open
        As of :func:`spike_times`.
    use_rates : bool
        Mean and spread of the rate (1/s), and not of the number of spikes.
    only_active : bool
        Leave out units that fire in none of the presentations.

    Returns
    -------
    pandas.DataFrame
        Columns spike_count (not with ``use_rates``), stimulus_presentation_count, spike_mean, spike_std
        (of a sample), spike_sem; condition by condition.
    """
    starts, stops = _times(presentations)
    units = np.unique(units)
    # presentations that were blanked, since they are invalid, have no condition
    number, conditions = pd.factorize(presentations["stimulus_condition_id"].to_numpy(), sort=True)
    durations = presentations["duration"].to_numpy(dtype=np.float64) if use_rates else None
    found = statistics_by_condition(
        train_of, units.tolist(), starts, stops, number, durations, *_sides(half_open)
    )
    shown = np.flatnonzero(found.fired) if only_active else np.arange(len(units))
    columns: dict[str, NDArray[Any]] = {} if use_rates else {"spike_count": found.spikes[:, shown].ravel()}
    columns["stimulus_presentation_count"] = np.repeat(found.windows, len(shown))
    for name, values in (("mean", found.mean), ("std", found.std), ("sem", found.sem)):
        columns[f"spike_{name}"] = values[:, shown].ravel()
    index = pd.MultiIndex.from_arrays(
        [np.tile(units[shown], len(conditions)), np.repeat(conditions, len(shown))],
        names=["unit_id", "stimulus_condition_id"],
    )
    return pd.DataFrame(columns, index=index)


def _times(presentations: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        presentations["start_time"].to_numpy(dtype=np.float64),
        presentations["stop_time"].to_numpy(dtype=np.float64),
    )


def _sides(half_open: bool) -> tuple[Side, Side]:
    """Return to which side of equal times a start and a stop are searched for."""
    return ("left", "left") if half_open else ("right", "right")
