"""The change detection task: which images are changes, and which trial each belongs to.

Files of later releases hold all of this; for earlier ones it is worked out as AllenSDK 2.16.2 does.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "NO_TRIAL",
    "copy_to_replays",
    "find_active",
    "find_changes",
    "find_trials",
    "flashes_since_change",
]

Value = TypeVar("Value", bound=np.generic)

#: for a presentation that belongs to no trial
NO_TRIAL = -99


def find_changes(image_name: NDArray[np.object_], shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether each presentation is of another image than the one shown before it.

    Parameters
    ----------
    image_name : numpy.ndarray of str, shape (presentations,)
        The image of each.
    shown : numpy.ndarray of bool
        Whether an image was shown; the others (omitted ones) are passed over, and are no changes. Nor is the first.

    Examples
    --------
    >>> names = np.array(["a", "a", "omitted", "a", "b"], dtype=object)
    >>> find_changes(names, names != "omitted")
    array([False, False, False, False,  True])
    """
    changes = np.zeros(len(image_name), dtype=bool)
    rows = np.flatnonzero(shown)
    names = image_name[rows].tolist()
    changes[rows[1:]] = [here != before for before, here in zip(names, names[1:], strict=False)]
    return changes


def flashes_since_change(is_change: NDArray[np.bool_], omitted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many images were flashed since the last change, which is 0, as is the first image.

    An omitted image adds nothing.

    Examples
    --------
    >>> flashes_since_change(np.array([False, False, False, True]), np.array([False, False, True, False]))
    array([0, 1, 1, 0])
    """
    flashed = ~omitted
    count = np.cumsum(flashed, dtype=np.int64)
    reset = is_change & flashed
    reset[:1] = flashed[:1]
    last: NDArray[np.int64] = np.maximum.accumulate(np.where(reset, count, 0))
    return count - last


def find_active(
    start_time: NDArray[np.float64],
    has_image: NDArray[np.bool_],
    block: NDArray[np.int64] | None,
    trial_start: NDArray[np.float64],
    trial_stop: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return whether each presentation was part of the task: an image between the first and the last trial.

    All presentations of a block are, if one is.

    Parameters
    ----------
    start_time, has_image : numpy.ndarray, shape (presentations,)
        When each began (s), and whether it is of an image.
    block : numpy.ndarray of int or None
        The block that each is in, where that is known.
    trial_start, trial_stop : numpy.ndarray, shape (trials,)
        When the trials began and ended (s).
    """
    active = np.zeros(len(start_time), dtype=bool)
    if len(trial_start):
        active = has_image & (start_time > np.nanmin(trial_start)) & (start_time < np.nanmax(trial_stop))
    return active if block is None else np.isin(block, np.unique(block[active]))


def find_trials(
    start_time: NDArray[np.float64],
    has_image: NDArray[np.bool_],
    trial_id: NDArray[np.int64],
    trial_start: NDArray[np.float64],
    trial_stop: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the id of the last trial that had begun before each presentation, or -99.

    Parameters
    ----------
    start_time, has_image : numpy.ndarray, shape (presentations,)
        When each began (s), and whether it is of an image.
    trial_id, trial_start, trial_stop : numpy.ndarray, shape (trials,)
        The trials. There can be gaps between them; after the last one there is none.
    """
    found = np.full(len(start_time), NO_TRIAL, dtype=np.int64)
    if not len(trial_id):
        return found
    order = np.argsort(trial_start, kind="stable")
    # the last in the table, of those that had begun
    last = np.maximum.accumulate(order)
    before = np.searchsorted(trial_start[order], start_time, side="left") - 1
    inside = has_image & (before >= 0) & (start_time < np.nanmax(trial_stop))
    found[inside] = trial_id[last[before[inside]]]
    return found


def copy_to_replays(
    values: NDArray[Value],
    image_name: NDArray[np.object_],
    block: NDArray[np.int64],
    active: NDArray[np.bool_],
) -> NDArray[Value]:
    """Return the values, those of active blocks also in the passive blocks that show the same images.

    Parameters
    ----------
    values : numpy.ndarray, shape (presentations,)
        Something of each presentation.
    image_name, block, active : numpy.ndarray, shape (presentations,)
        The image of each, its block, and whether it is part of the task.
    """
    values = values.copy()
    for passive in pd.unique(block[~active & ~pd.isna(image_name)]).tolist():
        there = block == passive
        for each in pd.unique(block[active]).tolist():
            here = block == each
            if np.array_equal(image_name[here], image_name[there]):
                values[there] = values[here]
    return values
