"""CCF annotation: where each channel of a probe was in the brain, as the histology tells.

Positions are in the common coordinate framework (CCFv3), in µm from its corner: x to posterior, y to inferior,
z to the right.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.raw.names import extract_probe_letter
from project_cache.raw.places import AnyPath, read_json, translated

__all__ = ["read_annotation", "structure_of"]

#: what TissueCyte's volumes are sampled in
_VOXEL_UM = 25.0
OUT_OF_BRAIN = "out of brain"

_CHANNEL = ("channel", "channel_number")
_VOXELS = ("AP", "DV", "ML")
_MICROMETRES = (("x", "y", "z"), ("ccf_ap", "ccf_dv", "ccf_ml"))
_LOCATION = ("region", "location", "acronym", "brain_region", "structure_acronym")
_STRUCTURE = ("region_stripped", "structure")
#: a layer of the cortex at the end of a structure's acronym; the fields of Ammon's horn and the lobules of the
#: cerebellum end with numbers too, which are no layers
_LAYER = re.compile(r"(?:1|2/3|2|3|4/5|4|5/6|5|6a|6b|6)$")
_NUMBERED = re.compile(r"CA|CENT|CUL|FOTU|DG|PAR|TEa$")


def structure_of(location: str) -> str:
    """Return the structure that a location belongs to: without its layer and what follows a hyphen.

    Examples
    --------
    >>> [structure_of(each) for each in ("VISp2/3", "ACAd6a", "CA1", "SSp-bfd5", "ECT5", "LP", "out of brain")]
    ['VISp', 'ACAd', 'CA1', 'SSp', 'ECT', 'LP', 'out of brain']
    """
    if location == OUT_OF_BRAIN:
        return location
    if location.startswith("ECT"):
        return "ECT"
    stem = location.split("-")[0]
    return stem if _NUMBERED.match(stem) else _LAYER.sub("", stem)


def read_annotation(path: AnyPath, letter: str | None = None) -> pd.DataFrame:
    """Return where the channels of a probe were.

    Parameters
    ----------
    path : Path or RemotePath
        TissueCyte's table (csv: ``channel``, ``AP``, ``DV``, ``ML`` in voxels of 25 µm, ``region``,
        ``region_stripped``), or a table or JSON records with the channel, an acronym, and ``x``, ``y``, ``z`` (or
        ``ccf_ap``, ``ccf_dv``, ``ccf_ml``) in µm.
    letter : str, optional
        The probe, for files of several.

    Returns
    -------
    pandas.DataFrame
        By channel, in order: ``channel`` (from 0), ``x``, ``y``, ``z`` (µm; NaN outside of the brain),
        ``structure``, ``location`` (with its layer) and, where the file has it, ``raw_structure``.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        There is no such file; it is no such table.
    MissingDataError
        It names regions by numbers only (IBL's alignment tool): their acronyms would need the atlas's tree.
    """
    table = _read(path)
    if letter is not None and "device_name" in table:
        of = [extract_probe_letter(str(name).split("_")[0]) for name in table["device_name"]]
        table = table[[each in (None, letter) for each in of]]
    channel = _named(table, _CHANNEL)
    location, structure = _named(table, _LOCATION), _named(table, _STRUCTURE)
    if channel is None or table.empty:
        raise CorruptObjectError(f"{path} is no annotation: it has no channels.")
    if location is None and structure is None:
        if "brain_region_id" in table:
            raise MissingDataError(
                f"{path} names brain regions by their ids only (brain_region_id). Add a column 'region' with the "
                f"acronyms of the Allen atlas (its structure tree has both)."
            )
        raise CorruptObjectError(
            f"{path} is no annotation: it has no column of regions ({', '.join(_LOCATION)})."
        )
    out = pd.DataFrame({"channel": _numbers(path, table, channel)})
    if out["channel"].isna().any() or out["channel"].duplicated().any():
        raise CorruptObjectError(f"{path} does not have each channel once.")
    out["channel"] = out["channel"].astype(np.int64)
    for axis, values in zip("xyz", _positions(path, table), strict=True):
        out[axis] = values
    locations = _acronyms(table[location if location is not None else structure])
    out["structure"] = (
        [structure_of(each) for each in locations]
        if structure is None
        else ["ECT" if each.startswith("ECT") else each for each in _acronyms(table[structure])]
    )
    out["location"] = locations
    if "raw_structure" in table:
        out["raw_structure"] = _acronyms(table["raw_structure"])
    return out.sort_values("channel", ignore_index=True)


def _read(path: AnyPath) -> pd.DataFrame:
    if path.suffix != ".json":
        with translated(path):
            return pd.read_csv(io.BytesIO(path.read_bytes()), encoding="utf-8-sig")
    records: Any = read_json(path)
    if isinstance(records, dict):
        # the tool's own files have a record for each channel, by the channel's name
        records = list(records.values())
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise CorruptObjectError(f"{path} is no annotation: it is not a list of records.")
    return pd.DataFrame.from_records(records)


def _named(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in table), None)


def _numbers(path: AnyPath, table: pd.DataFrame, name: str) -> list[float]:
    try:
        numbers: list[float] = pd.to_numeric(table[name]).astype(float).tolist()
    except (ValueError, TypeError) as error:
        raise CorruptObjectError(f"{path} has in {name!r} what is no number ({error}).") from error
    return numbers


def _positions(path: AnyPath, table: pd.DataFrame) -> list[list[float]]:
    """Return x, y and z in µm, NaN where a channel was not in the brain."""
    if all(name in table for name in _VOXELS):
        scale, names = _VOXEL_UM, _VOXELS
    else:
        scale = 1.0
        found = [names for names in _MICROMETRES if all(name in table for name in names)]
        if not found:
            raise CorruptObjectError(f"{path} is no annotation: it has no positions ({', '.join(_VOXELS)}).")
        names = found[0]
    axes = np.array([_numbers(path, table, name) for name in names])
    # a channel that was not inserted has -1 on each axis
    axes[:, (axes < 0).any(axis=0)] = np.nan
    positions: list[list[float]] = (axes * scale).tolist()
    return positions


def _acronyms(column: pd.Series[Any]) -> list[str]:
    return [OUT_OF_BRAIN if pd.isna(each) or str(each).strip() == "" else str(each) for each in column]
