"""Probes, channels and units of a Visual Coding session: reading, choosing, joining."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import MissingDataError, NWBError
from project_cache.nwb.arrays import as_text, path_of
from project_cache.nwb.links import find_dataset, find_group, members, need_group
from project_cache.nwb.ragged import is_ragged
from project_cache.nwb.table import column_names, frame, read_column, read_ids

__all__ = [
    "HIDDEN",
    "RENAMED",
    "UnitFilters",
    "choose_units",
    "join_units",
    "read_channels",
    "read_probe_names",
    "read_probes",
    "read_units",
    "select_channels",
]

ELECTRODES = "general/extracellular_ephys/electrodes"
#: what the file calls these, and what the session does
RENAMED = {
    "PT_ratio": "waveform_PT_ratio",
    "amplitude": "waveform_amplitude",
    "duration": "waveform_duration",
    "halfwidth": "waveform_halfwidth",
    "recovery_slope": "waveform_recovery_slope",
    "repolarization_slope": "waveform_repolarization_slope",
    "spread": "waveform_spread",
    "velocity_above": "waveform_velocity_above",
    "velocity_below": "waveform_velocity_below",
    "l_ratio": "L_ratio",
    "pref_images_multi_ns": "pref_image_multi_ns",
    "description": "probe_description",
    "sampling_rate": "probe_sampling_rate",
    "lfp_sampling_rate": "probe_lfp_sampling_rate",
    "has_lfp_data": "probe_has_lfp_data",
}
#: AllenSDK's columns of ``units`` that come from the file's units table, in its order
_UNIT_COLUMNS = (
    "PT_ratio", "amplitude", "amplitude_cutoff", "cluster_id", "cumulative_drift", "d_prime", "firing_rate",
    "isi_violations", "isolation_distance", "l_ratio", "local_index", "max_drift", "nn_hit_rate",
    "nn_miss_rate", "peak_channel_id", "presence_ratio", "quality", "recovery_slope", "repolarization_slope",
    "silhouette_score", "snr", "spread", "velocity_above", "velocity_below", "waveform_duration",
)  # fmt: skip
#: … those that it gives as NaN where the file has none
_OPTIONAL = set(_UNIT_COLUMNS) - {
    "amplitude_cutoff", "cluster_id", "firing_rate", "isi_violations", "local_index", "peak_channel_id",
    "presence_ratio", "quality",
}  # fmt: skip
#: … and what it hides
HIDDEN = {
    "width_rf", "height_rf", "on_screen_rf", "time_to_peak_fl", "time_to_peak_rf", "time_to_peak_sg",
    "time_to_peak_dg", "sustained_idx_fl",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UnitFilters:
    """Which units and channels are to be seen.

    Attributes
    ----------
    filter_by_validity : bool
        Leave out channels without valid data, and units on them or of a quality other than ``good``.
    filter_out_of_brain_units : bool
        Leave out units whose peak channel is in no structure.
    amplitude_cutoff_maximum, presence_ratio_minimum, isi_violations_maximum : float or None
        Bounds, themselves included; None and 0 are no bound. A unit of which the metric is not known
        (NaN) is left out in either case, as AllenSDK does.
    """

    filter_by_validity: bool = True
    filter_out_of_brain_units: bool = True
    amplitude_cutoff_maximum: float | None = 0.1
    presence_ratio_minimum: float | None = 0.95
    isi_violations_maximum: float | None = 0.5


def read_probes(handle: h5py.File) -> pd.DataFrame:
    """Return the probes, one a row, in the file's order; index ``id``.

    Columns: description (``probeA``), location, sampling_rate and lfp_sampling_rate (Hz), has_lfp_data.
    """
    rows: dict[str, list[Any]] = {"id": [], "description": [], "location": []}
    rows |= {"sampling_rate": [], "lfp_sampling_rate": [], "has_lfp_data": []}
    for name, group in _probe_groups(handle):
        device = find_group(group, "device")
        rows["id"].append(_need(group, "probe_id"))
        rows["description"].append(name)
        rows["location"].append(_attribute(group, "location"))
        rows["sampling_rate"].append(np.nan if device is None else _attribute(device, "sampling_rate"))
        rows["lfp_sampling_rate"].append(_attribute(group, "lfp_sampling_rate"))
        rows["has_lfp_data"].append(bool(_attribute(group, "has_lfp_data")))
    ids = np.array(rows.pop("id"), dtype=np.int64)
    columns: dict[str, NDArray[Any]] = {}
    for name, values in rows.items():
        kind: type = {"has_lfp_data": bool, "description": object, "location": object}.get(name, float)
        columns[name] = np.array([np.nan if v is None and kind is float else v for v in values], dtype=kind)
    return frame(columns, ids, "id")


def read_probe_names(handle: h5py.File) -> dict[int, str]:
    """Return what the probes are called (``probeA``), by id: for this less is read than for all of :func:`read_probes`."""
    return {int(_need(group, "probe_id")): name for name, group in _probe_groups(handle)}


def _probe_groups(handle: h5py.File) -> Iterator[tuple[str, h5py.Group]]:
    for name, group in members(need_group(handle, "general/extracellular_ephys")):
        # everything there is an electrode group, but for the table of electrodes
        if isinstance(group, h5py.Group) and "colnames" not in group.attrs:
            yield name, group


def _attribute(group: h5py.Group, name: str) -> Any:
    """Return what a group says under a name: as an attribute or, from some writers, as a scalar data set."""
    value = group.attrs.get(name)
    if value is None:
        node = find_dataset(group, name)
        value = None if node is None else node[()]
    return as_text(value) if isinstance(value, (bytes, str)) else value


def _need(group: h5py.Group, name: str) -> Any:
    value = _attribute(group, name)
    if value is None:
        raise MissingDataError(
            f"{path_of(group)} has no {name}: this is not a Visual Coding recording. Open it as a Session."
        )
    return value


def read_channels(handle: h5py.File) -> pd.DataFrame:
    """Return all channels, one a row, in the file's order and with ``valid_data``; index ``id``.

    Coordinates are in µm in the Common Coordinate Framework, positions in µm on the probe. Structures
    are without their parts (LGd, not LGd-sh), and None outside of the brain.
    """
    table = need_group(handle, ELECTRODES)
    names = set(column_names(table))
    numbers = [name for name in ("local_index", "probe_channel_number") if name in names]
    if len(numbers) != 1:
        raise NWBError(
            f"{path_of(table)} must have either local_index or probe_channel_number, to say which channel of "
            f"its probe each is; it has {numbers or 'neither'}."
        )
    ids = read_ids(table)
    unknown = np.full(len(ids), np.nan)

    def column(name: str) -> NDArray[Any]:
        if name in names:
            return _wide(read_column(table, name))
        if name in ("probe_id", "probe_horizontal_position", "probe_vertical_position"):
            raise MissingDataError(
                f"{path_of(table)} has no {name}: this is not a Visual Coding recording. Open it as a Session."
            )
        return unknown

    valid = column("valid_data").astype(bool) if "valid_data" in names else np.ones(len(ids), dtype=bool)
    location = column("location")
    structures = np.empty(len(ids), dtype=object)
    structures[:] = [_structure(text) for text in location.tolist()]
    return frame(
        {
            "anterior_posterior_ccf_coordinate": column("x"),
            "dorsal_ventral_ccf_coordinate": column("y"),
            "filtering": column("filtering"),
            "left_right_ccf_coordinate": column("z"),
            "probe_channel_number": column(numbers[0]),
            "probe_horizontal_position": column("probe_horizontal_position"),
            "probe_id": column("probe_id"),
            "probe_vertical_position": column("probe_vertical_position"),
            "structure_acronym": structures,
            "valid_data": valid,
        },
        ids,
        "id",
    )


def _structure(location: Any) -> str | None:
    """Return a structure's acronym without its part: ``LGd`` of ``LGd-sh``.

    >>> [_structure(text) for text in ("LGd-sh", "VISp", "None", "")]
    ['LGd', 'VISp', None, None]
    """
    if not isinstance(location, str) or location in ("", "None"):
        return None
    return location.split("-")[0]


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as int64 or float64, whatever width the file keeps them in."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64, copy=False)
    return values.astype(np.float64, copy=False) if values.dtype.kind == "f" else values


def select_channels(
    channels: pd.DataFrame, external: pd.DataFrame | None, *, by_validity: bool
) -> pd.DataFrame:
    """Return the channels that are to be seen, with the columns that the project's own table knows better.

    Parameters
    ----------
    channels : pandas.DataFrame
        As of :func:`read_channels`.
    external : pandas.DataFrame or None
        Columns by channel id, which replace those of the same name. Channels that it lacks are left out.
    by_validity : bool
        Whether to leave out channels without valid data.
    """
    if external is not None:
        kept = channels.index[channels.index.isin(external.index)]
        here, there = channels.index.get_indexer(kept), external.index.get_indexer(kept)
        columns = {
            name: _values(channels[name])[here] for name in channels.columns if name not in external.columns
        }
        columns |= {name: _values(external[name])[there] for name in external.columns}
        channels = frame(columns, kept.to_numpy(), "id")
    if by_validity:
        channels = channels[channels["valid_data"].to_numpy(dtype=bool)].drop(columns="valid_data")
    return channels


def _values(column: pd.Series[Any]) -> NDArray[Any]:
    """Return a column as numpy has it; as objects where only pandas has its type."""
    return column.to_numpy(dtype=column.dtype if isinstance(column.dtype, np.dtype) else object)


def choose_units(handle: h5py.File, channels: pd.DataFrame, filters: UnitFilters | None) -> NDArray[np.intp]:
    """Return the rows of the units table that are to be seen, probe by probe in the file's order.

    Parameters
    ----------
    handle : h5py.File
        The file.
    channels : pandas.DataFrame
        All its channels, as of :func:`read_channels`.
    filters : UnitFilters or None
        None for every unit of which the peak channel is known.
    """
    table = need_group(handle, "units")
    peak = read_column(table, "peak_channel_id")
    position = pd.Index(channels.index).get_indexer(peak)
    known = position >= 0
    keep = known.copy()
    if filters is not None:
        good = np.ones(len(channels), dtype=bool)
        if filters.filter_by_validity:
            good &= channels["valid_data"].to_numpy(dtype=bool)
            keep &= read_column(table, "quality") == "good"
        if filters.filter_out_of_brain_units:
            good &= channels["structure_acronym"].notna().to_numpy()
        keep[known] &= good[position[known]]
        # 0 is no bound, as in AllenSDK; NaN compares false with any
        keep &= read_column(table, "amplitude_cutoff") <= (filters.amplitude_cutoff_maximum or np.inf)
        keep &= read_column(table, "presence_ratio") >= (filters.presence_ratio_minimum or -np.inf)
        keep &= read_column(table, "isi_violations") <= (filters.isi_violations_maximum or np.inf)
    rows = np.flatnonzero(keep)
    probe = channels["probe_id"].to_numpy()[position[rows]]
    order = {probe_id: n for n, probe_id in enumerate(read_probe_names(handle))}
    rank = np.array([order.get(each, -1) for each in probe.tolist()], dtype=np.intp)
    rows, rank = rows[rank >= 0], rank[rank >= 0]
    return rows[np.argsort(rank, kind="stable")]


def read_units(handle: h5py.File, rows: NDArray[np.intp], *, quality: bool) -> pd.DataFrame:
    """Return the units under the file's own names, joined with nothing; index ``id``.

    Parameters
    ----------
    handle : h5py.File
        The file.
    rows : numpy.ndarray of int
        The rows of its units table, in the order to give them, as of :func:`choose_units`.
    quality : bool
        Whether to keep that column (it says ``good`` of all where others are left out).

    Notes
    -----
    AllenSDK's columns come first, in its order, as in :func:`join_units`.
    """
    table = need_group(handle, "units")
    names = column_names(table)
    columns: dict[str, NDArray[Any]] = {}
    for name in (*_UNIT_COLUMNS, *(name for name in names if name not in _UNIT_COLUMNS)):
        if (name == "quality" and not quality) or is_ragged(table, name):
            continue
        if name in names:
            columns[name] = _wide(read_column(table, name))[rows]
        elif name in _OPTIONAL:
            columns[name] = np.full(len(rows), np.nan)
    return frame(columns, read_ids(table)[rows], "id")


def join_units(
    handle: h5py.File, rows: NDArray[np.intp], channels: pd.DataFrame, probes: pd.DataFrame, *, quality: bool
) -> pd.DataFrame:
    """Return the units with the columns of their channels and probes, along each probe; index ``unit_id``.

    Parameters
    ----------
    handle : h5py.File
        The file.
    rows : numpy.ndarray of int
        The rows of its units table, as of :func:`choose_units`.
    channels, probes : pandas.DataFrame
        What to join: as of :func:`select_channels` and :func:`read_probes`.
    quality : bool
        Whether to keep that column (it says ``good`` of all where others are left out).

    Notes
    -----
    AllenSDK's columns come first, in its order. What else the file has of each unit, such as
    ``waveform_halfwidth``, which AllenSDK 2.16.2 drops, follows on the right.
    """
    table = need_group(handle, "units")
    names = column_names(table)
    peak = read_column(table, "peak_channel_id")[rows]
    channel = pd.Index(channels.index).get_indexer(peak)
    rows, peak, channel = rows[channel >= 0], peak[channel >= 0], channel[channel >= 0]
    probe = pd.Index(probes.index).get_indexer(channels["probe_id"].to_numpy()[channel])
    rows, peak, channel, probe = rows[probe >= 0], peak[probe >= 0], channel[probe >= 0], probe[probe >= 0]
    order = np.lexsort(
        (
            # within one place, units stay together by channel, channels in the order of their first unit
            pd.factorize(peak)[0],
            channels["probe_horizontal_position"].to_numpy()[channel],
            channels["probe_vertical_position"].to_numpy()[channel],
            np.argsort(np.argsort(probes["description"].to_numpy().astype(str), kind="stable"))[probe],
        )
    )
    rows, channel, probe = rows[order], channel[order], probe[order]
    columns: dict[str, NDArray[Any]] = {}
    for name in _UNIT_COLUMNS:
        if name == "quality" and not quality:
            continue
        if name in names:
            columns[RENAMED.get(name, name)] = _wide(read_column(table, name))[rows]
        elif name in _OPTIONAL:
            columns[RENAMED.get(name, name)] = np.full(len(rows), np.nan)
    for name in channels.columns:
        columns[name] = _values(channels[name])[channel]
    for name in probes.columns:
        columns[RENAMED.get(name, name)] = _values(probes[name])[probe]
    for name in names:
        later = RENAMED.get(name, name)
        if (
            name not in _UNIT_COLUMNS
            and name not in HIDDEN
            and later not in columns
            and not is_ragged(table, name)
        ):
            columns[later] = _wide(read_column(table, name))[rows]
    return frame(columns, read_ids(table)[rows], "unit_id")
