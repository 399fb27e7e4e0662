"""Sessions that are known by their tables only: what the older tool np_nwb left of them.

A folder for each session, with ``session.json``, ``subject.json``, ``paths.json`` and ``intervals/``: a csv for
each table, and beside it a JSON file with what its columns are. Tables and columns get the names that today's
sessions have.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pandas as pd

from project_cache.errors import CorruptObjectError
from project_cache.raw.layouts import members_of
from project_cache.raw.places import AnyPath, translated
from project_cache.raw.subject import read_description

__all__ = [
    "COLUMN_NAMES",
    "TABLE_NAMES",
    "count_rows",
    "read_table",
    "read_table_descriptions",
    "read_tables",
    "table_paths",
]

#: the names of tables, then and now
TABLE_NAMES = {
    "task_trials": "trials",
    "vis_mapping_trials": "vis_rf_mapping_trials",
    "aud_mapping_trials": "aud_rf_mapping_trials",
}
#: the names of columns, then and now; those that are not here kept theirs
COLUMN_NAMES = {
    "index": "trial_index",
    "index_within_block": "trial_index_in_block",
    "context_name": "rewarded_modality",
    "is_context_switch": "is_block_switch",
    "repeat_number": "repeat_index",
    "is_vis_context": "is_vis_rewarded",
    "is_aud_context": "is_aud_rewarded",
}
#: the modality that today is called aud
_MODALITIES = {"sound": "aud"}
_TEXTS = frozenset({"stim_name", "rewarded_modality"})


def read_tables(root: AnyPath) -> dict[str, pd.DataFrame]:
    """Return a session's tables, by today's names.

    Parameters
    ----------
    root : Path or RemotePath
        The session's folder.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``trials`` and, where they were presented, ``vis_rf_mapping_trials`` and ``aud_rf_mapping_trials``: see
        `read_table`.

    Raises
    ------
    CorruptObjectError
        A file is no such table.
    """
    return {name: read_table(path) for name, path in table_paths(root).items()}


def count_rows(path: AnyPath) -> int:
    """Return how many rows a table has; what is in them is not looked at.

    Raises
    ------
    CorruptObjectError
        It is no table of trials, or a row has more cells than there are columns.
    """
    with translated(path):
        text = path.read_bytes().decode("utf-8")
    try:
        header, *rows = (row for row in csv.reader(io.StringIO(text, newline="")) if row)
    except (ValueError, csv.Error) as error:
        raise CorruptObjectError(
            f"{path} is no table of trials: it is empty, or damaged ({error})."
        ) from error
    names = [COLUMN_NAMES.get(name, name) for name in header]
    if "start_time" not in names or len(set(names)) < len(names):
        raise _no_trials(path)
    if any(len(row) > len(names) for row in rows):
        raise CorruptObjectError(f"{path} has rows of more than its {len(names)} columns.")
    return len(rows)


def _no_trials(path: AnyPath) -> CorruptObjectError:
    return CorruptObjectError(f"{path} is no table of trials: it has no start_time, or a column twice.")


def read_table(path: AnyPath) -> pd.DataFrame:
    """Return one table, with today's names of columns.

    Returns
    -------
    pandas.DataFrame
        One row a trial, its index called ``id``. Times are in seconds of the session's clock; ``is_…`` are truth
        values; names are text, empty where there is none; ``rewarded_modality`` is ``vis`` or ``aud``. Unlike
        today's, ``trial_index``, ``trial_index_in_block`` and ``repeat_index`` of the task are NaN for catch
        trials and do not count repeats.
    """
    with translated(path):
        # as text: Python's own float() gives the double that was written, pandas' parser its neighbour at times
        table = pd.read_csv(io.BytesIO(path.read_bytes()), dtype=str).rename(columns=COLUMN_NAMES)
    if "start_time" not in table or table.columns.duplicated().any():
        raise _no_trials(path)
    for name in table.columns:
        if name.startswith("is_"):
            table[name] = _truth(path, table[name])
        elif name in _TEXTS:
            table[name] = table[name].fillna("")
        else:
            table[name] = _numbers(path, table[name])
    if "rewarded_modality" in table:
        table["rewarded_modality"] = table["rewarded_modality"].replace(_MODALITIES)
    return table.rename_axis(index="id")


def _truth(path: AnyPath, column: pd.Series[str]) -> pd.Series[bool]:
    if not column.dropna().isin(["True", "False"]).all():
        raise CorruptObjectError(f"{path} has in {column.name!r} what is neither True nor False.")
    # what is missing is not true
    return column.eq("True").fillna(False).astype(bool)


def _numbers(path: AnyPath, column: pd.Series[str]) -> pd.Series[Any]:
    """Return the column as whole numbers where all are written so, else as floats."""
    whole = len(column) > 0 and column.notna().all() and column.str.fullmatch(r"-?[0-9]{1,18}").all()
    try:
        return column.astype(np.int64 if whole else np.float64)
    except ValueError as error:
        raise CorruptObjectError(f"{path} has in {column.name!r} what is no number ({error}).") from error


def read_table_descriptions(root: AnyPath) -> dict[str, dict[str, str]]:
    """Return what the columns of a session's tables are, by today's names of table and column."""
    described = {}
    for name, path in table_paths(root, ".json").items():
        columns = read_description(path).get("column_names_to_descriptions")
        if not isinstance(columns, dict):
            raise CorruptObjectError(f"{path} does not describe columns (column_names_to_descriptions).")
        described[name] = {
            COLUMN_NAMES.get(str(each), str(each)): str(text) for each, text in columns.items()
        }
    return described


def table_paths(root: AnyPath, suffix: str = ".csv") -> dict[str, AnyPath]:
    """Return the files of a session's tables, or those of another suffix beside them, by today's names of tables."""
    files = [path for path in members_of(root / "intervals") if path.suffix == suffix]
    return {TABLE_NAMES.get(path.stem, path.stem): path for path in files}
