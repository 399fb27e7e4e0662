"""Tables with the columns of those above them and with counts of what is below, in a project of AllenSDK's four tables."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from project_cache.tables.columns import SUPPRESS_FROM_SESSION_TABLE, UNIT_NAMES
from project_cache.tables.csvfile import Array, TableFile, frame
from project_cache.tables.joins import counted, joined
from project_cache.tables.links import Links

__all__ = [
    "ACRONYMS",
    "annotated_channels",
    "annotated_sessions",
    "annotated_units",
    "counted_channels",
    "counted_probes",
    "objects",
]

#: the column of the structures that channels are in, whose cells are arrays
ACRONYMS = "ecephys_structure_acronyms"


def annotated_sessions(
    *files: TableFile, suppress: Sequence[str] = SUPPRESS_FROM_SESSION_TABLE
) -> pd.DataFrame:
    """Return the sessions with numbers of units, channels and probes, and with structures, less some columns.

    `files` are the four tables: sessions, probes, channels, units.
    """
    sessions, *_ = files
    table = sessions.frame()
    if "structure_acronyms" in table:
        table[ACRONYMS] = 0
        table = table.drop(columns="structure_acronyms")
    links = Links(*files)
    table["unit_count"] = counted(links.session_of_unit, len(table))
    table["channel_count"] = counted(links.session_of_channel, len(table))
    table["probe_count"] = counted(links.session_of_probe, len(table))
    table[ACRONYMS] = links.acronyms(links.session_of_channel, len(table))
    table = table.drop(columns=list(suppress), errors="ignore")
    return table.rename(columns={"genotype": "full_genotype"})


def counted_probes(*files: TableFile) -> pd.DataFrame:
    """Return the probes with their sessions' columns, numbers of units and channels, and structures."""
    table = _annotated_probes(*files[:2])
    links = Links(*files)
    at = files[1].ids.get_indexer(table.index)
    table["unit_count"] = counted(links.probe_of_unit, len(files[1].ids))[at]
    table["channel_count"] = counted(links.probe_of_channel, len(files[1].ids))[at]
    table[ACRONYMS] = links.acronyms(links.probe_of_channel, len(files[1].ids))[at]
    return table


def counted_channels(*files: TableFile) -> pd.DataFrame:
    """Return the channels with their probes' and sessions' columns, and numbers of units."""
    table = annotated_channels(*files[:3])
    count = counted(Links(*files).channel_of_unit, len(files[2].ids))
    table["unit_count"] = count[files[2].ids.get_indexer(table.index)]
    return table


def annotated_channels(sessions: TableFile, probes: TableFile, channels: TableFile) -> pd.DataFrame:
    """Return the channels with their probes' and sessions' columns."""
    channels.load(["ecephys_probe_id"])
    above = _annotated_probes(sessions, probes)
    return joined(channels.frame(), "ecephys_probe_id", above, ("_channel", "_probe"))


def annotated_units(
    units: TableFile, rows: Array, channels: pd.DataFrame, *, drop_quality: bool
) -> pd.DataFrame:
    """Return the units in some rows of the file, with the columns of their :func:`annotated_channels`."""
    units.load([units.id_name, *units.names])
    columns = {UNIT_NAMES.get(name, name): units.values(name)[rows] for name in units.names}
    if drop_quality:
        columns.pop("quality", None)
    table = frame(columns, units.ids.take(rows))
    return joined(table, "ecephys_channel_id", channels, ("_unit", "_channel"))


def _annotated_probes(sessions: TableFile, probes: TableFile) -> pd.DataFrame:
    probes.load(["ecephys_session_id"])
    table = probes.frame()
    if {"lfp_sampling_rate", "lfp_temporal_subsampling_factor"} <= set(table.columns):
        table["lfp_sampling_rate"] = table["lfp_sampling_rate"] / table["lfp_temporal_subsampling_factor"]
    return joined(table, "ecephys_session_id", _sessions_as_joined(sessions), ("_probe", "_session"))


def _sessions_as_joined(sessions: TableFile) -> pd.DataFrame:
    """Return the sessions as probes are joined with them."""
    table = sessions.frame()
    if "structure_acronyms" in table:
        lists = [ast.literal_eval(cell) for cell in table["structure_acronyms"]]
        table[ACRONYMS] = objects(lists)
        table = table.drop(columns="structure_acronyms")
    return table


def objects(cells: Iterable[Any]) -> Array:
    """Return an array with an object in each cell, lists and arrays among them as they are."""
    listed = list(cells)
    array = np.empty(len(listed), dtype=object)
    for n, cell in enumerate(listed):
        array[n] = cell
    return array
