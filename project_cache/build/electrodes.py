"""The electrodes table: the recorded channels of all probes, and where in the brain they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from project_cache.build.probes import channel_offset, group_name, probe_info, probe_letters
from project_cache.errors import CorruptObjectError

if TYPE_CHECKING:
    from hdmf.common import DynamicTable, DynamicTableRegion
    from pynwb.ecephys import ElectrodeGroup

    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.settings import ProbeInfo

__all__ = ["electrode_frame", "electrode_region", "electrodes", "not_in_a_file_yet"]

#: what stands where a channel was not placed in the CCF
UNANNOTATED = "unannotated"
#: Ω: what a Neuropixels electrode has at 1 kHz, by its maker
IMPEDANCE = 150e3

_COLUMNS = {
    "structure": "Acronym of the CCF structure that the electrode is in, without its layer.",
    "x": "CCF coordinate in micrometers, +x is posterior.",
    "y": "CCF coordinate in micrometers, +y is inferior.",
    "z": "CCF coordinate in micrometers, +z is to the subject's right.",
    "channel": "Number of the channel on its probe, from 0 at the tip; the bank above it has 384 and more.",
    "rel_x": "Position across the probe's face, in micrometers, as the acquisition software gives it.",
    "rel_y": "Position along the probe, in micrometers from the tip up.",
    "reference": "Where the reference electrode is.",
    "imp": "Nominal impedance at 1 kHz, in ohms.",
    "location": "Acronym of the CCF area that the electrode is in, with its layer.",
    "raw_structure": "Acronym of the CCF structure as the annotation has it, before corrections.",
}


def electrode_frame(raw: RawRecording, options: Options, is_surface_channels: bool = False) -> pd.DataFrame:
    """Return a row for each channel of the probes that are used, in the order of probes and channels.

    Returns
    -------
    pandas.DataFrame
        ``group_name``, ``channel``, ``rel_x``, ``rel_y`` (µm), ``reference``, ``imp`` (Ω), ``location`` and, where
        a probe was annotated, ``structure`` and the CCF coordinates ``x``, ``y``, ``z`` (µm).
    """
    parts = []
    for letter in probe_letters(raw, options, is_surface_channels):
        part = _channels(probe_info(raw, letter), letter, channel_offset(is_surface_channels))
        # what was annotated are the channels of the main recording
        placed = None if is_surface_channels else raw.annotation.get(letter)
        parts.append(part if placed is None else _placed(part, placed, letter))
    frame = pd.concat(parts, ignore_index=True)
    frame["location"] = frame["location"].fillna(UNANNOTATED) if "location" in frame else UNANNOTATED
    if not any("x" in part for part in parts):
        return frame
    for name in ("structure", "raw_structure"):
        if name in frame:
            frame[name] = frame[name].fillna(UNANNOTATED)
    return frame


def _channels(probe: ProbeInfo, letter: str, offset: int) -> pd.DataFrame:
    n_channels = len(probe.x)
    return pd.DataFrame(
        {
            "group_name": [group_name(letter)] * n_channels,
            "channel": np.arange(n_channels, dtype=np.int64) + offset,
            "rel_x": np.asarray(probe.x, dtype=np.float64),
            "rel_y": np.asarray(probe.y, dtype=np.float64),
            "reference": [str(probe.reference).lower() or "tip"] * n_channels,
            "imp": np.full(n_channels, IMPEDANCE),
        }
    )


def _placed(channels: pd.DataFrame, annotation: pd.DataFrame, letter: str) -> pd.DataFrame:
    """Return the channels with the structures and CCF coordinates that an annotation gives them."""
    if annotation["channel"].duplicated().any():
        raise CorruptObjectError(f"The CCF annotation of probe {letter} has a channel twice.")
    names = [name for name in ("x", "y", "z", "location", "structure", "raw_structure") if name in annotation]
    found = annotation.set_index("channel")[names]
    return channels.join(found, on="channel")


def electrodes(
    raw: RawRecording,
    options: Options,
    electrode_groups: dict[str, ElectrodeGroup],
    is_surface_channels: bool = False,
) -> DynamicTable:
    """Return the table of electrodes: a row for each recorded channel of the probes that are used.

    Raises
    ------
    ComponentUnavailable
        No probe was recorded.
    """
    from hdmf.common import VectorData
    from pynwb.ecephys import ElectrodesTable

    frame = electrode_frame(raw, options, is_surface_channels)
    columns: list[Any] = [
        VectorData(name=name, description=text, data=_values(frame[name]))
        for name, text in _COLUMNS.items()
        if name in frame
    ]
    names = frame["group_name"].tolist()
    columns += [
        VectorData(name="group", description="The probe.", data=[electrode_groups[name] for name in names]),
        VectorData(name="group_name", description="Name of the probe.", data=names),
    ]
    return ElectrodesTable(
        columns=columns,
        colnames=[column.name for column in columns],
    )


def _values(column: pd.Series[Any]) -> Any:
    return column.tolist() if column.dtype.kind not in "iufb" else column.to_numpy()


def electrode_region(electrodes: DynamicTable, letter: str, channels: Any = None) -> DynamicTableRegion:
    """Return a new reference to the electrodes of a probe, for a series.

    Parameters
    ----------
    electrodes : DynamicTable
        The table.
    letter : str
        The probe.
    channels : array-like of int, optional
        Positions among the probe's channels; all of them by default.
    """
    from hdmf.common import DynamicTableRegion

    rows = np.flatnonzero(np.asarray(electrodes["group_name"].data[:]) == group_name(letter))
    return DynamicTableRegion(
        name="electrodes",
        description=f"The channels of {group_name(letter)} that are the columns of data.",
        data=rows if channels is None else rows[np.asarray(channels, dtype=np.int64)],
        table=electrodes,
    )


@contextmanager
def not_in_a_file_yet() -> Iterator[None]:
    """Refer to electrodes without hdmf's warning that they are in no file: each component is made by itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="The linked table for DynamicTableRegion", category=UserWarning
        )
        yield
