"""Whether and how units respond to stimuli: rates before and after, their difference, its significance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from project_cache.analysis.windows import bounds

__all__ = ["Responses", "Windows", "rates_in", "responses"]


@dataclass(frozen=True, slots=True)
class Windows:
    """One stretch of time for each trial.

    Attributes
    ----------
    start, stop : numpy.ndarray of float64, shape (trials,)
        Where they begin and end (s). The start belongs to a window, the stop does not; NaN for no window.
    """

    start: NDArray[np.float64]
    stop: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Responses:
    """How units respond to one kind of stimulus; arrays are of shape (units,), NaN where there is no trial.

    Attributes
    ----------
    n_trials : numpy.ndarray of int64
        Trials in which the unit was observed.
    baseline_rate, response_rate : numpy.ndarray of float64
        Means over trials (1/s).
    difference : numpy.ndarray of float64
        The mean of response less baseline (1/s).
    modulation_index : numpy.ndarray of float64
        (response - baseline) / (response + baseline), from -1 to 1; NaN for a unit that never fires.
    p_value : numpy.ndarray of float64
        Of the Wilcoxon signed-rank test, over trials, of the number of spikes in the response's window and in
        a window as long, right before the baseline's end: two-sided, by the normal approximation with correction
        for ties, trials without a difference left out. 1 where none has one.
    condition_difference : numpy.ndarray of float64, shape (units, conditions)
        The mean of response less baseline over the trials of each condition (1/s).
    latency : numpy.ndarray of float64
        The median, over trials, of the time from the onset to the first spike in the response's window (s).
    """

    n_trials: NDArray[np.int64]
    baseline_rate: NDArray[np.float64]
    response_rate: NDArray[np.float64]
    difference: NDArray[np.float64]
    modulation_index: NDArray[np.float64]
    p_value: NDArray[np.float64]
    condition_difference: NDArray[np.float64]
    latency: NDArray[np.float64]


def rates_in(
    trains: Sequence[NDArray[np.float64]], windows: Windows, observed: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return how fast each unit fires in each window (1/s).

    Parameters
    ----------
    trains : sequence of numpy.ndarray
        Spike times of each unit (s), in order.
    windows : Windows
        One for each trial.
    observed : numpy.ndarray of bool, shape (units, trials), optional
        False where a unit was not recorded.

    Returns
    -------
    numpy.ndarray, shape (units, trials)
        NaN where there is no window, or the unit was not observed.

    Examples
    --------
    >>> rates_in([np.array([1.0, 1.1, 2.0])], Windows(np.array([1.0, 2.0]), np.array([1.5, 4.0])))
    array([[4. , 0.5]])
    """
    duration = windows.stop - windows.start
    there = duration > 0
    rates = np.full((len(trains), len(duration)), np.nan)
    start, stop, lasting = windows.start[there], windows.stop[there], duration[there]
    for number, train in enumerate(trains):
        rates[number, there] = bounds(train, start, stop, "left", "left")[1] / lasting
    if observed is not None:
        rates[~observed] = np.nan
    return rates


def _response(
    trains: Sequence[NDArray[np.float64]], onsets: NDArray[np.float64], windows: Windows
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each unit's rate in each window (units, trials), and the median time to its first spike (units,)."""
    duration = windows.stop - windows.start
    there = duration > 0
    start, stop, onset, lasting = windows.start[there], windows.stop[there], onsets[there], duration[there]
    rates = np.full((len(trains), len(duration)), np.nan)
    latency = np.full(len(trains), np.nan)
    for number, train in enumerate(trains):
        first, count = bounds(train, start, stop, "left", "left")
        rates[number, there] = count / lasting
        fired = count > 0
        if fired.any():
            latency[number] = np.median(train[first[fired]] - onset[fired])
    return rates, latency


def responses(
    trains: Sequence[NDArray[np.float64]],
    onsets: NDArray[np.float64],
    baseline: Windows,
    response: Windows,
    conditions: NDArray[np.intp] | None = None,
    observed: NDArray[np.bool_] | None = None,
) -> Responses:
    """Return how units respond to the stimuli of some trials.

    Parameters
    ----------
    trains : sequence of numpy.ndarray
        Spike times of each unit (s), in order.
    onsets : numpy.ndarray, shape (trials,)
        When the stimuli began (s).
    baseline, response : Windows
        What is compared.
    conditions : numpy.ndarray of int, shape (trials,), optional
        The condition of each trial, from 0 on; by default all are of one.
    observed : numpy.ndarray of bool, shape (units, trials), optional
        False where a unit was not recorded.

    Notes
    -----
    Rates of windows of different lengths must not be ranked against each other: in the shorter one they are
    mostly 0 and sometimes large, and a unit that does not respond at all passes the test. Hence the test's own
    window before the stimulus.
    """
    before = rates_in(trains, baseline, observed)
    after, latency = _response(trains, onsets, response)
    if observed is not None:
        after[~observed] = np.nan
    change = after - before
    # a trial counts where both rates are known
    known = ~np.isnan(change)
    before[~known], after[~known] = np.nan, np.nan
    n_trials = known.sum(axis=1)
    rate_before, rate_after = _means(before, n_trials), _means(after, n_trials)
    conditions = np.zeros(len(onsets), dtype=np.intp) if conditions is None else conditions
    of_condition = np.zeros((len(onsets), int(conditions.max(initial=-1)) + 1))
    of_condition[np.arange(len(onsets)), conditions] = 1
    filled = np.where(known, change, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        condition_difference = (filled @ of_condition) / (known.astype(float) @ of_condition)
        modulation = (rate_after - rate_before) / (rate_after + rate_before)
    return Responses(
        n_trials,
        rate_before,
        rate_after,
        rate_after - rate_before,
        modulation,
        _signed_rank(_added_spikes(trains, after, baseline, response), known),
        condition_difference,
        latency,
    )


def _added_spikes(
    trains: Sequence[NDArray[np.float64]], after: NDArray[np.float64], baseline: Windows, response: Windows
) -> NDArray[np.float64]:
    """Return how many more spikes there are in each response than in as long a time up to the baseline's end."""
    duration = response.stop - response.start
    before = rates_in(trains, Windows(baseline.stop - duration, baseline.stop))
    # whole numbers again: what is equal must be so in the last bit, for the ranks
    added: NDArray[np.float64] = np.rint((after - before) * duration)
    return added


def _means(rates: NDArray[np.float64], n_trials: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of each row without its NaNs; NaN where there is nothing else."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nansum(rates, axis=1, dtype=np.float64) / n_trials


def _signed_rank(change: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the p value of the Wilcoxon signed-rank test of each row; NaN for no trial, 1 for no change.

    Units of one probe were observed in the same trials, so that rows of the same holes are tested at once.
    """
    from scipy.stats import wilcoxon

    p_value = np.full(len(change), np.nan)
    different = known & (change != 0)
    p_value[known.any(axis=1)] = 1.0
    holes, group = np.unique(np.packbits(known, axis=1), axis=0, return_inverse=True)
    for number in range(len(holes)):
        rows = np.flatnonzero((group.ravel() == number) & different.any(axis=1))
        if len(rows):
            trials = known[rows[0]]
            p_value[rows] = wilcoxon(change[np.ix_(rows, trials)], axis=1, method="asymptotic").pvalue
    return p_value
