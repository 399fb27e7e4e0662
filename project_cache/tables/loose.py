"""Tables of projects that have not all four of AllenSDK's: whose rows are whose, and what can be counted of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project_cache.manifest.keys import Key
from project_cache.manifest.objects import ObjectEntry
from project_cache.tables.csvfile import Array, TableFile
from project_cache.tables.joins import counted

__all__ = ["counts", "listed_sessions", "of_session"]

#: columns that say which session a row is of
SESSION = ("ecephys_session_id", "session_id")
#: … and those that lead to a row of another table, which may say so
WAYS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "probes": {},
    "channels": {"probes": ("ecephys_probe_id", "probe_id")},
    "units": {
        "channels": ("ecephys_channel_id", "channel_id", "peak_channel_id"),
        "probes": ("ecephys_probe_id", "probe_id"),
    },
}


def counts(
    sessions: TableFile, others: Mapping[str, TableFile], kept_units: Array | None
) -> dict[str, Array]:
    """Return how many probes, channels and units each session has, of the tables that say whose their rows are.

    Parameters
    ----------
    sessions : TableFile
        The sessions.
    others : mapping of str to TableFile
        The other tables that there are, by kind.
    kept_units : array of bool, optional
        Which units are counted.
    """
    found = {}
    for kind in others:
        owners = _sessions_of(kind, sessions, others)
        if owners is not None:
            if kind == "units" and kept_units is not None:
                owners = owners[kept_units]
            found[f"{kind[:-1]}_count"] = counted(owners, len(sessions.ids))
    return found


def _sessions_of(kind: str, sessions: TableFile, others: Mapping[str, TableFile]) -> Array | None:
    """Return of each row of a table the position of its session, -1 for a session that is not there; None: nothing says."""
    table = others[kind]
    for name in SESSION:
        if name in table.names:
            return np.asarray(sessions.ids.get_indexer(pd.Index(table.values(name))))
    for other, names in WAYS[kind].items():
        way = next((name for name in names if name in table.names), None)
        if other in others and way is not None:
            further = _sessions_of(other, sessions, others)
            if further is not None:
                at = others[other].ids.get_indexer(pd.Index(table.values(way)))
                return np.asarray(np.append(further, -1)[at])
    return None


def of_session(table: pd.DataFrame, session_id: Any) -> pd.DataFrame:
    """Return the rows of a session; all of them, where nothing says of which session they are."""
    name = next((name for name in SESSION if name in table), None)
    return table if name is None else table[table[name].to_numpy() == session_id]


def listed_sessions(
    entries: Iterable[ObjectEntry], files: Mapping[Key, Path], session_class: str
) -> pd.DataFrame:
    """Return the sessions of a project without a table of them, by id: ``session_class`` and ``size`` (bytes).

    Parameters
    ----------
    entries : iterable of ObjectEntry
        What the manifest names.
    files : mapping of Key to pathlib.Path
        What is here.
    session_class : str
        The class of sessions that are not told otherwise.
    """
    rows: dict[Any, tuple[str, int | None]] = {}
    for key, path in files.items():
        if key.kind == "session_nwb":
            rows[key.args[0]] = session_class, path.stat().st_size
    for entry in entries:
        if entry.key.kind == "session_nwb":
            known = rows.get(entry.key.args[0], (session_class, None))
            rows[entry.key.args[0]] = entry.session_class or known[0], entry.size or known[1]
    ids = sorted(rows, key=lambda i: (isinstance(i, str), i))
    return pd.DataFrame(
        {
            "session_class": pd.Series([rows[i][0] for i in ids], dtype=object),
            "size": pd.Series([rows[i][1] for i in ids], dtype="Int64"),
        }
    ).set_axis(pd.Index(ids, name="id", dtype=object if any(isinstance(i, str) for i in ids) else None))
