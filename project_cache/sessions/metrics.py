"""A unit's published metrics, beside what its session's file says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.nwb.table import frame
from project_cache.sessions.units import HIDDEN, RENAMED

__all__ = ["beside_metrics"]


def beside_metrics(units: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the units with their metrics on the right, but for those that they have already.

    Metrics are called what the session calls them, and those that AllenSDK hides are left out.

    Parameters
    ----------
    units : pandas.DataFrame
        Units by id.
    metrics : pandas.DataFrame
        Metrics by unit id. Units that it lacks have NaN.
    """
    at = metrics.index.get_indexer(units.index)
    known = at >= 0
    columns: dict[str, NDArray[Any]] = {}
    for name in metrics.columns:
        label = RENAMED.get(name, name)
        if label in units.columns or label in HIDDEN:
            continue
        values = _values(metrics[name])
        if known.all():
            columns[label] = values[at]
            continue
        gaps = np.full(len(units), np.nan, dtype=float if values.dtype.kind in "iuf" else object)
        gaps[known] = values[at[known]]
        columns[label] = gaps
    every = {str(name): _values(units[name]) for name in units.columns}
    return frame(every | columns, units.index.to_numpy(), "unit_id")


def _values(column: pd.Series[Any]) -> NDArray[Any]:
    """Return a column as numpy has it; as objects where only pandas has its type."""
    return column.to_numpy(dtype=column.dtype if isinstance(column.dtype, np.dtype) else object)
