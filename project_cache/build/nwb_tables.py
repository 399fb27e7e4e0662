"""Frames and times as the pynwb objects that hold them in a session's file.

A column keeps its kind: truth values stay truth values, whole numbers whole, text text, lists in cells become an
indexed column. A column that says nothing (floats that are all NaN, lists that are all empty) is left out, as
an NWB column without a value has no type.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.errors import DependencyError

if TYPE_CHECKING:
    from ndx_events import Events
    from pynwb.core import DynamicTable
    from pynwb.epoch import TimeIntervals

__all__ = ["dynamic_table", "events", "time_intervals", "without_empty_columns"]


def time_intervals(
    name: str, description: str, frame: pd.DataFrame, descriptions: Mapping[str, str] | None = None
) -> TimeIntervals:
    """Return a frame as a TimeIntervals table.

    Parameters
    ----------
    name, description : str
        Of the table.
    frame : pandas.DataFrame
        One row an interval, with ``start_time`` and ``stop_time`` in seconds.
    descriptions : mapping, optional
        What each column means, by its name.
    """
    from pynwb.epoch import TimeIntervals

    first = [column for column in ("start_time", "stop_time") if column in frame]
    ordered = frame[[*first, *(column for column in frame if column not in first)]]
    return _table(TimeIntervals, name, description, ordered, descriptions or {})


def dynamic_table(
    name: str, description: str, frame: pd.DataFrame, descriptions: Mapping[str, str] | None = None
) -> DynamicTable:
    """Return a frame as a DynamicTable; the parameters are those of `time_intervals`."""
    from pynwb.core import DynamicTable

    return _table(DynamicTable, name, description, frame, descriptions or {})


def events(name: str, description: str, timestamps: npt.ArrayLike) -> Events:
    """Return times (s) as ndx_events Events.

    Raises
    ------
    DependencyError
        ndx-events is missing, or is 0.3 or later: those versions have no Events type that can hold these.
    """
    try:
        version = importlib.metadata.version("ndx-events")
    except importlib.metadata.PackageNotFoundError:
        raise DependencyError(
            "ndx-events is needed for events such as licks and rewards: pip install 'ndx-events>=0.2.2,<0.3'."
        ) from None
    if tuple(int(part) for part in version.split(".")[:2]) >= (0, 3):
        raise DependencyError(
            f"ndx-events {version} is installed, which cannot hold a list of times as Events and loses those of "
            "older files: pip install 'ndx-events>=0.2.2,<0.3'."
        )
    from ndx_events import Events

    return Events(name=name, description=description, timestamps=np.asarray(timestamps, np.float64))


def without_empty_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame without columns of floats that are all NaN."""
    empty = [
        column
        for column in frame
        if pd.api.types.is_float_dtype(frame[column].dtype) and bool(frame[column].isna().all())
    ]
    return frame.drop(columns=empty)


def _table(
    kind: type[Any], name: str, description: str, frame: pd.DataFrame, descriptions: Mapping[str, str]
) -> Any:
    from hdmf.common import VectorData, VectorIndex

    columns: list[Any] = []
    names: list[str] = []
    for column, values in ((str(label), values) for label, values in without_empty_columns(frame).items()):
        text = descriptions.get(column) or column.replace("_", " ")
        if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
            data: Any = values.to_numpy()
        elif values.map(lambda cell: isinstance(cell, (list, tuple, np.ndarray))).any():
            cells = [list(cell) for cell in values]
            flat = [item for cell in cells for item in cell]
            if not flat:
                continue
            target = VectorData(name=column, description=text, data=flat)
            index = VectorIndex(
                name=f"{column}_index", data=np.cumsum([len(c) for c in cells]), target=target
            )
            columns += [target, index]
            names.append(column)
            continue
        else:
            data = ["" if cell is None or cell != cell else str(cell) for cell in values]
        columns.append(VectorData(name=column, description=text, data=data))
        names.append(column)
    return kind(
        name=name,
        description=description,
        id=np.arange(len(frame)),
        columns=columns or None,
        colnames=names or None,
    )
