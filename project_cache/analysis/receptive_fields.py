"""Receptive fields: how much units fire for each place or each value of a stimulus, and whether that is chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tuning", "chance_of", "tuning"]

#: random orders of the trials that are drawn for the test; from the same seed always
_PERMUTATIONS = 1000
_SEED = 0


@dataclass(frozen=True, slots=True)
class Tuning:
    """What units do under each value of one or two parameters of a stimulus.

    Attributes
    ----------
    axes : tuple of numpy.ndarray
        The values of each parameter, in ascending order; one array for a curve, two (x, y) for a map.
    rate : numpy.ndarray of float64, shape (units, len(axes[0])) or (units, len(y), len(x))
        Mean rate over the trials of each value (1/s); NaN where there was none.
    n_trials : numpy.ndarray of int64, shape as of one unit's rate
        How many trials there were.
    p_value : numpy.ndarray of float64, shape (units,)
        How likely so much tuning is by chance, as of :func:`chance_of`.
    """

    axes: tuple[NDArray[np.float64], ...]
    rate: NDArray[np.float64]
    n_trials: NDArray[np.int64]
    p_value: NDArray[np.float64]


def tuning(
    counts: NDArray[np.floating], durations: NDArray[np.float64], *parameters: NDArray[np.float64]
) -> Tuning:
    """Return the tuning of units to one parameter of a stimulus (a curve), or to x and y (a map).

    Parameters
    ----------
    counts : numpy.ndarray, shape (units, trials)
        Spikes in each trial's window.
    durations : numpy.ndarray, shape (trials,)
        How long the windows are (s).
    *parameters : numpy.ndarray, shape (trials,)
        The parameter's value in each trial; or two arrays, x and y.

    Examples
    --------
    >>> found = tuning(np.array([[4, 1, 3]]), np.full(3, 0.5), np.array([10.0, 20.0, 10.0]))
    >>> found.axes[0].tolist(), found.rate.tolist(), found.n_trials.tolist()
    ([10.0, 20.0], [[7.0, 2.0]], [2, 1])
    """
    values, codes = zip(*(np.unique(parameter, return_inverse=True) for parameter in parameters), strict=True)
    # the last parameter changes slowest: a map is of rows (y) by columns (x)
    shape = tuple(len(each) for each in reversed(values))
    condition = np.ravel_multi_index(tuple(code.ravel() for code in reversed(codes)), shape)
    number = int(np.prod(shape))
    of_condition = np.zeros((len(condition), number))
    of_condition[np.arange(len(condition)), condition] = 1
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = (counts @ of_condition) / (durations @ of_condition)
    return Tuning(
        tuple(np.asarray(each, dtype=np.float64) for each in values),
        rate.reshape(len(counts), *shape),
        np.bincount(condition, minlength=number).reshape(shape).astype(np.int64),
        chance_of(counts, condition),
    )


def chance_of(counts: NDArray[np.floating], condition: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return how likely spikes are spread so unevenly over conditions by chance.

    Parameters
    ----------
    counts : numpy.ndarray, shape (units, trials)
        Spikes in each trial.
    condition : numpy.ndarray of int, shape (trials,)
        The condition of each trial, from 0 on.

    Returns
    -------
    numpy.ndarray, shape (units,)
        NaN for a unit without spikes, or where there are fewer than two conditions.

    Notes
    -----
    Pearson's chi-square of the number of spikes in each condition, against what is expected if they do not
    care for it (in proportion to its trials), as in the receptive field analysis of the Allen Institute's
    Visual Coding project (white paper, 2019). Spike counts are more variable than Poisson's, so the statistic
    is not compared with the chi-square distribution but with itself, for 1,000 random orders of the trials:
    p = (1 + number of orders that give as much) / 1001. The orders are drawn from a fixed seed, the same for
    all units: the same data always give the same p.
    """
    n_units, n_trials = counts.shape
    there, condition = np.unique(condition, return_inverse=True)
    condition = condition.ravel()
    if len(there) < 2:
        return np.full(n_units, np.nan)
    trials = np.bincount(condition).astype(np.float32)
    spikes = counts.sum(axis=1, keepdims=True, dtype=np.float32)
    # with a common total, Σ(O-E)²/E = ΣO²/E - total, and E is the total by a constant of the condition: what
    # is compared between orders is ΣO²/trials
    weight = 1 / trials
    values = counts.astype(np.float32)

    def statistic(orders: NDArray[np.intp]) -> NDArray[np.float32]:
        shuffled = condition[orders]
        indicator = np.zeros((n_trials, *shuffled.shape[:1], len(there)), dtype=np.float32)
        np.put_along_axis(indicator, shuffled.T[:, :, None], 1.0, axis=2)
        observed = (values @ indicator.reshape(n_trials, -1)).reshape(n_units, -1, len(there))
        return np.asarray((observed * observed) @ weight)

    real = statistic(np.arange(n_trials)[None])
    # sums of whole numbers in another order may differ in the last bit: equal counts as as much
    limit = real * np.float32(1 - 1e-5)
    random = np.random.default_rng(_SEED)
    as_much = np.zeros(n_units, dtype=np.int64)
    at_once = max(1, min(50, 20_000_000 // max(n_units * len(there), 1)))
    for start in range(0, _PERMUTATIONS, at_once):
        number = min(at_once, _PERMUTATIONS - start)
        orders = random.permuted(np.tile(np.arange(n_trials), (number, 1)), axis=1)
        as_much += (statistic(orders) >= limit).sum(axis=1)
    p_value = (1 + as_much) / (1 + _PERMUTATIONS)
    return np.where(spikes[:, 0] > 0, p_value, np.nan)
