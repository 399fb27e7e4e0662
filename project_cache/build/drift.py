"""Whether a unit's activity drifted: how differently it fired in one block and another, for the same trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DRIFT_THRESHOLD", "activity_drift", "anderson_darling"]

#: a unit whose activity drift is below this has not drifted
DRIFT_THRESHOLD = 0.1
#: the window in which spikes are counted, in seconds around the stimulus
WINDOW = (-1.5, 2.0)
#: the Anderson-Darling statistic that counts as a drift of 1
SCALE = 100.0
#: where there are fewer than two blocks, trials are divided into this many
PARTS = 3
#: the most counts that are compared at once
_TOGETHER = 1 << 23

Floats = npt.NDArray[np.float64]


def anderson_darling(counts: npt.ArrayLike, sample: npt.ArrayLike) -> Floats:
    """Return the k-sample Anderson-Darling statistic of each row of counts, normalised; NaN where it is untestable.

    It is the statistic of ``scipy.stats.anderson_ksamp(samples, variant="midrank")``, for many rows at once and
    without a p-value. A row whose counts are all one number cannot be tested, nor can fewer than two samples or
    four counts.

    Parameters
    ----------
    counts : array-like of int, shape (rows, observations)
        Spike counts, one row for each unit.
    sample : array-like, shape (observations,)
        Which sample each observation is of.

    Returns
    -------
    numpy.ndarray, shape (rows,)

    References
    ----------
    Scholz, F. W. and Stephens, M. A. (1987), K-Sample Anderson-Darling Tests, Journal of the American
    Statistical Association 82, 918-924: equation 7, and the variance of theorem 1.

    Examples
    --------
    >>> counts = [[1, 2, 1, 9, 8, 9], [0, 0, 0, 0, 0, 0]]
    >>> anderson_darling(counts, ["a", "a", "a", "b", "b", "b"]).round(4).tolist()
    [3.7314, nan]
    """
    table = np.asarray(counts, dtype=np.int64)
    names, code = np.unique(np.asarray(sample), return_inverse=True)
    n_rows, n = table.shape
    statistic = np.full(n_rows, np.nan)
    if len(names) < 2 or n < 4 or not n_rows:
        return statistic
    sizes = np.bincount(code).astype(np.float64)
    spread = np.sqrt(_variance(sizes))
    table = table - table.min(axis=1, keepdims=True)
    width = table.max(axis=1) + 1
    order = np.argsort(width, kind="stable")
    order = order[width[order] > 1]
    # rows of like width together, so that few empty columns are gone through
    at = 0
    while at < len(order):
        stop = at + 1
        while stop < len(order) and (stop - at + 1) * len(names) * width[order[stop]] <= _TOGETHER:
            stop += 1
        rows = order[at:stop]
        statistic[rows] = _midrank(table[rows], code, sizes, int(width[rows[-1]]))
        at = stop
    result: Floats = (statistic - (len(names) - 1)) / spread
    return result


def _midrank(table: npt.NDArray[np.int64], code: npt.NDArray[np.int64], sizes: Floats, width: int) -> Floats:
    """Return A²akN, by midranks, of each row."""
    n_rows, n = table.shape
    k = len(sizes)
    cell = (np.arange(n_rows)[:, np.newaxis] * k + code) * width + table
    found = (
        np.bincount(cell.ravel(), minlength=n_rows * k * width).reshape(n_rows, k, width).astype(np.float64)
    )
    tied = found.sum(axis=1)
    below = np.cumsum(tied, axis=1) - tied / 2
    own = np.cumsum(found, axis=2) - found / 2
    denominator = below * (n - below) - n * tied / 4
    there = tied > 0
    weight = np.divide(tied, n * denominator, out=np.zeros_like(tied), where=there & (denominator > 0))
    apart = np.square(n * own - below[:, np.newaxis, :] * sizes[:, np.newaxis])
    total = np.einsum("rv,rkv,k->r", weight, apart, 1 / sizes)
    result: Floats = total * (n - 1) / n
    return result


def _variance(sizes: Floats) -> float:
    """Return the variance of the statistic where all samples are of one distribution."""
    k, n = len(sizes), int(sizes.sum())
    inverse = (1 / sizes).sum()
    harmonic = np.cumsum(1 / np.arange(n - 1, 1, -1))
    h = harmonic[-1] + 1
    g = (harmonic / np.arange(2, n)).sum()
    a = (4 * g - 6) * (k - 1) + (10 - 6 * g) * inverse
    b = (2 * g - 4) * k**2 + 8 * h * k + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * k**2 + (4 * h - 4 * g + 6) * k + (2 * h - 6) * inverse + 4 * h
    d = (2 * h + 6) * k**2 - 4 * h * k
    return float((a * n**3 + b * n**2 + c * n + d) / ((n - 1.0) * (n - 2.0) * (n - 3.0)))


def _groups(trials: pd.DataFrame) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield the rows of trials of one context and one stimulus, and the block, or part, that each is of."""
    groups = trials.groupby(["rewarded_modality", "stim_name"], sort=True).indices
    for rows in map(np.asarray, groups.values()):
        ordered = rows[np.argsort(trials["trial_index"].to_numpy()[rows], kind="stable")]
        blocks = trials["block_index"].to_numpy()[ordered]
        if len(np.unique(blocks)) < 2:
            blocks = np.repeat(np.arange(PARTS), [len(part) for part in np.array_split(ordered, PARTS)])
        yield ordered, blocks


def activity_drift(spike_times: Sequence[Floats], trials: pd.DataFrame, observed: npt.ArrayLike) -> Floats:
    """Return how much each unit's activity drifted, from 0 to 1; NaN where that cannot be tested.

    Spikes are counted from 1.5 s before to 2 s after the stimulus of each trial. For each pair of context and
    stimulus (catch trials aside) the counts of the blocks are compared; where there are fewer than two blocks,
    those of three consecutive parts of the trials. The largest Anderson-Darling statistic, over 100, is the
    unit's drift. Below 0.1 a unit counts as stable: by the Dynamic Routing project's own annotation 70 % of the
    units that drift are above, and 2 % of those that do not.

    Parameters
    ----------
    spike_times : sequence of array
        Of each unit, ascending, in seconds.
    trials : pandas.DataFrame
        ``stim_start_time`` (s), ``stim_name``, ``rewarded_modality``, ``block_index``, ``trial_index``.
    observed : array-like, shape (intervals, 2)
        When the units could be seen, in seconds. Trials that are not wholly inside are left out.

    Returns
    -------
    numpy.ndarray, shape (units,)
    """
    # a trial with several opto locations has several rows
    table = trials.drop_duplicates("trial_index")
    start = table["stim_start_time"].to_numpy(dtype=np.float64)
    seen = np.zeros(len(table), dtype=bool)
    for first, last in np.asarray(observed, dtype=np.float64).reshape(-1, 2):
        seen |= (start + WINDOW[0] >= first) & (start + WINDOW[1] <= last)
    table = table[seen & (table["stim_name"].to_numpy() != "catch")].reset_index(drop=True)
    drift = np.full(len(spike_times), np.nan)
    if not len(table):
        return drift
    edges = table["stim_start_time"].to_numpy(dtype=np.float64)[:, np.newaxis] + np.array(WINDOW)
    counts = np.empty((len(spike_times), len(table)), dtype=np.int64)
    for unit, times in enumerate(spike_times):
        found = np.searchsorted(times, edges)
        counts[unit] = found[:, 1] - found[:, 0]
    for rows, blocks in _groups(table):
        drift = np.fmax(drift, anderson_darling(counts[:, rows], blocks))
    result: Floats = np.clip(drift / SCALE, 0.0, 1.0)
    return result
