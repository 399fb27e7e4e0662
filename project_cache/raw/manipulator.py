"""The manipulators' log: where each probe's NewScale stage was, line by line."""

from __future__ import annotations

import io

import pandas as pd

from project_cache.errors import CorruptObjectError
from project_cache.raw.places import AnyPath, translated

__all__ = ["read_manipulator_log"]

_COLUMNS = ["time", "device_name", "x", "y", "z", "x_virtual", "y_virtual", "z_virtual"]


def read_manipulator_log(path: AnyPath) -> pd.DataFrame:
    """Return the log of the manipulators' positions, one row for each that was written, in order of time.

    Parameters
    ----------
    path : Path or RemotePath
        Lines such as ``2023/04/04 10:37:28.815, SN46121, 7520.0, 7505.0, 7493.0, 7520.0, 7505.0, 7493.0``. Lines
        that are not (the last one may be cut off) are passed over.

    Returns
    -------
    pandas.DataFrame
        ``time`` (the rig's local time, without a zone), ``device_name`` (``SN46121``), the position ``x``, ``y``,
        ``z`` on the stage and ``x_virtual``, ``y_virtual``, ``z_virtual`` in the software's frame, all in µm.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        There is no such file; not one line is a position.
    """
    with translated(path):
        table = pd.read_csv(
            io.BytesIO(path.read_bytes()),
            header=None,
            names=_COLUMNS,
            dtype=str,
            skipinitialspace=True,
            on_bad_lines="skip",
            encoding="utf-8-sig",
            encoding_errors="replace",
        )
    table["time"] = pd.to_datetime(table["time"], format="%Y/%m/%d %H:%M:%S.%f", errors="coerce")
    for name in _COLUMNS[2:]:
        table[name] = pd.to_numeric(table[name], errors="coerce").astype(float)
    table["device_name"] = table["device_name"].str.strip()
    positions = table.dropna(subset=["time", "device_name", "x", "y", "z"])
    if positions.empty:
        raise CorruptObjectError(
            f"{path} has no position of a manipulator: lines such as '2023/04/04 10:37:28.815, SN46121, 7520.0, …' "
            f"were expected."
        )
    # the log's clock was set back at times: rows of one instant stay as they were written
    return positions.sort_values("time", kind="stable", ignore_index=True)
