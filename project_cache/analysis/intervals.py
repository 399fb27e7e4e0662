"""Runs of equal values in an array, where NaN equals NaN."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["array_intervals", "is_distinct_from", "nan_intervals"]


def nan_intervals(array: ArrayLike, nan_like: Sequence[Any] = ("null",)) -> NDArray[np.intp]:
    """Return where runs of equal values begin, and the length of the array.

    Parameters
    ----------
    array : array-like
        The values. Those that are equal but of different types (1 and 1.0 and True) are different.
    nan_like : sequence
        Values that say that nothing is known: a run of these is one run, as a run of NaN is.

    Returns
    -------
    numpy.ndarray of int
        One more than there are runs: the run ``n`` is from element ``n`` to before element ``n + 1``.

    Examples
    --------
    >>> nan_intervals([1.0, 1.0, np.nan, np.nan, 2.0]).tolist()
    [0, 2, 4, 5]
    """
    # a list keeps the types of its elements, which an array of it would make one
    values = np.asarray(array, dtype=None if hasattr(array, "dtype") else object)
    if values.dtype.kind in "iufb":
        changes = values[1:] != values[:-1]
        if values.dtype.kind == "f":
            changes &= ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
        inner = np.flatnonzero(changes) + 1
    else:
        inner = np.array(
            [n for n, (a, b) in enumerate(pairwise(values), start=1) if _changes(a, b, nan_like)],
            dtype=np.intp,
        )
    return np.unique(np.concatenate(([0], inner, [len(values)])))


def _changes(left: Any, right: Any, nan_like: Sequence[Any]) -> bool:
    """Whether a new run begins between two neighbours."""
    if not is_distinct_from(right, left):
        return False
    return not (_is_any(left, nan_like) and _is_any(right, nan_like))


def _is_any(value: Any, others: Sequence[Any]) -> bool:
    return any(type(value) is type(other) and value == other for other in others)


def is_distinct_from(left: Any, right: Any) -> bool:
    """Whether two values differ in value or in type; NaN does not differ from NaN.

    Examples
    --------
    >>> is_distinct_from(1, 1.0), is_distinct_from(np.nan, np.nan), is_distinct_from(None, None)
    (True, False, False)
    """
    if left is right:
        return False
    if type(left) is not type(right):
        return True
    # asked first: most are equal, and pandas is slow to look at one value
    if left == right:
        return False
    return not (pd.isna(left) and pd.isna(right))


def array_intervals(array: ArrayLike) -> NDArray[np.intp]:
    """Return where runs of equal numbers begin, and the length of the array; each NaN is a run.

    Examples
    --------
    >>> array_intervals([1, 1, 2]).tolist()
    [0, 2, 3]
    """
    values = np.asarray(array)
    inner = np.flatnonzero(values[1:] != values[:-1]) + 1
    return np.concatenate(([0], inner, [len(values)]))
