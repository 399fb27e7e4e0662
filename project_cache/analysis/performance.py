"""How an animal does in a go/no-go change detection task: rates over past trials, d prime, rewards a minute.

Windows, limits and corrections are those with which the Allen Institute's Visual Behavior data were
published (AllenSDK 2.16.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["corrected_rate", "d_prime", "response_latency", "reward_rate", "rolling_rate"]

#: how many of the trials before, itself included, count for a rate
WINDOW = 100


def rolling_rate(
    yes: NDArray[np.bool_], no: NDArray[np.bool_], window: int = WINDOW
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the fraction of ``yes`` among the last trials up to each, and how many it is a fraction of.

    Parameters
    ----------
    yes, no : numpy.ndarray of bool, shape (trials,)
        The two outcomes; a trial that has neither (catch trials, for hits and misses) counts for the
        window, and not for the rate.
    window : int
        The number of trials looked back on.

    Returns
    -------
    rate : numpy.ndarray of float
        NaN where there was no trial of the kind yet.
    count : numpy.ndarray of int

    Examples
    --------
    >>> rolling_rate(np.array([True, False, False]), np.array([False, False, True]))
    (array([1. , 1. , 0.5]), array([1, 1, 2]))
    """
    # a trial that is said to be both counts as a no
    kind = yes | no
    hits = _rolling_count(yes & ~no, window)
    count = _rolling_count(kind, window)
    rate = np.full(len(count), np.nan)
    np.divide(hits, count, out=rate, where=count > 0)
    return rate, count


def _rolling_count(true: NDArray[np.bool_], window: int) -> NDArray[np.int64]:
    """Return how many of the last ``window`` are true, at each."""
    total = np.concatenate([[0], np.cumsum(true, dtype=np.int64)])
    stop = np.arange(1, len(true) + 1)
    counts: NDArray[np.int64] = total[stop] - total[np.maximum(stop - window, 0)]
    return counts


def corrected_rate(rate: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return rates kept from 0 and 1 by half a trial, as so few trials can tell no better.

    Examples
    --------
    >>> corrected_rate(np.array([1.0, 0.0, np.nan]), np.array([2, 5, 0]))
    array([0.75, 0.1 ,  nan])
    """
    least = np.full(len(rate), np.nan)
    np.divide(0.5, count, out=least, where=count > 0)
    corrected: NDArray[np.float64] = np.clip(rate, least, 1 - least)
    return corrected


def d_prime(
    hit_rate: NDArray[np.float64], false_alarm_rate: NDArray[np.float64], window: int = WINDOW
) -> NDArray[np.float64]:
    """Return the sensitivity index, the distance of the two rates on the normal distribution.

    Parameters
    ----------
    hit_rate, false_alarm_rate : numpy.ndarray
        Rates between 0 and 1. NaN in either gives NaN.
    window : int
        Rates are kept between ``1 / window`` and ``1 - 1 / window``, so that the result is finite.

    Examples
    --------
    >>> d_prime(np.array([0.5, 1.0]), np.array([0.5, np.nan]))
    array([ 0., nan])
    """
    return _normal_quantile(hit_rate, window) - _normal_quantile(false_alarm_rate, window)


def _normal_quantile(rate: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    limited = np.clip(rate, 1 / window, 1 - 1 / window)
    inverse = NormalDist().inv_cdf
    return np.array([inverse(p) if p == p else np.nan for p in limited.tolist()], dtype=np.float64)


def response_latency(
    lick_times: Sequence[NDArray[np.float64]], change_time: NDArray[np.float64], window_start: float
) -> NDArray[np.float64]:
    """Return how long after the change the first lick came that counts as an answer (s); infinite for none.

    Parameters
    ----------
    lick_times : sequence of numpy.ndarray
        The licks of each trial, in seconds.
    change_time : numpy.ndarray
        The time of the change, NaN where there was none.
    window_start : float
        Licks up to this long after the change (s) do not count.

    Examples
    --------
    >>> response_latency([np.array([9.0, 10.5]), np.array([])], np.array([10.0, 12.0]), 0.15)
    array([0.5, inf])
    """
    latency = np.full(len(change_time), np.inf)
    for n, licks in enumerate(lick_times):
        after = licks - change_time[n]
        answers = after[after > window_start]
        if len(answers):
            latency[n] = answers[0]
    return latency


def reward_rate(
    latency: NDArray[np.float64],
    start_time: NDArray[np.float64],
    *,
    window: float = 0.75,
    trials: int = 25,
    initial: int = 10,
) -> NDArray[np.float64]:
    """Return the rewards a minute around each trial, NaN for the first ones.

    Parameters
    ----------
    latency : numpy.ndarray, shape (trials,)
        As of :func:`response_latency`.
    start_time : numpy.ndarray, shape (trials,)
        When each trial began (s).
    window : float
        An answer earlier than this (s) is rewarded.
    trials : int
        How many trials count, before each and again from it on.
    initial : int
        For so many trials at the beginning there is no rate.

    Examples
    --------
    >>> reward_rate(np.full(12, 0.3), np.arange(12) * 10.0)[-2:]
    array([6.54545455, 6.54545455])
    """
    count = len(latency)
    rate = np.full(count, np.nan)
    here = np.arange(initial, count)
    if not len(here):
        return rate
    first, last = np.maximum(here - trials, 0), np.minimum(here + trials, count)
    total = np.concatenate([[0], np.cumsum(latency < window, dtype=np.int64)])
    elapsed = start_time[last - 1] - start_time[first]
    # trials that all began at once have no rate
    np.divide(total[last] - total[first], elapsed, out=rate[initial:], where=elapsed != 0)
    rate[initial:] *= 60
    return rate
