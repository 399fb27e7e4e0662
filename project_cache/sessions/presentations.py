"""Stimulus presentations of a Visual Coding session: one table of all stimuli, names made uniform.

The steps, and their order, are those of AllenSDK 2.16.2, since notebooks depend on what comes out: which
columns there are, that what does not apply is the string ``"null"``, and how presentations are numbered
into conditions. Each step works on whole columns.
"""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.nwb.arrays import path_of
from project_cache.nwb.links import find_group, members
from project_cache.nwb.ragged import is_ragged
from project_cache.nwb.table import column_names, frame, read_column, read_ids, read_table
from project_cache.sessions.stimulus_names import COLUMN_NAMES, uniform_names

__all__ = [
    "DETAILED_PARAMETERS",
    "arranged",
    "build_presentations",
    "mask_invalid",
    "read_invalid_times",
    "read_presentations",
]

#: columns that ``stimulus_presentations`` leaves out, and ``stimulus_conditions`` has
DETAILED_PARAMETERS = (
    "colorSpace", "flipHoriz", "flipVert", "depth", "interpolate", "mask", "opacity", "rgbPedestal", "tex",
    "texRes", "units", "rgb", "signalDots", "noiseDots", "fieldSize", "fieldShape", "fieldPos", "nDots",
    "dotSize", "dotLife", "color_triplet",
)  # fmt: skip
#: columns that are not parameters of a stimulus
_NOT_PARAMETERS = ("start_time", "stop_time", "duration", "stimulus_block")
_NEEDED = ("start_time", "stop_time", "stimulus_name")
_NOT_READ = {"tags", "timeseries", "tags_index", "timeseries_index"}
_INTEGERS = (
    "flashes_since_change",
    "image_index",
    "movie_repeat",
    "movie_frame_index",
    "repeat",
    "stimulus_index",
)
#: columns that come first
_LEADING = (
    "stimulus_block", "stimulus_block_name", "image_index", "image_name", "movie_frame_index", "duration",
    "start_time", "end_time", "stop_time", "start_frame", "end_frame", "is_change", "is_image_novel",
    "omitted", "movie_repeat", "flashes_since_change", "trials_id",
)  # fmt: skip
_TRIPLET = re.compile(r"\[(?:-?\d*\.\d*,\s*)*-?\d*\.\d*\]")
_NULL = "null"

Columns = dict[str, NDArray[Any]]


def read_presentations(handle: h5py.File, *, truth_values: bool = True) -> Columns:
    """Return the presentations of all stimuli, in the order of their start times, as columns.

    Parameters that a stimulus does not have are NaN, or ``""`` where the file says ``N/A``.

    Parameters
    ----------
    handle : h5py.File
        The file.
    truth_values : bool
        Whether columns of nothing but 0, 1 and NaN become truth values, or stay numbers.
    """
    intervals = find_group(handle, "intervals")
    tables: list[Columns] = []
    for name, group in members(intervals) if intervals is not None else ():
        if name.endswith("_presentations") and isinstance(group, h5py.Group):
            names = [each for each in column_names(group) if each not in _NOT_READ]
            table = {each: _parameter(group, each) for each in names}
            if len({len(values) for values in table.values()} | {len(read_ids(group))}) > 1:
                raise CorruptObjectError(
                    f"{path_of(group)} has columns of different lengths. The file is damaged."
                )
            lacking = [each for each in _NEEDED if each not in table]
            if lacking:
                raise MissingDataError(f"{path_of(group)} has no {', '.join(lacking)}.")
            tables.append(table)
    if not tables:
        raise MissingDataError(f"{handle.filename} has no stimulus presentations.")
    names = list(dict.fromkeys(name for table in tables for name in table))
    lengths = [len(table["start_time"]) for table in tables]
    columns = {name: _stacked([table.get(name) for table in tables], lengths) for name in names}
    order = np.argsort(columns["start_time"], kind="stable")
    if truth_values:
        columns = {name: _truth_values(name, values) for name, values in columns.items()}
    return {name: values[order] for name, values in columns.items()}


def _parameter(group: h5py.Group, name: str) -> NDArray[Any]:
    """Return one column of one stimulus: wide numbers, strings with ``""`` for N/A, hashable cells."""
    values = read_column(group, name)
    if values.dtype == object:
        if is_ragged(group, name) or any(isinstance(each, np.ndarray) for each in values[:1]):
            cells = np.empty(len(values), dtype=object)
            cells[:] = [tuple(np.asarray(each).tolist()) for each in values]
            return cells
        values[values == "N/A"] = ""
        return values
    if values.dtype.kind in "iu":
        return values.astype(np.int64, copy=False)
    return values.astype(np.float64, copy=False) if values.dtype.kind == "f" else values


def _stacked(pieces: list[NDArray[Any] | None], lengths: list[int]) -> NDArray[Any]:
    """Return a column's pieces one after the other, NaN where a stimulus has no such column."""
    kinds = {piece.dtype.kind for piece in pieces if piece is not None}
    if kinds <= set("if") or (
        len(kinds) == 1 and None not in [each if each is None else 0 for each in pieces]
    ):
        filled = [
            np.full(n, np.nan) if piece is None else piece for piece, n in zip(pieces, lengths, strict=True)
        ]
        return np.concatenate(filled)
    out = np.full(sum(lengths), np.nan, dtype=object)
    at = 0
    for piece, n in zip(pieces, lengths, strict=True):
        if piece is not None:
            out[at : at + n] = piece
        at += n
    return out


def _truth_values(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return a column of nothing but 0, 1 and NaN as truth values (that is how the writer stored them)."""
    if values.dtype.kind != "f" or name.endswith("_index") or name in _NOT_PARAMETERS[:3]:
        return values
    known = ~np.isnan(values)
    if not np.isin(values[known], (0.0, 1.0)).all():
        return values
    if known.all():
        return values.astype(bool)
    out = np.full(len(values), np.nan, dtype=object)
    out[known] = values[known].astype(bool)
    return out


def build_presentations(columns: Columns) -> tuple[Columns, pd.DataFrame]:
    """Return the presentations in their final form, and the conditions that they are instances of.

    Parameters
    ----------
    columns : dict
        As of :func:`read_presentations`.

    Returns
    -------
    presentations : dict
        Columns, of which the last is ``stimulus_condition_id``.
    conditions : pandas.DataFrame
        Each different set of parameters, in the order of their first presentation; index
        ``stimulus_condition_id``.
    """
    columns = arranged(columns)
    if "color" in columns:
        columns["color"], triplets = _colors(columns["color"])
        columns.setdefault("color_triplet", np.full(len(triplets), "", dtype=object))
        has_triplet = triplets != ""
        columns["color_triplet"][has_triplet] = triplets[has_triplet]
    columns.pop("stimulus_index", None)
    columns = _collapsed(columns)
    columns["stimulus_name"] = uniform_names(columns["stimulus_name"])
    columns = _renamed(columns)
    columns = {name: _applicable(name, values) for name, values in columns.items()}
    columns["duration"] = columns["stop_time"] - columns["start_time"]
    conditions, number = _conditions({k: v for k, v in columns.items() if k not in _NOT_PARAMETERS})
    columns["stimulus_condition_id"] = number
    return columns, conditions


def arranged(columns: Columns) -> Columns:
    """Return the columns with counts and indices as whole numbers (-99 for unknown), the leading ones first."""
    columns = {name: _whole(values) if name in _INTEGERS else values for name, values in columns.items()}
    leading = [name for name in _LEADING if name in columns]
    return {name: columns[name] for name in (*leading, *(name for name in columns if name not in leading))}


def _whole(values: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers as int64, -99 for those that are not known."""
    whole = values.copy()
    whole[pd.isna(values)] = -99
    try:
        return whole.astype(np.int64)
    except (TypeError, ValueError):  # text that is no number stays text
        return values


def _colors(values: NDArray[Any]) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return the colours that are numbers, and those that are triplets of red, green and blue, as text.

    The column holds both, as strings; in either result the others are ``""``.
    """
    known: dict[Any, tuple[Any, str]] = {}
    flat = values.astype(object).tolist()
    for value in set(flat):
        if not isinstance(value, str):
            known[value] = (value if value == value else "", "")
        elif _TRIPLET.match(value):
            known[value] = ("", value)
        else:
            known[value] = (_number(value), "")
    colors, triplets = np.empty(len(flat), dtype=object), np.empty(len(flat), dtype=object)
    # NaN is not equal to itself, so it is not found
    colors[:] = [known.get(value, ("", ""))[0] for value in flat]
    triplets[:] = [known.get(value, ("", ""))[1] for value in flat]
    return colors, triplets


def _number(text: str) -> int | float | str:
    """Return the number that a text is, or the text.

    >>> [_number(text) for text in ("-1.0", "1", "", "white")]
    [-1.0, 1, '', 'white']
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _collapsed(columns: Columns) -> Columns:
    """Return the columns with those merged that differ in capitals only and are never both known.

    Early sessions name one parameter differently in different stimuli (``contrast``, ``Contrast``).
    """
    columns = dict(columns)
    gone = set()
    for name in columns:
        for other in (name.upper(), name.capitalize()):
            merged = None if other == name or other not in columns else _merged(columns[name], columns[other])
            if merged is not None:
                columns[name] = merged
                gone.add(other)
                break
    return {name: values for name, values in columns.items() if name not in gone}


def _merged(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any] | None:
    """Return one column with its gaps filled from another, or None if both know something of one row."""
    here, there = ~pd.isna(one), ~pd.isna(other)
    if (here & there).any():
        return None
    merged = one.copy() if one.dtype == other.dtype else one.astype(object)
    merged[~here & there] = other[~here & there]
    return merged


def _renamed(columns: Columns) -> Columns:
    """Return the columns under their present names.

    A file that has a parameter under both has it in one column here, if the two never speak of one row
    (AllenSDK has two columns of one name then).
    """
    renamed: Columns = {}
    for name, values in columns.items():
        new = COLUMN_NAMES.get(name, name)
        merged = _merged(renamed[new], values) if new in renamed else values
        renamed[name if merged is None else new] = values if merged is None else merged
    return renamed


def _applicable(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return a column with "null" where the parameter does not apply (NaN cannot be grouped by)."""
    if name in ("start_time", "stop_time"):
        return values
    unknown = pd.isna(values)
    if values.dtype == object:
        values = values.copy()
        values[values == ""] = _NULL
    elif not unknown.any():
        return values
    else:
        values = values.astype(object)
    values[unknown] = _NULL
    return _settled(values)


def _settled(values: NDArray[Any]) -> NDArray[Any]:
    """Return objects that are all numbers, or all truth values, as what they are."""
    kind = pd.api.types.infer_dtype(values, skipna=False)
    known = {
        "floating": np.float64,
        "integer": np.int64,
        "mixed-integer-float": np.float64,
        "boolean": np.bool_,
    }
    return values.astype(known[kind]) if kind in known else values


def _conditions(parameters: Columns) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return the different rows, in the order of their first appearance, and the number of each row's."""
    rows = len(next(iter(parameters.values())))
    number: NDArray[Any] = np.zeros(rows, dtype=np.int64)
    for values in parameters.values():
        # Each column's values become numbers, and each pair with what came before one number again, so
        # that they stay below the number of rows squared.
        codes, different = pd.factorize(values)
        number, _ = pd.factorize(number * (len(different) + 1) + codes + 1)
    first = np.unique(number, return_index=True)[1]
    table = {name: values[first] for name, values in parameters.items()}
    table = {name: _settled(values) if values.dtype == object else values for name, values in table.items()}
    return frame(table, np.arange(len(first)), "stimulus_condition_id"), number.astype(np.int64)


def mask_invalid(columns: Columns, invalid: NDArray[np.float64]) -> Columns:
    """Return the presentations with those blanked that touch an invalid interval.

    Only the times of these stay; they are called ``invalid_presentation``.

    Parameters
    ----------
    columns : dict
        As of :func:`build_presentations`.
    invalid : numpy.ndarray, shape (intervals, 2)
        The start and the stop of each, themselves included, in seconds.
    """
    start, stop = columns["start_time"], columns["stop_time"]
    touched = np.zeros(len(start), dtype=bool)
    for first, last in invalid.tolist():
        touched |= (start <= last) & (stop >= first)
    if not touched.any():
        return columns
    masked = {}
    for name, values in columns.items():
        if name not in ("start_time", "stop_time"):
            values = values.astype(np.float64 if values.dtype.kind in "if" else object)
            values[touched] = "invalid_presentation" if name == "stimulus_name" else np.nan
        masked[name] = values
    return masked


def read_invalid_times(handle: h5py.File) -> pd.DataFrame:
    """Return the intervals of invalid data, empty if there are none: start_time, stop_time (s), tags."""
    group = find_group(handle, "intervals/invalid_times")
    table = pd.DataFrame() if group is None else read_table(group)
    return table if len(table) else pd.DataFrame()
