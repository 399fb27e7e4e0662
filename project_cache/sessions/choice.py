"""Choosing rows of a table by their ids, the way AllenSDK's getters take them: one, several, or all."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import UnknownObjectError

__all__ = ["coerce_scalar", "rows_of"]


def coerce_scalar(value: Any, message: str, warn: bool = False) -> Collection[Any]:
    """Return a collection as it is, and anything else (text too) as a list of one.

    Parameters
    ----------
    value : object
        What may or may not be a collection.
    message : str
        What to warn of where it is none.
    warn : bool
        Whether to warn at all.

    Examples
    --------
    >>> coerce_scalar("gabors", ""), coerce_scalar((1, 2), "")
    (['gabors'], (1, 2))
    """
    if isinstance(value, Collection) and not isinstance(value, (str, bytes)):
        return value
    if warn:
        warnings.warn(message, UserWarning, stacklevel=2)
    return [value]


def rows_of(index: pd.Index[Any], ids: Any, what: str, *, stacklevel: int = 3) -> NDArray[np.intp]:
    """Return the rows of a table that are meant by ids, in the order of the ids.

    Parameters
    ----------
    index : pandas.Index
        The table's index.
    ids : object
        One id, a collection of ids (one that is named twice is there twice), a truth value for each row,
        or None for all rows.
    what : str
        What the rows are, for messages.
    stacklevel : int
        Whose line a warning names.

    Raises
    ------
    UnknownObjectError
        The table lacks one of the ids.

    Warns
    -----
    UserWarning
        Nothing was chosen.
    """
    if ids is None:
        return np.arange(len(index))
    listed = coerce_scalar(ids, "")
    wanted = np.asarray(listed if hasattr(listed, "dtype") else list(listed))
    if wanted.dtype == bool and len(wanted) == len(index):
        rows = np.flatnonzero(wanted)
    else:
        rows = index.get_indexer(pd.Index(wanted)) if len(wanted) else np.empty(0, dtype=np.intp)
        if (rows < 0).any():
            lacking = wanted[rows < 0].tolist()
            raise UnknownObjectError(
                f"This session has no {what} {', '.join(map(str, lacking[:5]))}"
                f"{' …' if len(lacking) > 5 else ''}: no such id, or the filters leave it out."
            )
    if not len(rows):
        warnings.warn(f"None of the session's {what} was chosen.", UserWarning, stacklevel=stacklevel)
    return rows
