"""What was shown when: tables, epochs, parameters and pauses, all from the table of presentations."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.analysis.intervals import nan_intervals
from project_cache.nwb.table import frame
from project_cache.sessions.presentations import DETAILED_PARAMETERS

__all__ = [
    "DURATION_THRESHOLDS",
    "inter_presentation_intervals",
    "intervals_within",
    "parameter_values",
    "parsed",
    "removed_unused_stimulus_presentation_columns",
    "stimulus_epochs",
    "stimulus_table",
]

#: the shortest epoch of each stimulus; no stimulus is called so, but AllenSDK's answer is that of this
DURATION_THRESHOLDS = {"spontaneous_activity": 90.0}
#: parameters that some stimuli keep as text, which may spell a number or a list of them
_SPELT = ("phase", "size", "spatial_frequency")
_NOT_PARAMETERS = (
    "start_time", "stop_time", "duration", "stimulus_block", "stimulus_condition_id", "stimulus_name",
)  # fmt: skip


def removed_unused_stimulus_presentation_columns(stimulus_presentations: pd.DataFrame) -> pd.DataFrame:
    """Return a table of presentations without the columns that say nothing: all NaN, all ``""`` or all ``"null"``."""
    unused = [
        name
        for n, name in enumerate(stimulus_presentations.columns)
        if _says_nothing(stimulus_presentations.iloc[:, n])
    ]
    return stimulus_presentations.drop(columns=unused)


def _says_nothing(column: pd.Series[Any]) -> bool:
    if column.dtype.kind in "iub":
        return not len(column)
    if bool(column.isna().all()):
        return True
    if column.dtype.kind == "f":
        return False
    first = column.iloc[0]
    # most columns differ in their first row already from what is not worth the look at all of them
    return isinstance(first, str) and first in ("", "null") and bool((column == first).all())


def stimulus_table(
    presentations: pd.DataFrame, names: Collection[Any] | None, *, detailed: bool, unused: bool
) -> pd.DataFrame:
    """Return the presentations of some stimuli.

    Parameters
    ----------
    presentations : pandas.DataFrame
        All presentations, with all columns.
    names : collection of str or None
        The stimuli; None for all.
    detailed : bool
        Whether to keep the parameters that ``stimulus_presentations`` leaves out.
    unused : bool
        Whether to keep columns that say nothing of these stimuli.
    """
    table = presentations
    if names is not None:
        table = table[table["stimulus_name"].isin(list(names)).to_numpy()]
    if not detailed:
        table = table.drop(columns=[name for name in DETAILED_PARAMETERS if name in table.columns])
    # a copy in either case: what is handed out may be written to, what is kept may not
    return table.copy() if unused else removed_unused_stimulus_presentation_columns(table)


def parsed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of presentations with its text that spells numbers, or lists of them, as these."""
    for name in _SPELT:
        if name in table.columns:
            values = table[name].to_numpy(dtype=object)
            known = {text: _spelt(text) for text in set(values.tolist()) if isinstance(text, str)}
            out = np.empty(len(values), dtype=object)
            out[:] = [known[value] if isinstance(value, str) else value for value in values]
            table = table.assign(
                **{name: pd.Series(_settled(out), index=table.index, dtype=_settled(out).dtype)}
            )
    return table


def _spelt(text: str) -> Any:
    """Return the number, or the tuple of numbers, that a text spells; or the text.

    >>> [_spelt(text) for text in ("0.25", "[250.0, 250.0]", "null", "['a']")]
    [0.25, (250.0, 250.0), 'null', "['a']"]
    """
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        value = ast.literal_eval(text)
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if all(type(each) in (int, float) for each in numbers):
            return tuple(value) if isinstance(value, (list, tuple)) else value
    return text


def stimulus_epochs(presentations: pd.DataFrame, shortest: Mapping[str, float]) -> pd.DataFrame:
    """Return the stretches of time in which one stimulus was shown.

    Parameters
    ----------
    presentations : pandas.DataFrame
        All presentations.
    shortest : mapping of str to float
        How long (s) an epoch of a stimulus must be to be listed.

    Returns
    -------
    pandas.DataFrame
        Columns start_time, stop_time, duration (s), stimulus_name, stimulus_block.
    """
    blocks = presentations["stimulus_block"].to_numpy()
    bounds = nan_intervals(blocks)
    first, last = bounds[:-1], bounds[1:] - 1
    if not len(blocks):
        first = last = np.empty(0, dtype=np.intp)
    start = presentations["start_time"].to_numpy()[first]
    stop = presentations["stop_time"].to_numpy()[last]
    epochs = frame(
        {
            "start_time": start,
            "stop_time": stop,
            "duration": stop - start,
            "stimulus_name": presentations["stimulus_name"].to_numpy(dtype=object)[first],
            "stimulus_block": _settled(blocks[first]),
        }
    )
    keep = np.ones(len(epochs), dtype=bool)
    for name, duration in shortest.items():
        keep &= (epochs["stimulus_name"] != name).to_numpy() | (epochs["duration"] >= duration).to_numpy()
    return epochs[keep]


def _settled(values: NDArray[Any]) -> NDArray[Any]:
    """Return objects that are all numbers as numbers."""
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=False) == "floating":
        return values.astype(np.float64)
    return values


def parameter_values(presentations: pd.DataFrame, *, drop_nulls: bool) -> dict[str, NDArray[Any]]:
    """Return the different values of each parameter, in the order of their first presentation.

    Parameters
    ----------
    presentations : pandas.DataFrame
        The presentations to look at.
    drop_nulls : bool
        Whether to leave out ``"null"``, which says that the parameter does not apply. Where it stays, it
        is the last one.
    """
    named = [name for name in _NOT_PARAMETERS if name in presentations.columns]
    table = removed_unused_stimulus_presentation_columns(presentations.drop(columns=named))
    values: dict[str, NDArray[Any]] = {}
    for name in table.columns:
        different = np.asarray(table[name].unique())
        if different.dtype == object:
            null = np.array([isinstance(each, str) and each == "null" for each in different], dtype=bool)
            known = different[~null]
            different = known if drop_nulls or not null.any() else np.append(known, different[null])
        values[str(name)] = different
    return values


def inter_presentation_intervals(presentations: pd.DataFrame) -> pd.DataFrame:
    """Return the pause after each presentation: ``interval`` (s), by the ids of the two that it lies between."""
    ids = presentations.index.to_numpy()
    start, stop = presentations["start_time"].to_numpy(), presentations["stop_time"].to_numpy()
    pairs = pd.MultiIndex.from_arrays(
        [ids[:-1], ids[1:]], names=["from_presentation_id", "to_presentation_id"]
    )
    return pd.DataFrame({"interval": start[1:] - stop[:-1]}, index=pairs)


def intervals_within(
    intervals: pd.DataFrame, presentations: pd.DataFrame, names: Collection[Any]
) -> pd.DataFrame:
    """Return the pauses that lie between two presentations of the named stimuli."""
    shown = presentations["stimulus_name"].isin(list(names)).to_numpy()
    return intervals[shown[:-1] & shown[1:]]
